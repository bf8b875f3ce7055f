"""Pictures of weights and of numbers, in a notebook or a file."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Callable, Iterable, Sequence

import numpy as np

from . import _core
from ._arrays import Array, Arrays, as_array

COLORS = {"dusk": 0, "grey": 1, "ink": 2}
MARKS = {"line": 0, "points": 1, "bars": 2}


class Figure:
    """A picture that shows itself in a notebook; save() writes it."""

    def __init__(self, draw: Callable[[str], None], what: str) -> None:
        self._draw, self._what = draw, what

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .png, .svg, .html (which answers to the mouse) or .txt file."""
        self._draw(os.fspath(path))

    def _repr_png_(self) -> bytes:
        return self._render(".png")

    def _repr_svg_(self) -> str:
        return self._render(".svg").decode()

    def __repr__(self) -> str:
        return f"<{self._what}; save('NAME.png'), .svg, .html or .txt>"

    def __str__(self) -> str:
        """Drawn with characters."""
        return self._render(".txt").decode()

    def _render(self, ending: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "figure" + ending)
            self._draw(path)
            with open(path, "rb") as file:
                return file.read()


def _labels(name: str, labels: Iterable[Any] | None, size: int) -> list[str] | None:
    if labels is None:
        return None
    texts = [str(label) for label in labels]
    if len(texts) != size:
        raise ValueError(f"{name}: {len(texts)} labels, expected {size}")
    return texts


def _choice(name: str, value: str, choices: dict[str, int]) -> int:
    if value not in choices:
        raise ValueError(f"{name}: {value!r}, expected one of {', '.join(choices)}")
    return choices[value]


def plot(weights: Arrays, rows: Iterable[Any] | None = None, columns: Iterable[Any] | None = None, *,
         title: str | None = None, row_name: str | None = None, column_name: str | None = None,
         titles: Sequence[str] | None = None, colors: str = "dusk", vmin: float = 0.0, vmax: float = 0.0,
         show_values: bool = False, cell: int = 0, scale: float = 0.0) -> Figure:
    """A heat map of weights (Tq,Tk), or a sheet of them: (H,Tq,Tk), or (L,H,Tq,Tk) for layers of heads.

    Parameters
    ----------
    rows, columns : the words of the queries and of the keys
    title, row_name, column_name : what stands above and beside the axes
    titles : one for each map of a sheet
    colors : "dusk", "grey" or "ink"
    vmin, vmax : weights at the ends of the colours; both 0: from 0, or the least when it is below, to the most
    show_values : print each weight in its cell
    cell : side of a cell in pixels, 0: as fits;  scale : device pixels per pixel of a PNG, 0: 2
    """
    w = np.ascontiguousarray(as_array(weights, "weights"), np.float32)
    if not 2 <= w.ndim <= 4:
        raise ValueError(f"weights: shape {w.shape}, expected (Tq,Tk), (H,Tq,Tk) or (L,H,Tq,Tk)")
    sheet = w[None] if w.ndim == 3 else w
    if w.ndim == 3 and titles is None:
        titles = [f"head {h + 1}" for h in range(len(w))]
    down, across = _labels("rows", rows, w.shape[-2]), _labels("columns", columns, w.shape[-1])
    below = _labels("titles", titles, int(np.prod(w.shape[:-2])))
    desc: dict[str, Any] = {"colors": _choice("colors", colors, COLORS), "vmin": vmin, "vmax": vmax,
                            "show_values": bool(show_values), "cell": cell, "scale": scale}
    desc |= {name: text for name, text in (("title", title), ("row_name", row_name), ("col_name", column_name)) if text}
    return Figure(lambda path: _core.plot_heatmap(desc, sheet, down, across, below, path), f"heat map of shape {w.shape}")


def _numbers(name: str, x: Any, size: int | None = None) -> Array | None:
    if x is None:
        return None
    array = np.ascontiguousarray(as_array(x, name), np.float64)
    if array.ndim != 1 or (size is not None and array.size != size):
        raise ValueError(f"{name}: shape {array.shape}, expected ({'n' if size is None else size},)")
    return array


def curves(series: dict[str, Any], *, title: str | None = None, x_name: str | None = None, y_name: str | None = None,
           mark: str = "line", log_x: bool = False, log_y: bool = False, width: int = 0, height: int = 0) -> Figure:
    """Curves over common axes: {"name": y, "other": (x, y)}, each drawn as a "line", "points" or "bars"."""
    drawn: list[tuple[dict[str, Any], Any, Any, Any]] = []
    for name, data in series.items():
        x, y = data if isinstance(data, tuple) else (None, data)
        ys = _numbers(f"{name} y", y)
        assert ys is not None
        drawn.append(({"name": name, "mark": _choice("mark", mark, MARKS)}, _numbers(f"{name} x", x, ys.size), ys, None))
    return _axes(drawn, title, x_name, y_name, log_x, log_y, width, height)


def scatter(x: Arrays, y: Arrays, *, title: str | None = None, x_name: str | None = None, y_name: str | None = None,
            width: int = 0, height: int = 0) -> Figure:
    """Points (x[i], y[i]), not joined."""
    xs = _numbers("x", x)
    assert xs is not None
    ys = _numbers("y", y, xs.size)
    gaps = np.full((2, 2 * xs.size), np.nan)  # a gap after each point, so that no line joins them
    gaps[0, ::2], gaps[1, ::2] = xs, ys
    return _axes([({"mark": MARKS["points"]}, gaps[0], gaps[1], None)], title, x_name, y_name, False, False, width, height)


def _axes(series: list[tuple[dict[str, Any], Any, Any, Any]], title: str | None, x_name: str | None, y_name: str | None,
          log_x: bool, log_y: bool, width: int, height: int) -> Figure:
    desc: dict[str, Any] = {"log_x": log_x, "log_y[0]": log_y, "width": width, "height": height}
    desc |= {name: text for name, text in (("title", title), ("x_name", x_name), ("y_name[0]", y_name)) if text}
    return Figure(lambda path: _core.plot_curves(desc, series, path), f"{len(series)} curves")
