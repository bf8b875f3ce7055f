"""attend generate, fill and evaluate with language models, from recipe to text."""

import math

import pytest

from conftest import Attend

TEXT = "the cat sat on the mat\n" * 300


@pytest.fixture(scope="module")
def models(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    attend = Attend(command, folder)
    (folder / "text").write_text(TEXT)
    (folder / "r.yaml").write_text(
        "data: {train: text, unit: lines}\ntext: {tokenizer: char, normalise: none}\n"
        "model: {kind: transformer, width: 16, heads: 2, context: 24, positions: learned, tied: true}\n"
        "train: {steps: 150, lr: 1e-2, batch_sentences: 8, validate_every: 75, valid_sentences: 4, metric: loss}\n")
    attend("train", "r.yaml", "task=language-model", "train.folder=gpt", "--quiet")
    attend("train", "r.yaml", "task=masked-language-model", "train.folder=bert", "train.steps=1200", "train.lr=5e-3",
           "model.width=32", "model.encoder_layers=2", "train.batch_sentences=16", "--quiet")
    attend("train", "r.yaml", "task=masked-language-model", "train.folder=pieces", "train.steps=600",
           "text.tokenizer=wordpiece", "model.encoder_layers=2", "model.context=8",
           "train.batch_sentences=16", "--quiet")
    return attend


def test_continues_and_streams(models):
    said = models("generate", "gpt/best.att", "--prompt", "the cat", "--temperature", "0", "--quiet")
    assert said == "the cat sat on the mat\n"
    assert models("generate", "gpt/best.att", "--prompt", "the cat", "--temperature", "0", "--stream", "--quiet") == said
    result = models.json("generate", "gpt/best.att", "--prompt", "the cat", "--temperature", "0")
    assert result["text"] == " sat on the mat" and result["ended"] and result["tokens"] == 16
    assert -5 < result["log_probability"] < 0


def test_seeds(models):
    def sample(seed, threads):
        return models("generate", "gpt/best.att", "--seed", seed, "--temperature", 3, "--ignore-end", "--slide",
                      "--max-tokens", 60, "--threads", threads, "--quiet")
    assert sample(1, 1) == sample(1, 2) != sample(2, 1)
    both = models("generate", "gpt/best.att", "--seed", 1, "-n", 2, "--temperature", 3, "--ignore-end", "--slide",
                  "--max-tokens", 60, "--quiet")
    assert both == sample(1, 1) + sample(2, 1)


def test_measures(models):
    score = models.json("evaluate", "gpt/best.att", "text")
    assert score["tokens"] == len(TEXT) - 1 and score["bytes"] == len(TEXT)
    assert score["perplexity"] == pytest.approx(math.exp(score["loss"]))
    assert score["bits_per_byte"] == pytest.approx(score["loss"] * score["tokens"] / math.log(2) / len(TEXT))


def test_rounded_weights(models):
    loss = {w: models.json("evaluate", "gpt/best.att", "text", "--weights", w)["loss"]
            for w in ("f32", "bf16", "int8", "w8a8")}
    assert loss["f32"] == models.json("evaluate", "gpt/best.att", "text")["loss"]
    assert len(set(loss.values())) == 4
    for rounded in ("bf16", "int8", "w8a8"):
        assert loss[rounded] != loss["f32"] and loss[rounded] == pytest.approx(loss["f32"], rel=0.05)
        assert models("generate", "gpt/best.att", "--prompt", "the cat", "--temperature", "0", "--quiet", "--weights",
                      rounded) == "the cat sat on the mat\n"
        filled = models.json("fill", "bert/best.att", "the c[MASK]t", "-n", 1, "--weights", rounded)["fillings"][0]
        exact = models.json("fill", "bert/best.att", "the c[MASK]t", "-n", 1)["fillings"][0]
        assert filled["token"] == "a" and filled["probability"] != exact["probability"]
    error = models.error("generate", "gpt/best.att", "--weights=int4")
    assert "--weights: 'int4', expected f32, bf16, int8 or w8a8" in error


def test_fills_in(models):
    found = models.json("fill", "bert/best.att", "the c[MASK]t sat on [MASK]he", "-n", 2)["fillings"]
    assert [(f["mask"], f["token"]) for f in found[::2]] == [(0, "a"), (1, "t")]
    assert models("fill", "bert/best.att", "the c[MASK]t", "-n", 1).split("\t")[2] == "a\n"


def test_fills_in_pieces_of_words(models):
    """WordPiece, learnt from the same text: [MASK] is a token that text may spell."""
    for text, word in [("the [MASK] sat on the mat", "cat"), ("The cat [MASK] on the mat", "sat")]:
        found = models.json("fill", "pieces/best.att", text, "-n", 1)["fillings"]
        assert [f["token"] for f in found] == [word]


def test_refuses(models):
    assert "at most 24" in models.error("generate", "gpt/best.att", "--prompt", "x" * 40)
    assert "at most 17" in models.error("generate", "gpt/best.att", "--prompt", "the cat", "--max-tokens", 18)
    assert "--top-p" in models.error("generate", "gpt/best.att", "--top-p", 2)
    assert "fills in" in models.error("generate", "bert/best.att")
    assert "[MASK]" in models.error("fill", "bert/best.att", "the cat")
    assert "language-model" in models.error("translate", "gpt/best.att", stdin=b"")
