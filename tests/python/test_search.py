"""attend embed and attend search with a small BERT of our own."""

import numpy as np
import pytest

from conftest import Attend

LINES = [f"the {animal} sees a {thing} ." for animal in ("cat", "dog", "cow") for thing in ("tree", "rock", "lake")]


@pytest.fixture(scope="module")
def bert(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    attend = Attend(command, folder)
    (folder / "text").write_text("".join(line + "\n" for line in LINES * 20))
    (folder / "lines").write_text("".join(line + "\n" for line in LINES))
    (folder / "r.yaml").write_text(
        "task: masked-language-model\ndata: {train: text, valid: text}\n"
        "text: {tokenizer: wordpiece, vocabulary: 49}\n"
        "model: {kind: transformer, encoder_layers: 2, width: 32, heads: 2, positions: learned, context: 32}\n"
        "train: {steps: 150, lr: 3e-3, batch_sentences: 16, validate_every: 150, valid_sentences: 16}\n")
    attend("train", "r.yaml", "train.folder=run", "--quiet")
    return attend


def embed(bert, *arguments):
    bert("embed", "run/best.att", "lines", "-o", "out.npy", "--quiet", *arguments)
    return np.load(bert.folder / "out.npy")


def test_embeddings_are_of_length_1_and_the_same_bits_with_any_threads(bert):
    one, two = embed(bert, "--threads", 1), embed(bert, "--threads", 2)
    assert one.shape == (len(LINES), 32) and one.dtype == np.float32
    assert np.abs(np.linalg.norm(one, axis=1) - 1).max() < 1e-6
    assert (one == two).all()


def test_the_line_itself_is_nearest(bert):
    vectors = embed(bert)
    for i in (0, 4, 8):
        hits = bert.json("search", "run/best.att", "lines", LINES[i], "--top", 4)["hits"]
        assert [hits[0]["line"], hits[0]["text"]] == [i + 1, LINES[i]] and abs(hits[0]["score"] - 1) < 1e-6
        scores = vectors @ vectors[i]
        assert [hit["line"] for hit in hits] == [int(j) + 1 for j in np.argsort(-scores, kind="stable")[:4]]
        assert np.abs(np.array([hit["score"] for hit in hits]) - np.sort(scores)[:-5:-1]).max() < 1e-6
        assert {match["query"]: match["line"] for match in hits[0]["matches"]} == {
            word: word for word in LINES[i].split()[:-1]}


def test_matches_follow_the_threshold(bert):
    def matches(threshold):
        hits = bert.json("search", "run/best.att", "lines", "the dog", "--threshold", threshold)["hits"]
        return [match for hit in hits for match in hit["matches"]]

    every, near = matches(-1), matches(0.9)
    assert len(every) == 2 * len(LINES)
    assert near == [match for match in every if match["score"] >= 0.9] != every


def test_text_output(bert):
    rows = bert("search", "run/best.att", "lines", LINES[2], "-n", 2, "--quiet").splitlines()
    assert len(rows) == 2
    score, line, text, matches = rows[0].split("\t")
    assert (score, line, text) == ("1.0000", "3", LINES[2]) and "cat~cat 1.00" in matches


def test_what_is_past_the_context_does_not_count(bert):
    (bert.folder / "long").write_text("the cat " * 20 + "sees\n" + "the cat " * 3 + "\n")
    found = bert.json("search", "run/best.att", "long", "the cat " * 20 + "lake")["hits"]
    assert found[0]["line"] == 1 and abs(found[0]["score"] - 1) < 1e-6 and found[1]["score"] < 1 - 1e-6


def test_refuses(bert):
    assert "--threshold" in bert.error("search", "run/best.att", "lines", "x", "--threshold", 2)
    assert "absent" in bert.error("search", "run/best.att", "absent", "x")
    (bert.folder / "broken").write_bytes(b"the cat\nthe \xff\n")
    assert "broken:2: invalid UTF-8 at byte 5" in bert.error("search", "run/best.att", "broken", "x")
    assert "QUERY: invalid UTF-8 at byte 3" in bert.error("search", "run/best.att", "lines", "a \udcff")
    assert "standard input:1: a NUL" in bert.error("embed", "run/best.att", "-o", "x.npy", stdin=b"a\0b\n")
    assert not (bert.folder / "x.npy").exists()
    assert "TEXT: invalid UTF-8 at byte 3" in bert.error("fill", "run/best.att", "a \udcff [MASK]")
