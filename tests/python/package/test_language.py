"""attend.Model of language models, of encoders and of Transformers that translate: generate, invent, logits, embed,
attention; compared with the command and with what they must satisfy."""

import json

import attend as package
import numpy as np
import pytest
from conftest import Attend

TEXT = "the cat sat on the mat\n" * 200
ROWS = "".join(f"{a}{b}{c}\tn\t1\ta big one\tthe {a}{b}{c}s\n" for a in ("ba", "ke", "li", "mo", "nu")
               for b in ("ra", "se", "ti", "vo") for c in ("wu", "pa", "de", "go", "fi"))
SMALL = {"model": {"kind": "transformer", "width": 16, "heads": 2, "tied": True},
         "train": {"lr": 1e-2, "batch_sentences": 8, "metric": "loss", "valid_sentences": 4}}


def train(folder, name, steps, **options):
    keys = {"data.folder": folder, "train.folder": folder / name, "train.steps": steps,
            "train.validate_every": steps, **{k.replace("__", "."): v for k, v in options.items()}}
    return package.train({**SMALL, **keys}).best


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("language")
    (made / "text").write_text(TEXT)
    (made / "rows").write_text(ROWS)
    return made


@pytest.fixture(scope="module")
def gpt(folder):
    return package.Model(train(folder, "gpt", 150, task="language-model", data__train="text", data__unit="lines",
                               text__tokenizer="char", text__normalise="none", model__context=24,
                               model__positions="learned", model__decoder_layers=2))


@pytest.fixture(scope="module")
def bert(folder):
    return package.Model(train(folder, "bert", 20, task="masked-language-model", data__train="text", data__unit="lines",
                               text__tokenizer="char", model__context=24, model__encoder_layers=3))


@pytest.fixture(scope="module")
def words(folder):
    return package.Model(train(folder, "words", 150, task="language-model", data__train="rows", data__valid="rows",
                               data__unit="entries", text__tokenizer="char", text__normalise="none",
                               model__context=48, model__positions="rotary"))


@pytest.fixture(scope="module")
def pairs(folder):
    return package.Model(train(folder, "pairs", 20, data__synthetic="copy", data__synthetic_train=200,
                               data__synthetic_valid=5, text__tokenizer="char", text__shared=True,
                               model__encoder_layers=2, model__decoder_layers=3, train__metric="loss"))


def test_generates_as_the_command_does(command, folder, gpt):
    attend = Attend(command, folder)
    assert gpt.task == "language-model" and gpt.attends
    assert gpt.generate("the cat", temperature=0) == " sat on the mat"
    printed = attend.json("generate", "gpt/best.att", "--prompt", "the", "--temperature", 3, "--seed", 5,
                          "--ignore-end", "--slide", "--max-tokens", 50)
    options = dict(temperature=3, ignore_end=True, slide=True, max_tokens=50)
    assert gpt.generate("the", seed=5, **options) == printed["text"]
    both = gpt.generate(["the", "the"], seed=4, **options)
    assert both[1] == printed["text"] != both[0]
    pieces = []
    assert gpt.generate("the", seed=5, stream=pieces.append, **options) == "".join(pieces) and len(pieces) > 10


def test_a_stream_may_raise(gpt):
    def stop(piece):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        gpt.generate("the", stream=stop)
    assert gpt.generate("the cat", temperature=0) == " sat on the mat"


def test_logits_of_a_decoder(gpt):
    ids = gpt.encode("the cat sat")
    assert gpt.decode(ids) == "the cat sat" and len(ids) == 11
    one = gpt.logits(ids)
    assert one.shape == (11, gpt.network.sizes["vocabulary"]) and one.dtype == np.float32
    both = gpt.logits([ids, ids[::-1]])
    np.testing.assert_array_equal(both[0], one)
    np.testing.assert_array_equal(gpt.logits(np.array(ids, np.int64)[:4]), one[:4])  # none sees what comes
    assert gpt.decode([int(one[6].argmax())]) == " "


