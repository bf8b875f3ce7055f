"""attend translate, evaluate, plot, data, help and demo, as a user runs them."""

import json
import random
import re
import subprocess

import pytest
from sacrebleu.metrics import BLEU, CHRF

from conftest import Attend
from tiny import arguments

COMMANDS = ["completion", "data", "demo", "evaluate", "help", "plot", "inspect", "score", "train", "translate", "version"]


@pytest.fixture(scope="module")
def model(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    keys = arguments(train__steps=60, data__synthetic="copy", train__warmup=5, train__metric="loss",
                     train__validate_every=20, model__encoder_units=16, model__decoder_units=16)
    Attend(command, folder)("train", *keys)
    return folder / "run" / "best.att"


def sentences(seed, n):
    rng = random.Random(seed)
    return [" ".join(rng.choice("abcdefgh") for _ in range(rng.randint(1, 15))) for _ in range(n)]


def translate(attend, model, lines, *options):
    return attend("translate", model, "--threads", 1, *options, stdin="".join(x + "\n" for x in lines).encode())


def test_order_is_kept_whatever_the_batch(attend, model):
    lines = sentences(1, 40)
    alone = [translate(attend, model, [line]).rstrip("\n") for line in lines[:4]]
    outputs = {size: translate(attend, model, lines, "--batch", size) for size in (1, 5, 64)}
    assert outputs[1] == outputs[5] == outputs[64]
    assert outputs[1].splitlines()[:4] == alone and outputs[1].count("\n") == 40
    assert len(set(outputs[1].splitlines())) > 1
    backwards = translate(attend, model, lines[::-1], "--batch", 7)
    assert backwards.splitlines() == outputs[1].splitlines()[::-1]


def test_files_and_standard_streams_agree(attend, write, model):
    lines = sentences(2, 5)
    expected = translate(attend, model, lines)
    assert attend("translate", model, write("in", lines)) == expected
    assert attend("translate", model, "-", stdin="\n".join(lines).encode()) == expected
    assert attend("translate", model, "in", "-o", "out") == ""
    assert (attend.folder / "out").read_text() == expected
    assert "folder" in attend.error("translate", model, (attend.folder / "folder").mkdir() or "folder")
    assert "absent" in attend.error("translate", model, "absent")


def test_rounded_weights(attend, model):
    scores = {w: translate(attend, model, sentences(3, 6), "--beam", 2, "--n-best", 2, "--weights", w)
              for w in ("f32", "bf16", "int8", "w8a8")}
    assert scores["f32"] == translate(attend, model, sentences(3, 6), "--beam", 2, "--n-best", 2)
    assert len(set(scores.values())) == 4
    assert "--weights: 'f16'" in attend.error("translate", model, "--weights", "f16")


def test_n_best(attend, model):
    lines = sentences(3, 6)
    best = translate(attend, model, lines, "--beam", 4).splitlines()
    rows = [row.split("\t") for row in translate(attend, model, lines, "--beam", 4, "--n-best", 3).splitlines()]
    assert all(len(row) == 3 for row in rows)
    for number in range(1, 7):
        mine = [(float(score), text) for line, score, text in rows if int(line) == number]
        assert 1 <= len(mine) <= 3 and mine[0][1] == best[number - 1]
        assert mine == sorted(mine, key=lambda x: -x[0]) and all(score < 0 for score, _ in mine)
        assert len({text for _, text in mine}) == len(mine)
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)
    assert "n-best" in attend.error("translate", model, "--beam", 2, "--n-best", 3, stdin=b"a\n").replace("_", "-")


def test_lines_of_every_kind(attend, model):
    normal = translate(attend, model, ["a b c"])
    assert attend("translate", model, stdin=b"") == ""
    assert attend("translate", model, stdin=b"\n\na b c\n\n").splitlines()[2] == normal.rstrip("\n")
    assert attend("translate", model, stdin=b"a b c\r\na b c") == normal * 2
    assert attend("translate", model, "--max-length", 40, stdin=b"a b " * 1250 + b"\na b c\n").count("\n") == 2
    assert attend("translate", model, stdin="ΩΩ 😀\n".encode()).count("\n") == 1


def test_invalid_input_is_named(attend, write, model):
    message = attend.error("translate", model, stdin=b"a b\nc\xff d\n")
    assert re.search(r"standard input:2: invalid UTF-8 at byte 2", message)
    assert "bad:1: " in attend.error("translate", model, write("bad", b"a\0b\n"))


