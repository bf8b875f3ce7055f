"""attend.plot, curves and scatter: what a notebook shows and what files hold."""

import re
import struct
import xml.etree.ElementTree as tree

import attend
import numpy as np
import pytest

WEIGHTS = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
ROWS, COLUMNS = ["the", "house"], ["la", "casa", "."]


def text_of(svg):
    return " ".join(tree.fromstring(svg).itertext())


def test_a_notebook_gets_png_and_svg():
    figure = attend.plot(WEIGHTS, ROWS, COLUMNS, title="a title")
    png = figure._repr_png_()
    assert png.startswith(b"\x89PNG") and min(struct.unpack(">II", png[16:24])) > 50
    shown = text_of(figure._repr_svg_())
    for word in [*ROWS, *COLUMNS, "a title"]:
        assert word in shown
    assert "save(" in repr(figure) and "house" in str(figure)


@pytest.mark.parametrize("ending, begins", [(".png", b"\x89PNG"), (".svg", b"<"), (".html", b"<!"), (".txt", b"")])
def test_files(tmp_path, ending, begins):
    path = tmp_path / ("w" + ending)
    attend.plot(WEIGHTS, ROWS, COLUMNS).save(path)
    content = path.read_bytes()
    assert content.startswith(begins) and (ending == ".png" or b"casa" in content)
    with pytest.raises(ValueError, match="w.pdf"):
        attend.plot(WEIGHTS).save(tmp_path / "w.pdf")
    with pytest.raises((OSError, ValueError), match="no-folder"):
        attend.plot(WEIGHTS).save(tmp_path / "no-folder" / ("w" + ending))


def test_sheets_of_heads_and_layers():
    heads = np.stack([WEIGHTS] * 4)
    assert all(f"head {h}" in text_of(attend.plot(heads)._repr_svg_()) for h in (1, 4))
    named = text_of(attend.plot(heads, titles=["n", "e", "w", "s"])._repr_svg_())
    assert [word for word in named.split() if word in "news"] == ["n", "e", "w", "s"]
    assert "layer 2, head 4" in text_of(attend.plot(np.stack([heads] * 2), cell=30)._repr_svg_())


def test_any_array_and_any_label():
    ints = attend.plot(WEIGHTS.astype(np.float64)[:, ::-1], [1, 2], (x for x in COLUMNS), show_values=True)
    assert ".70" in text_of(ints._repr_svg_()).split()
    attend.plot([[0.5, 0.5]])._repr_png_()
    attend.plot(np.array([[np.nan, 1.0]]), colors="ink")._repr_svg_()


@pytest.mark.parametrize("call, message", [
    (lambda: attend.plot(np.zeros(3)), r"weights: shape \(3,\)"),
    (lambda: attend.plot(WEIGHTS, ROWS[:1]), "rows: 1 labels, expected 2"),
    (lambda: attend.plot(WEIGHTS, None, ROWS), "columns: 2 labels, expected 3"),
    (lambda: attend.plot(np.stack([WEIGHTS] * 2), titles=["x"]), "titles: 1 labels, expected 2"),
    (lambda: attend.plot(WEIGHTS, colors="jet"), "colors: 'jet', expected one of dusk, grey, ink"),
    (lambda: attend.plot(np.zeros((0, 3)))._repr_svg_(), "rows"),
    (lambda: attend.scatter([1.0, 2.0], [1.0]), r"y: shape \(1,\), expected \(2,\)"),
    (lambda: attend.curves({"a": [1.0]}, mark="dots"), "mark: 'dots'"),
])
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_curves_name_what_they_show():
    shown = text_of(attend.curves({"loss": [3.0, 2.0, 1.0], "valid": ([0, 2], [2.5, 1.5])}, title="t", x_name="step",
                                  y_name="nats")._repr_svg_())
    for word in ("loss", "valid", "t", "step", "nats"):
        assert word in shown


def test_scatter_draws_every_point_and_no_line():
    rng = np.random.default_rng(0)
    drawing = attend.scatter(rng.normal(size=50), rng.normal(size=50))._repr_svg_()
    paths = [e.attrib["d"] for e in tree.fromstring(drawing).iter() if e.tag.endswith("path")]
    assert len(set(paths)) == 50 and all(re.fullmatch(r"M[-.\d]+ [-.\d]+h0", d) for d in paths)  # dots: strokes of length 0
