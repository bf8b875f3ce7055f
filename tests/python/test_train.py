"""attend train: what a run leaves, that it can be continued from anywhere to the same bits, and every option."""

import json
import random
import signal
import subprocess
import time
import zlib

import numpy
import pytest

from conftest import Attend
from tiny import arguments, read_log, read_safetensors

WEIGHTS = ["run/last.att", "run/best.att"]


def contents(folder):
    """The files that must not depend on how a run came about."""
    return {name: (folder / name).read_bytes() for name in WEIGHTS}


def losses(folder):
    steps, validations = read_log(folder / "run/log.jsonl")
    return [(x["step"], x["loss"], x["norm"]) for x in steps], [(x["step"], x["valid_loss"]) for x in validations]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    Attend(command, folder)("train", *arguments())
    return folder


def test_the_folder_of_a_run(whole):
    assert sorted(f.name for f in (whole / "run").iterdir()) == [
        "best.att", "curves.png", "last.att", "log.jsonl", "recipe.yaml"]


def test_log_has_one_line_a_step(whole):
    steps, validations = read_log(whole / "run/log.jsonl")
    assert [x["step"] for x in steps] == list(range(1, 41))
    assert [x["step"] for x in validations] == [10, 20, 30, 40]
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert all(0 < x["norm"] and 0 < x["lr"] <= 5e-3 and x["tokens_per_s"] > 0 for x in steps)
    assert all(later["tokens"] > earlier["tokens"] for earlier, later in zip(steps, steps[1:]))