def test_weights_of_a_decoder(gpt):
    look, short = gpt.attention(["the cat", "the"])
    assert look.tokens == list("the cat") and look.weights.shape == (2, 2, 7, 7)
    np.testing.assert_allclose(look.weights.sum(-1), 1, atol=1e-5)
    assert not np.triu(look.weights, 1).any()
    np.testing.assert_array_equal(short.weights, look.weights[:, :, :3, :3])
    assert look.plot(head=0) and gpt.attention("the").tokens == list("the")


def test_an_encoder(bert):
    lines = ["the cat", "the mat sat", "the cat"]
    vectors = bert.embed(lines)
    assert vectors.shape == (3, 16) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(bert.embed("the cat"), vectors[0])
    assert bert.embed([]).shape == (0, 16)
    look = bert.attention("the cat")
    assert look.weights.shape == (3, 2, 7, 7) and np.triu(look.weights, 1).any()
    ids = bert.encode("the cat")
    np.testing.assert_allclose(bert.logits([ids + [0] * 3], lengths=[7])[0, :7], bert.logits(ids), atol=1e-5)
    with pytest.raises(ValueError, match="continues text"):
        bert.generate("the")


def test_a_translator(pairs):
    found = pairs.attention("a b c", beam=2)
    rows, columns = len(found.target), len(found.source)
    assert found.encoder.shape == (2, 2, columns, columns)
    assert found.decoder.shape == (3, 2, rows, rows) and found.cross.shape == (3, 2, rows, columns)
    for weights in (found.encoder, found.decoder, found.cross):
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(found.weights, found.cross[-2].mean(0), atol=1e-5)
    source, target = pairs.encode("a b c"), pairs.encode("a b", target=True)
    scores = pairs.logits(source, target)
    assert scores.shape == (len(target), pairs.network.sizes["vocabulary"])
    np.testing.assert_array_equal(pairs.logits([source], [target[:2]])[0], scores[:2])
    with pytest.raises(ValueError, match="target: not given"):
        pairs.logits(source)


def test_invents_words(command, folder, words):
    printed = Attend(command, folder)("generate", "words/best.att", "-n", 4, "--seed", 9, "--json")
    wanted = [json.loads(line) for line in printed.splitlines()]
    found = words.invent(4, seed=9)
    assert [(e.word, e.part_of_speech, e.definition, e.example, e.known) for e in found] == [
        (e["word"], e["part_of_speech"], e["definition"], e["example"], e["known"]) for e in wanted]
    entry, = words.invent(word="mokewu", temperature=0.5)
    assert entry.word == "mokewu" and not entry.known and entry.definition
    assert words.invent(word="baRaWu")[0].known


@pytest.mark.parametrize("call, error, message", [
    (lambda m: m.generate("x" * 40), ValueError, "at most 24"),
    (lambda m: m.generate("the", top_p=2), ValueError, "top_p"),
    (lambda m: m.generate("the", beam=2), TypeError, "'beam' is no option of generation"),
    (lambda m: m.generate([1]), ValueError, r"prompts\[0\]: int"),
    (lambda m: m.translate("the"), ValueError, "language-model, expected translation"),
    (lambda m: m.attention("the", beam=2), TypeError, "expected none"),
    (lambda m: m.attention(""), ValueError, "empty"),
    (lambda m: m.embed("the"), ValueError, "encoder"),
    (lambda m: m.invent(), ValueError, "dictionary"),
    (lambda m: m.logits([[1, 2], [3, 10 ** 6]]), ValueError, "1000000"),
    (lambda m: m.logits([[1.5]]), ValueError, "ids: float64, expected integers"),
    (lambda m: m.logits([]), ValueError, r"ids: shape \(0,\)"),
    (lambda m: m.logits([1], target=[1]), ValueError, "target: given"),
    (lambda m: m.logits([2 ** 40]), ValueError, "int32"),
    (lambda m: m.decode([10 ** 6]), ValueError, "1000000"),
])
def test_refused(gpt, call, error, message):
    with pytest.raises(error, match=message):
        call(gpt)
    assert gpt.generate("the cat", temperature=0) == " sat on the mat"