def test_attention_file_and_its_pictures(attend, model):
    lines = sentences(4, 7)
    output = translate(attend, model, lines, "--attention", "a.jsonl", "--alignment", "a.txt").splitlines()
    records = [json.loads(x) for x in (attend.folder / "a.jsonl").read_text().splitlines()]
    pharaoh = (attend.folder / "a.txt").read_text().splitlines()
    assert len(records) == len(pharaoh) == len(output) == 7
    for record, line, pairs in zip(records, lines, pharaoh):
        source, target = record["source"], record["target"]
        (layer,), = record["weights"]
        assert record["kind"] == "cross" and len(layer) == len(target)
        assert "".join(source[:-1]).replace("▁", " ").split() == line.split()
        for row in layer:
            assert len(row) == len(source) and min(row) >= 0 and sum(row) == pytest.approx(1, abs=1e-3)
        for pair in pairs.split():
            i, j = map(int, pair.split("-"))
            assert 0 <= i < len(source) and 0 <= j < len(target)
    for kind, start in {"png": b"\x89PNG", "svg": b"<", "html": b"<"}.items():
        attend("plot", "a.jsonl", "-o", f"p.{kind}")
        content = (attend.folder / f"p.{kind}").read_bytes()
        assert content.startswith(start) and len(content) > 500
    attend("plot", "a.jsonl", "-o", "p.txt")
    assert any(letter in (attend.folder / "p.txt").read_text() for letter in lines[0].split())


def test_quiet(attend, model):
    assert attend.run("translate", model, "--quiet", stdin=b"a b\n" * 200).stderr == b""
    assert attend.run("train", *arguments(train__steps=2), "--quiet").stderr == b""


@pytest.mark.parametrize("beam", [1, 3])
def test_evaluation_is_sacrebleus(attend, write, model, beam):
    lines = sentences(5, 30)
    write("pairs.tsv", [f"{line}\t{line}" for line in lines])
    result = attend.json("evaluate", model, "pairs.tsv", "--beam", beam, "-o", "out")
    hypotheses = (attend.folder / "out").read_text().splitlines()
    assert {"sentences", "tokens", "loss", "perplexity", "accuracy", "bleu", "chrf", "exact_match"} <= set(result)
    assert result["sentences"] == 30 == len(hypotheses)
    assert result["tokens"] == sum(len(line) + 1 for line in lines)
    assert result["bleu"] == BLEU().corpus_score(hypotheses, [lines]).score
    assert result["chrf"] == pytest.approx(CHRF().corpus_score(hypotheses, [lines]).score, rel=1e-12)
    assert result["exact_match"] == pytest.approx(sum(a == b for a, b in zip(hypotheses, lines)) / 30)
    assert hypotheses == translate(attend, model, lines, "--beam", beam).splitlines()
    assert attend.json("evaluate", model, "pairs.tsv", "--limit", 7, "--beam", beam)["sentences"] == 7


def test_synthetic_corpora(attend):
    dates = attend("data", "dates", "-n", 50).splitlines()
    assert len(dates) == 50 and all(re.fullmatch(r"[^\t]+\t\d{4}-\d\d-\d\d", line) for line in dates)
    assert attend("data", "dates", "-n", 20, "--first", 30).splitlines() == dates[30:]
    assert attend("data", "dates", "-n", 50, "--seed", 1).splitlines() != dates
    for line in attend("data", "reverse", "-n", 20).splitlines():
        source, target = line.split("\t")
        assert source[::-1] == target


def test_a_closed_pipe_is_no_error(attend):
    done = subprocess.run(["bash", "-c", f"'{attend.command}' data dates -n 1000000 | head -1"], capture_output=True,
                          timeout=60, check=False)
    assert done.stdout.count(b"\n") == 1 and done.stderr == b"" and done.returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(attend, name):
    text = attend("help", name)
    assert text.startswith(f"Usage: attend {name}") and attend(name, "--help") == text


def test_help_lists_the_commands(attend):
    listed = re.findall(r"^  (\w+)", attend("help"), re.M)
    assert set(COMMANDS) <= set(listed)


def test_demo(attend):
    text = attend("demo", "--json", "--quiet", "--folder", "tmp/demo")
    result = json.loads(text.splitlines()[-1])
    assert result["exact_match"] >= 0.98 and result["seconds"] > 0
    assert (attend.folder / result["picture"]).read_bytes().startswith(b"\x89PNG")
    answer = attend("translate", "tmp/demo/best.att", stdin=b"2nd of March, 1987\nDecember 24, 2019\n")
    assert answer == "1987-03-02\n2019-12-24\n"
