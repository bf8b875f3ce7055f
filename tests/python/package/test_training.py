"""attend.train: what a recipe says, with a call after every step, to the same bits as the command."""

import attend as package
import numpy as np
import pytest
from conftest import Attend
from tiny import KEYS, RECIPE, arguments, read_log, read_safetensors


def keys(folder, **changes):
    return KEYS | {"train.folder": str(folder)} | {name.replace("__", "."): value for name, value in changes.items()}


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    Attend(command, folder)("train", *arguments())
    return folder / "run"


def same(folder, other):
    """Weights, optimiser and log; the recipes inside name different folders."""
    for name in ("best.att", "last.att"):
        one, two = (read_safetensors(f / name)[0] for f in (folder, other))
        assert one.keys() == two.keys() and all(np.array_equal(one[key], two[key]) for key in one)
    one, two = (read_log(f / "log.jsonl")[0] for f in (folder, other))
    return [(x["step"], x["loss"], x["norm"]) for x in one] == [(x["step"], x["loss"], x["norm"]) for x in two]


def test_every_step_is_reported(whole, tmp_path):
    steps, validations, notes = [], [], []
    run = package.train(RECIPE, keys(tmp_path / "run"), callback=steps.append, validated=validations.append,
                        note=notes.append)
    assert [p.step for p in steps] == list(range(1, 41)) and steps[0].steps == 40
    logged, judged = read_log(tmp_path / "run" / "log.jsonl")
    assert [p.loss for p in steps] == pytest.approx([x["loss"] for x in logged], rel=1e-6)
    assert [v.step for v in validations] == [10, 20, 30, 40] == [x["step"] for x in judged]
    assert all(v.scores["loss"] == pytest.approx(x["valid_loss"], rel=1e-5) for v, x in zip(validations, judged))
    assert run.validations == validations and any(v.best for v in validations) and notes
    assert run.folder == tmp_path / "run" and run.best.is_file() and run.last.is_file() and not run.stopped
    assert same(run.folder, whole)
    assert isinstance(package.Model(run.best).translate("3 March 1999"), str)


def test_a_callback_stops_and_resume_goes_on(whole, tmp_path):
    options = keys(tmp_path / "run")
    seen = []
    run = package.train(RECIPE, options, callback=lambda p: seen.append(p.step) or p.step == 17)
    assert run.stopped and seen == list(range(1, 18))
    with pytest.raises(ValueError, match="last.att"):
        package.train(RECIPE, options)
    run = package.train(RECIPE, options, resume=True, callback=lambda p: seen.append(p.step))
    assert not run.stopped and seen == list(range(1, 41))
    assert same(run.folder, whole)


def test_an_exception_stops_and_comes_out(whole, tmp_path):
    def fail(progress):
        if progress.step == 5:
            raise KeyError("enough")

    options = keys(tmp_path / "run")
    with pytest.raises(KeyError, match="enough"):
        package.train(RECIPE, options, callback=fail)
    assert same(package.train(RECIPE, options, resume=True).folder, whole)
    with pytest.raises(ZeroDivisionError):
        package.train(RECIPE, keys(tmp_path / "other"), validated=lambda v: 1 // 0)


def test_keys_without_a_file(tmp_path):
    nested = {"data": {"synthetic": "copy", "synthetic_train": 50, "synthetic_valid": 5},
              "model": {"embedding": 8, "encoder_units": 8, "decoder_units": 8, "tied": True},
              "text": {"tokenizer": "char"}, "train.steps": 3, "train.validate_every": 3,
              "train": {"folder": tmp_path / "run", "metric": "loss"}}
    assert package.train(nested).best.is_file()


@pytest.mark.parametrize("change, error, message", [
    ({"train.lr": "fast"}, ValueError, "train.lr"),
    ({"no.such": 1}, ValueError, "no.such"),
    ({"train.folder": ""}, ValueError, "train.folder"),
    ({"data.synthetic": "", "data.train": "/nowhere/x", "data.valid": "/nowhere/y"}, FileNotFoundError, "/nowhere/x"),
])
def test_refused(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        package.train({**keys(tmp_path / "run"), "data.synthetic": "dates", **change})
    with pytest.raises(FileNotFoundError, match="absent.yaml"):
        package.train(tmp_path / "absent.yaml")
    with pytest.raises(FileNotFoundError, match="resume"):
        package.train(RECIPE, keys(tmp_path / "run"), resume=True)
