"""attend average: the mean of checkpoints, and nothing else of them."""

import numpy as np
import pytest

from conftest import Attend
from tiny import arguments, read_safetensors


@pytest.fixture(scope="module")
def run(command, tmp_path_factory):
    attend = Attend(command, tmp_path_factory.mktemp("average"))
    attend("train", *arguments(train__keep_every=10))
    return attend


KEPT = [f"run/step-{n}.att" for n in (10, 20, 30, 40)]


def test_the_mean_of_checkpoints(run):
    result = run.json("average", *KEPT, "-o", "mean.att")
    assert result == {"models": 4, "written": "mean.att"}
    mean, metadata = read_safetensors(run.folder / "mean.att")
    parts = [read_safetensors(run.folder / name)[0] for name in KEPT]
    assert mean.keys() == parts[0].keys()
    for name, tensor in mean.items():
        want = np.mean([p[name].astype(np.float64) for p in parts], axis=0).astype(np.float32)
        np.testing.assert_allclose(tensor, want, rtol=1e-6, atol=1e-12)
    assert any(not np.array_equal(mean[name], parts[0][name]) for name in mean)
    assert run("translate", "mean.att", stdin=b"3 March 1999\n").count("\n") == 1


def test_a_checkpoint_becomes_a_model(run):
    """last.att has the optimiser's state; its average does not."""
    run("average", "run/last.att", "-o", "one.att")
    one, metadata = read_safetensors(run.folder / "one.att")
    last, _ = read_safetensors(run.folder / "run/last.att")
    assert set(one) == {name for name in last if name.startswith("model.")}
    assert all(np.array_equal(one[name], last[name]) for name in one)
    assert "attend.training" not in metadata and "attend.recipe" in metadata


def test_refuses_what_is_not_alike(run):
    changes = {"model.cell": {"model__cell": "lstm"}, "model.embedding": {"model__embedding": 9},
               "tokenizer": {"data__synthetic": "copy"}, "text.normalise": {"text__normalise": "none"}}
    for key, change in changes.items():
        folder = f"other-{key}"
        run("train", *arguments(train__steps=2, train__folder=folder, **change))
        message = run.error("average", KEPT[0], f"{folder}/last.att", "-o", "bad.att")
        assert f"{folder}/last.att" in message and (key in message or "tokenizer" in message)
    assert "--output" in run.error("average", KEPT[0])
    assert "absent" in run.error("average", KEPT[0], "absent", "-o", "bad.att")
    (run.folder / "text").write_bytes(b"hello")
    assert "text" in run.error("average", "text", "-o", "bad.att")
    assert not (run.folder / "bad.att").exists()
