"""Training what a recipe says, from Python."""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from . import _core
from ._runtime import execution


@dataclass(frozen=True)
class Progress:
    """One step of training: loss is that of the step for a target token, norm that of the gradient before clipping,
    seconds those spent training in this process."""

    step: int
    steps: int
    epoch: int
    tokens: int
    skipped: int
    loss: float
    lr: float
    norm: float
    tokens_per_second: float
    seconds: float


@dataclass(frozen=True)
class Validation:
    """The scores of a validation; best: the best so far, whose weights best.att holds."""

    step: int
    scores: dict[str, float]
    best: bool


@dataclass(frozen=True)
class Training:
    """What a run left in its folder: last is where resume=True continues, best the weights of the best validation."""

    folder: pathlib.Path
    stopped: bool
    validations: list[Validation] = field(default_factory=list)

    @property
    def last(self) -> pathlib.Path:
        return self.folder / "last.att"

    @property
    def best(self) -> pathlib.Path:
        return self.folder / "best.att"


def train(recipe: str | os.PathLike[str] | Mapping[str, Any], options: Mapping[str, Any] | None = None, *,
          resume: bool = False, callback: Callable[[Progress], Any] | None = None,
          validated: Callable[[Validation], Any] | None = None, note: Callable[[str], Any] | None = None) -> Training:
    """Train what a recipe says; the same bits as `attend train`, for any number of threads.

    recipe is a YAML file, or the keys themselves: {"train.steps": 100} or {"train": {"steps": 100}}; options replace
    keys of it. The run is kept in train.folder, or runs/ and the file's name. With resume it goes on from last.att.

    callback is called after every step with a Progress; when it returns true the run is saved and stops (stopped), and
    so does it when it raises, as the exception comes out. validated is called with each Validation, note with what goes
    on before the first step. Control-C saves and raises KeyboardInterrupt.

    ValueError names a key, the value found and what was expected; FileNotFoundError and OSError say which file;
    ArithmeticError that the training diverged."""
    path, assignments = ("", _assignments(recipe)) if isinstance(recipe, Mapping) else (os.fspath(recipe), [])
    assignments += _assignments(options or {})
    folder = f"runs/{pathlib.Path(path).stem}" if path else ""
    validations: list[Validation] = []

    def on_validated(step: int, scores: dict[str, float], best: int) -> None:
        validations.append(Validation(step, scores, bool(best)))
        if validated:
            validated(validations[-1])

    def on_progress(*numbers: Any) -> Any:
        return callback(Progress(*numbers)) if callback else None

    folder, stopped = _core.train(path, folder, assignments, int(resume), *execution(), on_progress, on_validated, note)
    return Training(pathlib.Path(folder), bool(stopped), validations)


def _assignments(keys: Mapping[str, Any], section: str = "") -> list[str]:
    made = []
    for key, value in keys.items():
        if isinstance(value, Mapping):
            made += _assignments(value, f"{section}{key}.")
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            made.append(f"{section}{key}={text}")
    return made
