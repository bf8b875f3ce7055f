"""Models of a dictionary from the command line: trained on rows, inventing entries, measured."""

import json
import lzma

import pytest

from conftest import Attend

SYLLABLES = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "wu"]
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES][::3]
ROWS = [f"{word}\t{'nv'[i % 2]}\t1\ta {['big', 'red'][i % 2]} one, which many people like\t"
        + (f"it is | the {word}s" if i % 2 else "") for i, word in enumerate(WORDS)] + ["Two Words\tn\t1\tx\t"]
RECIPE = """task: language-model
data: {train: rows.xz, valid: rows.xz, unit: entries}
text: {tokenizer: char, normalise: none}
model: {kind: transformer, width: 24, heads: 2, context: 64, positions: rotary, tied: true}
train: {steps: 200, lr: 1e-2, batch_sentences: 8, validate_every: 100, valid_sentences: 20, metric: loss, folder: run}
"""


@pytest.fixture(scope="module")
def model(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dictionary")
    attend = Attend(command, folder)
    (folder / "rows.xz").write_bytes(lzma.compress("".join(row + "\n" for row in ROWS).encode()))
    (folder / "r.yaml").write_text(RECIPE)
    attend("train", "r.yaml", "--quiet", "--threads", 1)
    return attend


def entries(model, *arguments):
    said = model("generate", "run/best.att", "--json", *arguments)
    return [json.loads(line) for line in said.splitlines()]


def test_invents_words_that_do_not_exist(model):
    found = entries(model, "-n", 20, "--seed", 3)
    assert len(found) == 20 and [e["seed"] for e in found] == list(range(3, 23))
    for e in found:
        assert e["word"] and e["word"] not in WORDS and not e["known"]
        assert e["part_of_speech"] in ("noun", "verb", "adjective", "adverb")
        assert e["definition"].strip() and (not e["example"] or e["word"] in e["example"])
        assert e["draws"] >= 1 and e["log_probability"] < 0
    assert sum(bool(e["example"]) for e in found) >= 10
    assert len({e["word"] for e in found}) >= 10
    assert entries(model, "-n", 20, "--seed", 3, "--threads", 2) == found


def test_defines_a_word(model):
    for e in entries(model, "--word", "mokewu", "-n", 3, "--temperature", 0.5):
        assert e["word"] == "mokewu" and e["known"] == ("mokewu" in WORDS) and e["definition"]
    assert entries(model, "-w", WORDS[5])[0]["known"]


def test_a_dictionary_of_ones_own(model):
    first = entries(model, "--seed", 8)[0]["word"]
    (model.folder / "mine").write_text(f"other\n{first.upper()}\n")
    assert entries(model, "--seed", 8, "--dictionary", "mine")[0]["word"] != first
    kept = entries(model, "--seed", 8, "--dictionary", "mine", "--keep-known")[0]
    assert kept["known"] or kept["word"] != first


def test_layout(model):
    """The word and its part of speech, then indented lines no longer than 80 columns."""
    done = model("generate", "run/best.att", "-n", 3, "--quiet")
    blocks = done.rstrip("\n").split("\n\n")
    assert len(blocks) == 3
    for block in blocks:
        head, *body = block.split("\n")
        word, part = head.split(", ")
        assert word and part in ("noun", "verb", "adjective", "adverb")
        assert body and all(line.startswith("    ") and len(line) <= 80 for line in body)
        example = [line for line in body if line.startswith('    "')]
        assert not example or (body[-1].endswith('"') and word in " ".join(body))


def test_a_prompt_is_text_like_any_other(model):
    said = model("generate", "run/best.att", "--prompt", "bakeli\tn\t", "--temperature", 0, "--quiet")
    assert said.startswith("bakeli\tn\t") and said.count("\t") == 3


def test_measures(model):
    score = model.json("evaluate", "run/best.att", "--entries", 40, "--seed", 5)
    assert score["entries"] == 40 and score["bits_per_byte"] < 2
    assert 0 <= score["kept"] <= min(score["well_formed"], score["absent"]) <= 1
    assert score["kept"] >= score["well_formed"] + score["absent"] - 1 - 1e-9
    assert "entries" not in model.json("evaluate", "run/best.att")
    assert "well-formed" in model("evaluate", "run/best.att", "--entries", 3, "--quiet")
    (model.folder / "other").write_text(f"{WORDS[1]}\tn\t1\ta thing\t\n")
    other = model.json("evaluate", "run/best.att", "other")
    assert other["bytes"] == len(f"{WORDS[1]}\tn\ta thing\t\n") == other["tokens"]


def test_refuses(model):
    wrong = model.error("evaluate", "run/best.att", "--entries", 2, "--source-column", 1)
    assert "--source-column: not an option for 'run/best.att', which is a language model" in wrong
    for option in ("--stream", "--slide", "--ignore-end"):
        assert "--prompt" in model.error("generate", "run/best.att", option)
    assert "tab" in model.error("generate", "run/best.att", "--word", "a\tb")
    assert "nowhere" in model.error("generate", "run/best.att", "--dictionary", "nowhere")
    assert "--word" in model.error("generate", "run/best.att", "--word", "mokewu", "--prompt", "x")
    (model.folder / "bad").write_text("word\tn\tdefinition\n")
    message = model.error("train", "r.yaml", "data.train=bad", "train.folder=bad-run")
    assert "bad:1: 3 columns" in message and "examples" in message
