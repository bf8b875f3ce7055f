"""attend.Model: a translator trained in a second, used from Python and compared with the command."""

import json
import os
import random
import signal
import threading
import time

import attend as package
import numpy as np
import pytest
from conftest import Attend
from tiny import arguments


@pytest.fixture(scope="module")
def path(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    keys = arguments(train__steps=60, data__synthetic="copy", train__warmup=5, train__metric="loss",
                     train__validate_every=20, model__encoder_units=16, model__decoder_units=16)
    Attend(command, folder)("train", *keys)
    return folder / "run" / "best.att"


@pytest.fixture(scope="module")
def model(path):
    return package.Model(path)


def sentences(seed, n):
    rng = random.Random(seed)
    return [" ".join(rng.choice("abcdefgh") for _ in range(rng.randint(1, 12))) for _ in range(n)]


def test_the_same_translations_as_the_command(attend, model, path):
    lines = sentences(1, 30)
    printed = attend("translate", path, "--beam", 3, stdin="".join(x + "\n" for x in lines).encode())
    assert model.translate(lines, beam=3) == printed.splitlines()
    assert model.translate(lines[0], beam=3) == printed.splitlines()[0]
    assert model.translate([]) == []


def test_n_best_and_its_scores(attend, model, path):
    lines = sentences(2, 5)
    found = model.attention(lines, n_best=3, beam=4)
    printed = attend("translate", path, "--beam", 4, "--n-best", 3, stdin="".join(x + "\n" for x in lines).encode())
    rows = [row.split("\t") for row in printed.splitlines()]
    flat = [t for of_line in found for t in of_line]
    assert [[len(x) for x in found], len(rows)] == [[3] * 5, 15]
    for t, row in zip(flat, rows):
        assert t.text == row[-1] and abs(t.score - float(row[-2])) < 1e-3
    assert model.translate(lines, n_best=3, beam=4) == [[t.text for t in of_line] for of_line in found]


def test_attention_of_each_word(attend, model, path):
    lines = sentences(3, 6)
    for t, line in zip(model.attention(lines, beam=2), lines):
        assert t.source == [*line.split(), "</s>"] or "".join(t.source).replace("▁", " ").strip().startswith(line[:1])
        assert t.weights.shape == (len(t.target), len(t.source)) and t.weights.dtype == np.float32
        np.testing.assert_allclose(t.weights.sum(1), 1, atol=1e-5)
        assert t.target[-1] == "</s>"
    file = attend.folder / "attention.jsonl"
    attend("translate", path, "--beam", 2, "--attention", file, stdin="".join(x + "\n" for x in lines).encode())
    for t, record in zip(model.attention(lines, beam=2), file.read_text().splitlines()):
        record = json.loads(record)
        assert (t.source, t.target) == (record["source"], record["target"])
        np.testing.assert_allclose(t.weights, np.array(record["weights"])[0, 0], atol=1e-6)


def test_a_translation_draws_itself(model, tmp_path):
    model.attention("a b c").plot(title="copy").save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="weights: none kept"):
        package.Translation("text", 0.0, 0.0).plot()


@pytest.mark.parametrize("call, error, message", [
    (lambda m: m.translate([1]), ValueError, r"lines\[0\]: int, expected str"),
    (lambda m: m.translate("a", n_best=0), ValueError, "n_best: 0"),
    (lambda m: m.translate("a", beam=2, n_best=3), ValueError, "n_best: 3"),
    (lambda m: m.translate("a", beam=0), ValueError, "beam"),
    (lambda m: m.translate("a", beams=1), TypeError, "'beams' is no option.*beam, max_length"),
    (lambda m: m.translate("\ud800"), UnicodeEncodeError, "surrogates"),
], ids=["type", "none", "more than the beam", "no beam", "unknown", "not UTF-8"])
def test_refused(model, call, error, message):
    with pytest.raises(error, match=message):
        call(model)
    assert model.translate("a b") == model.translate(["a b"])[0]


def test_files_that_are_no_models(tmp_path, path):
    with pytest.raises(FileNotFoundError, match="absent"):
        package.Model(tmp_path / "absent")
    whole = path.read_bytes()
    for name, content in (("empty", b""), ("text", b"hello"), ("cut", whole[:-100]), ("changed", whole[:-1] + b"\xff")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((ValueError, OSError), match=name):
            package.Model(tmp_path / name)


def test_progress_sees_every_line_and_can_stop(model):
    seen = []
    model.translate(sentences(4, 20), batch=5, progress=seen.append)
    assert seen[-1] == 20 and seen == sorted(seen)

    def stop(done):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        model.translate(sentences(4, 20), batch=5, progress=stop)


def test_an_interrupt_stops(model):
    """Control-C during a long search raises KeyboardInterrupt soon, and the model stays usable."""
    lines = sentences(5, 20000)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.translate(lines, batch=16)
    assert time.perf_counter() - start < 10
    assert isinstance(model.translate("a b"), str)


def test_one_model_from_many_threads(model):
    lines = [sentences(i, 3) for i in range(6)]
    wanted = [model.translate(x) for x in lines]
    found = [None] * 6
    threads = [threading.Thread(target=lambda i=i: found.__setitem__(i, model.translate(lines[i]))) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == wanted