def test_curves_are_a_png(whole):
    content = (whole / "run/curves.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds, pixels = 8, [], b""
    while at < len(content):
        size, kind = int.from_bytes(content[at:at + 4], "big"), content[at + 4:at + 8]
        data = content[at + 8:at + 8 + size]
        assert zlib.crc32(kind + data) == int.from_bytes(content[at + 8 + size:at + 12 + size], "big")
        kinds.append(kind)
        pixels += data if kind == b"IDAT" else b""
        at += 12 + size
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND"
    assert len(set(zlib.decompress(pixels))) > 10


def test_checkpoints_hold_weights_state_and_recipe(whole):
    last, metadata = read_safetensors(whole / "run/last.att")
    best, _ = read_safetensors(whole / "run/best.att")
    weights = [name for name in last if name.startswith("model.")]
    assert sorted(best) == sorted(weights)
    assert {"optimiser.m", "optimiser.v"} == set(last) - set(weights)
    assert last["optimiser.m"].size == last["optimiser.v"].size >= sum(last[name].size for name in weights)
    assert all(numpy.isfinite(tensor).all() for tensor in last.values())
    assert metadata["attend.task"] == "translation"


def test_the_kept_recipe_is_the_run(attend, whole):
    kept = whole / "run/recipe.yaml"
    assert attend("train", *arguments(), "--print") == kept.read_text()
    assert attend("train", kept, "--print") == kept.read_text()
    attend("train", kept, "--threads", 1)
    assert contents(attend.folder) == contents(whole)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(attend, whole, threads):
    attend("train", *arguments(), "--threads", threads)
    assert contents(attend.folder) == contents(whole)
    assert losses(attend.folder) == losses(whole)


def test_other_seed_other_weights(attend, whole):
    attend("train", *arguments(train__seed=2))
    assert contents(attend.folder) != contents(whole)


def start(attend, *more):
    return subprocess.Popen([attend.command, *map(str, ["train", *more, "--quiet"])],
                            cwd=attend.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for_steps(attend, n, process):
    """Until the log has n lines or the process ends."""
    log = attend.folder / "run/log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= n):
        time.sleep(0.0005)


@pytest.mark.parametrize("every", [1, 7])
def test_killed_at_random_points(attend, whole, every):
    """SIGKILL ten times; every=1 saves after each step, so that most kills fall into a save."""
    rng, keys, killed = random.Random(every), arguments(train__save_every=every, train__steps=200), 0
    reference = Attend(attend.command, attend.folder / "reference")
    reference.folder.mkdir()
    reference("train", *keys)
    steps = sorted(rng.sample(range(2, 195), 10))
    for step in steps:
        resume = ["--resume"] if (attend.folder / "run/last.att").exists() else []
        process = start(attend, *keys, *resume)
        wait_for_steps(attend, step, process)
        time.sleep(rng.random() * 0.004)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.stderr.close()
    assert killed >= 5
    (attend.folder / f"run/.attend-{process.pid}-0.tmp").touch()  # what a kill between link and rename leaves
    attend("train", *keys, *(["--resume"] if (attend.folder / "run/last.att").exists() else []))
    assert contents(attend.folder) == contents(reference.folder)
    assert losses(attend.folder) == losses(reference.folder)
    assert sorted(f.name for f in (attend.folder / "run").iterdir()) == sorted(
        f.name for f in (reference.folder / "run").iterdir())


@pytest.mark.parametrize("signals", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_saves_and_says_how_to_continue(attend, signals):
    keys = arguments(train__steps=400, train__validate_every=100, train__save_every=0)
    reference = Attend(attend.command, attend.folder / "reference")
    reference.folder.mkdir()
    reference("train", *keys)
    process = start(attend, *keys)
    wait_for_steps(attend, 20, process)
    process.send_signal(signals)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"stopped at step " in message and b"run/last.att continues with --resume" in message
    attend("train", *keys, "--resume")
    assert contents(attend.folder) == contents(reference.folder)
    assert losses(attend.folder) == losses(reference.folder)


def test_a_run_is_not_overwritten(attend):
    attend("train", *arguments(train__steps=5))
    before = {f.name: f.read_bytes() for f in (attend.folder / "run").iterdir()}
    message = attend.error("train", *arguments(train__steps=5))
    assert "run/last.att" in message and "--resume" in message
    assert {f.name: f.read_bytes() for f in (attend.folder / "run").iterdir()} == before


def test_nothing_to_resume(attend):
    message = attend.error("train", *arguments(), "--resume")
    assert "run/last.att" in message and "resume" in message
    assert not (attend.folder / "run").exists()


@pytest.mark.parametrize("key, value", [
    ("train.lr", "1e-3"), ("model.cell", "lstm"), ("model.embedding", 9), ("train.seed", 3), ("text.normalise", "none"),
    ("data.synthetic_train", 299), ("train.accumulate", 2), ("train.average", 0.9)])
def test_resume_refuses_a_changed_recipe(attend, key, value):
    attend("train", *arguments(train__steps=5))
    before = (attend.folder / "run/last.att").read_bytes()
    message = attend.error("train", *arguments(train__steps=10), f"{key}={value}", "--resume")
    assert key in message and str(value).replace("1e-3", "0.001") in message and "run/last.att" in message
    assert (attend.folder / "run/last.att").read_bytes() == before


def test_resume_may_go_further(attend):
    """The number of steps decides nothing before the end under a constant rate."""
    attend("train", *arguments(train__steps=20, train__schedule="constant"))
    attend("train", *arguments(train__steps=40, train__schedule="constant"), "--resume")
    longer = Attend(attend.command, attend.folder / "longer")
    longer.folder.mkdir()
    longer("train", *arguments(train__steps=40, train__schedule="constant"))
    assert contents(attend.folder)["run/last.att"] == contents(longer.folder)["run/last.att"]


def test_resume_after_the_end_changes_nothing(attend):
    first = attend.json("train", *arguments())
    before = contents(attend.folder)
    again = attend.json("train", *arguments(), "--resume")
    assert contents(attend.folder) == before
    assert again == first


def test_accumulated_batches_are_one_batch(attend):
    """Two half batches give the gradient of the whole, up to rounding: the first step's loss and norm agree."""
    two = arguments(train__accumulate=2, train__steps=3, train__folder="two")
    one = arguments(train__accumulate=1, train__steps=3, train__folder="one")
    attend("train", *two)
    attend("train", *one)
    steps = {name: read_log(attend.folder / name / "log.jsonl")[0] for name in ("one", "two")}
    assert steps["two"][0]["tokens"] == steps["one"][1]["tokens"]
    assert [x["step"] for x in steps["two"]] == [1, 2, 3]
    assert steps["two"][0]["loss"] == pytest.approx(2.7, abs=0.2)


def test_json_result(attend):
    result = attend.json("train", *arguments(train__steps=10))
    assert result["folder"] == "run" and result["best_step"] == 10 and result["metric"] == "exact"
    assert 0 <= result["value"] <= 100


MODELS = [
    {},
    {"model__cell": "gru-reset-before"},
    {"model__cell": "lstm"},
    {"model__attention": "none"},
    {"model__attention": "general"},
    {"model__attention": "dot", "model__decoder_units": 16},
    {"model__attend": "after"},
    {"model__attend": "after", "model__input_feeding": "true", "model__cell": "lstm"},
    {"model__attend": "after", "model__attention": "none"},
    {"model__attention": "general", "model__attend": "after", "model__input_feeding": "true"},
    {"model__encoder_layers": 2, "model__decoder_layers": 3},
    {"model__encoder_layers": 3, "model__cell": "lstm", "model__dropout": 0.3},
    {"model__tied": "true"},
    {"model__shared": "true", "text__shared": "true", "model__tied": "true"},
    {"text__tokenizer": "word"},
    {"text__tokenizer": "bpe", "text__vocabulary": 90, "text__dropout": 0.1},
    {"data__synthetic": "copy", "text__normalise": "tutorial", "train__smoothing": 0.1},
    {"train__average": 0.99, "train__decay": 0.01, "train__clip": 0},
    {"train__schedule": "inverse-sqrt", "train__metric": "bleu"},
    {"train__schedule": "plateau", "train__metric": "loss", "train__plateau": 1, "train__patience": 2},
    {"train__schedule": "constant", "train__metric": "chrf", "train__keep_every": 4, "train__warmup": 0},
    {"train__accumulate": 3, "data__max_length": 20},
    {"data__synthetic": "copy"},
    {"data__synthetic": "reverse", "text__tokenizer": "word"},
]


@pytest.mark.parametrize("options", MODELS, ids=lambda o: ",".join(f"{k.split('__')[1]}={v}" for k, v in o.items()))
def test_every_option_trains_translates_and_resumes(attend, options):
    keys = options | {"train__steps": 12, "train__validate_every": 6, "train__warmup": 4} | options
    attend("train", *arguments(**keys))
    steps, _ = read_log(attend.folder / "run/log.jsonl")
    assert len(steps) == 12 and steps[-1]["loss"] < steps[0]["loss"]
    for beam in 1, 3:
        assert attend("translate", "run/best.att", "--beam", beam, stdin=b"3 March 1999\na b\n").count("\n") == 2
    process = start(attend, *arguments(**keys | {"train__folder": "cut"}))
    while process.poll() is None and not (attend.folder / "cut/last.att").exists():
        time.sleep(0.0005)
    process.kill()
    process.communicate()
    attend("train", *arguments(**keys | {"train__folder": "cut"}), "--resume")
    one, two = (read_safetensors(attend.folder / name / "last.att")[0] for name in ("run", "cut"))
    assert one.keys() == two.keys() and all(numpy.array_equal(one[name], two[name]) for name in one)


def test_early_stopping(attend):
    attend("train", *arguments(train__steps=5000, train__validate_every=5, train__patience=2, train__lr="1e-9",
                               train__schedule="constant"))
    assert len(read_log(attend.folder / "run/log.jsonl")[0]) == 15


def test_divergence_keeps_the_last_good_checkpoint(attend):
    """A decay of 100 * 1 multiplies the weights by -99 in each step."""
    message = attend.error("train", *arguments(train__lr=100, train__decay=1, train__warmup=0, train__save_every=1,
                                               train__schedule="constant"), status=1)
    assert "diverged" in message and "run/last.att" in message and "train.lr" in message
    tensors, metadata = read_safetensors(attend.folder / "run/last.att")
    assert all(numpy.isfinite(x).all() for x in tensors.values())
    assert json.loads(metadata["attend.training"])["skipped_in_a_row"] == 0
