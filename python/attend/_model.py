"""Trained models from their files."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any, Callable, Sequence

import numpy as np

from . import _core
from ._arrays import Array
from ._plot import Figure, plot
from ._runtime import execution


OPTIONS = ("beam", "max_length", "batch", "length_penalty", "coverage_penalty", "replace_unknown")


@dataclass(frozen=True)
class Translation:
    """A translation and how it came about: weights (target tokens, source tokens), where target token i looked."""

    text: str
    score: float
    log_probability: float
    source: list[str] | None = None
    target: list[str] | None = None
    weights: Array | None = None

    def plot(self, **options: Any) -> Figure:
        """The weights with the words on both axes; takes the options of attend.plot."""
        if self.weights is None:
            raise ValueError("weights: none kept; ask for them with Model.attention()")
        return plot(self.weights, self.target, self.source, **options)


class Model:
    """A model file (best.att, last.att, ...) ready for use.

    Threads and instruction set are those set when it is loaded. A model may be used from several threads; its calls run
    one after the other. FileNotFoundError, OSError or ValueError say what is wrong with a file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._translator = _core.translator_load(self.path, *execution())
        self._lock = threading.Lock()

    @property
    def attends(self) -> bool:
        """Whether the model has weights to see."""
        return _core.translator_attends(self._translator)

    def translate(self, lines: str | Sequence[str], *, n_best: int | None = None,
                  progress: Callable[[int], Any] | None = None, **options: Any) -> Any:
        """Translations of lines; one string for one string, a list for a list.

        Options, each of which the model file has a default for: beam (hypotheses kept at each step; 1: greedy),
        max_length (tokens; 0: twice the source and 10), batch (sentences at once), length_penalty, coverage_penalty,
        replace_unknown. With n_best, lists of so many translations each, the best first. progress is called with the
        number of finished lines."""
        found = self._search(lines, 1 if n_best is None else n_best, options, progress)
        texts = [[t.text for t in of_line] if n_best is not None else of_line[0].text for of_line in found]
        return texts[0] if isinstance(lines, str) else texts

    def attention(self, lines: str | Sequence[str], *, n_best: int | None = None,
                  progress: Callable[[int], Any] | None = None, **options: Any) -> Any:
        """As translate(), with a Translation for each string: tokens, scores, and the weights between them."""
        found = self._search(lines, 1 if n_best is None else n_best, {**options, "with_attention": True}, progress)
        results = [of_line if n_best is not None else of_line[0] for of_line in found]
        return results[0] if isinstance(lines, str) else results

    def __repr__(self) -> str:
        return f"attend.Model({self.path!r})"

    def _search(self, lines: str | Sequence[str], n_best: int, options: dict[str, Any],
                progress: Callable[[int], Any] | None) -> list[list[Translation]]:
        texts = [lines] if isinstance(lines, str) else list(lines)
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"lines[{i}]: {type(text).__name__}, expected str")
        unknown = sorted(set(options) - {*OPTIONS, "with_attention"})
        if unknown:
            raise TypeError(f"{unknown[0]!r} is no option of translation, expected one of {', '.join(OPTIONS)}")
        if n_best < 1:
            raise ValueError(f"n_best: {n_best}, expected at least 1")
        with self._lock:
            found = _core.translate(self._translator, texts, {**options, "n_best": n_best}, progress)
        made = [_translation(*t) for t in found]
        return [made[i : i + n_best] for i in range(0, len(made), n_best)]


def _translation(text: str, score: float, log_probability: float, source: list[str] | None, target: list[str] | None,
                 weights: bytes | None) -> Translation:
    if weights is None or source is None or target is None:
        return Translation(text, score, log_probability, source, target)
    array = np.frombuffer(weights, np.float32).reshape(len(target), len(source)).copy()
    return Translation(text, score, log_probability, source, target, array)
