"""attend classify, evaluate and attend.Model.classify, from recipe to classes; a language model that becomes one."""

import json

import pytest

from conftest import Attend

WORDS = {"animal": ["cat", "dog"], "tree": ["oak", "elm"]}
ROWS = [(f"{a} {word} {b}", name) for name, words in WORDS.items() for word in words
        for a in ("the", "a", "this") for b in ("here", "there", "now", "")]


@pytest.fixture(scope="module")
def models(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    attend = Attend(command, folder)
    (folder / "rows.tsv").write_text("".join(f"{name}\t{text}\n" for text, name in ROWS))
    (folder / "r.yaml").write_text(
        "task: classification\n"
        "data: {train: rows.tsv, valid: rows.tsv, test: rows.tsv, source_column: 2, target_column: 1}\n"
        "text: {tokenizer: word}\nmodel: {kind: transformer, width: 16, heads: 2}\n"
        "train: {steps: 60, lr: 1e-2, batch_sentences: 16, validate_every: 30, metric: accuracy}\n")
    attend("train", "r.yaml", "train.folder=run", "--quiet")
    return attend


def test_lines(models):
    said = models("classify", "run/best.att", "-", "--quiet", stdin=b"a dog now\nthe elm\n").splitlines()
    assert [line.split("\t")[0] for line in said] == ["animal", "tree"]
    assert all(0.5 < float(line.split("\t")[1]) <= 1 for line in said)
    two = models("classify", "run/best.att", "-n", 5, "--quiet", stdin=b"a dog now\n").rstrip("\n").split("\t")
    assert two[::2] == ["animal", "tree"] and abs(float(two[1]) + float(two[3]) - 1) < 1e-3
    result = json.loads(models("classify", "run/best.att", "--json", "--quiet", stdin=b"this oak\n"))
    assert result["lines"][0]["text"] == "this oak" and result["lines"][0]["classes"][0]["class"] == "tree"
    assert models("classify", "run/best.att", "--quiet", stdin=b"") == ""


def test_evaluate(models):
    result = models.json("evaluate", "run/best.att")
    assert result["accuracy"] == result["f1"] == 1 and result["lines"] == len(ROWS)
    assert result["classes"] == ["animal", "tree"] and result["confusion"] == [[24, 0], [0, 24]]
    (models.folder / "wrong.tsv").write_text("tree\tthe cat\nanimal\tthe cat\nanimal\ta dog\n")
    assert models.json("evaluate", "run/best.att", "wrong.tsv")["confusion"] == [[2, 0], [1, 0]]
    assert "66.67 %" in models("evaluate", "run/best.att", "wrong.tsv", "--quiet")
    beam = models.error("evaluate", "run/best.att", "--limit", 2, "-b", 4)
    assert "--beam: not an option for 'run/best.att', which classifies" in beam


def test_recipe_shows_what_the_model_decides(models):
    shown = models("train", "r.yaml", "model.from=run/best.att", "--print")
    assert "from: run/best.att" in shown and "tokenizer: word" in shown
    wrong = models.error("train", "r.yaml", "model.from=run/best.att", "model.width=32")
    assert "model.width: 32, expected 16 as in run/best.att, from which the model is" in wrong


def test_python(models):
    attend = pytest.importorskip("attend")
    model = attend.Model(models.folder / "run/best.att")
    assert model.task == "classification"
    found = model.classify("the cat here")
    assert list(found) == ["animal", "tree"] and abs(sum(found.values()) - 1) < 1e-6
    assert [next(iter(x)) for x in model.classify(["an oak", "this dog"])] == ["tree", "animal"]
    assert model.embed("the cat").shape == (16,)
    with pytest.raises(ValueError, match="expected translation"):
        model.translate("the cat")
    run = attend.train(models.folder / "r.yaml", {"data.folder": str(models.folder), "train.steps": 2,
                                                  "train.folder": str(models.folder / "py"), "train.validate_every": 1})
    assert attend.Model(run.best).task == "classification"
