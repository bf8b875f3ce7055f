"""What cannot be: exit status 2 (1 where the machine is at fault), a message that says where, nothing written."""

import os
import random
import re
import subprocess

import pytest

from conftest import SANITIZED, Attend
from test_inspect import safetensors
from tiny import arguments, read_safetensors

PAIRS = [f"word{i % 7} and {i % 5}\t{i % 5} und wort{i % 7}" for i in range(50)]


@pytest.fixture(scope="module")
def model(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    Attend(command, folder)("train", *arguments(train__steps=4, train__validate_every=4))
    return folder / "run" / "best.att"


def refused(attend, *operands, status=2):
    """The message of a training that must not begin, and leave no trace."""
    before = sorted(attend.folder.rglob("*"))
    message = attend.error("train", *operands, status=status)
    assert sorted(attend.folder.rglob("*")) == before
    return message


def of_files(train="train.tsv", valid="valid.tsv", **changes):
    return arguments(data__synthetic="", data__train=train, data__valid=valid, **changes)


@pytest.mark.parametrize("content, expected", [
    (PAIRS[:6] + ["one column"] + PAIRS, r"train\.tsv:7: 1 column, expected at least 2"),
    ("\n".join(PAIRS[:3]).encode() + b"\nna\xefve\tx\n", r"train\.tsv:4: invalid UTF-8 at byte 3"),
    (PAIRS[:2] + ["\tnothing"], r"train\.tsv:3: the source .*empty"),
    (PAIRS[:2] + ["nothing\t "], r"train\.tsv:3: the target .*empty"),
    (b"a\0b\tc\n", r"train\.tsv:1: a NUL at byte 2"),
    (b"", r"train\.tsv: no lines"),
    (b"\x1f\x8b\x08\x00cut", r"train\.tsv: "),
    (None, r"train\.tsv: no such file"),
])
@pytest.mark.parametrize("which", ["train", "valid"])
def test_corpora(attend, write, content, expected, which):
    for name in "train", "valid":
        write(f"{name}.tsv", PAIRS)
    (attend.folder / f"{which}.tsv").unlink()
    if content is not None:
        write(f"{which}.tsv", content)
    assert re.search(expected.replace("train", which), refused(attend, *of_files()), re.I)


def test_two_files_must_be_aligned(attend, write):
    write("valid.tsv", PAIRS)
    write("a", ["x y", "z"])
    write("b", ["x"])
    message = refused(attend, *of_files(train="a,b"))
    assert re.search(r"a has 2 lines and b has 1", message)


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_a_vocabulary_larger_than_the_data(attend, tokenizer):
    message = refused(attend, *arguments(text__tokenizer=tokenizer, text__vocabulary=5000))
    assert re.search(r"vocabulary is 5000, expected at most \d+", message)


@pytest.mark.parametrize("assignment, expected", [
    ("train.stpes=5", r"train\.stpes.*did you mean 'train\.steps'"),
    ("model.nothing_like_it=5", r"model\.nothing_like_it"),
    ("model.embedding=many", r"model\.embedding: 'many', expected an integer"),
    ("model.embedding=1.5", r"model\.embedding: .1\.5., expected an integer"),
    ("model.embedding=0", r"model\.embedding: 0, expected an integer from 1 to"),
    ("model.encoder_units=0", r"model\.encoder_units: 0, expected"),
    ("model.decoder_units=1000000000", r"model\.decoder_units: 1000000000, expected"),
    ("train.steps=99999999999999999999", r"train\.steps: "),
    ("train.lr=nan", r"train\.lr: .nan., expected"),
    ("train.lr=-1", r"train\.lr: -1(\.0)?, expected"),
    ("model.cell=gruu", r"model\.cell: 'gruu', expected gru"),
    ("model.tied=perhaps", r"model\.tied: 'perhaps', expected"),
    ("model.attention=dot", r"model\.attention: dot compares states of 8 units with keys of 16"),
    ("model.input_feeding=true", r"model\.input_feeding: .*model\.attend: after"),
    ("model.shared=true", r"model\.shared: .*text\.shared"),
    ("data.synthetic=datse", r"datse.*dates"),
    ("data.max_length=1", r"data\.max_length: no training pair"),
    ("nonsense", r"'nonsense': expected key=value"),
    ("--resum", r"--resum: unknown option; did you mean --resume"),
    ("--threads=x", r"--threads: 'x', expected"),
])
def test_assignments(attend, assignment, expected):
    assert re.search(expected, refused(attend, *arguments(), assignment))


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer needs 16 TB of addresses itself")
def test_more_memory_than_there_is(attend):
    """About 500 GB: refused before it is touched."""
    widths = dict.fromkeys(("model__embedding", "model__encoder_units", "model__decoder_units"), 65536)
    code = "import resource, sys, os; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(["python3", "-c", code, attend.command, "train", *map(str, arguments(**widths))],
                          cwd=attend.folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and b"out of memory" in done.stderr
    assert not any(attend.folder.iterdir())


@pytest.mark.parametrize("lines, expected", [
    (["data:", "  synthetic: dates", "model:", "  cell: gru", "  cell: lstm"], r"r\.yaml:5: .*model\.cell"),
    (["data:", "  synthetic: dates", "model:", "  unist: 5"], r"r\.yaml:4: .*unist"),
    (["model:", "  embedding: wide"], r"r\.yaml:2: model\.embedding: 'wide', expected an integer"),
    (["model:", "  embedding: [1, 2]"], r"r\.yaml:2: "),
    (["train:", "  steps: 0"], r"r\.yaml:2: train\.steps: 0, expected"),
    (["train: 5"], r"r\.yaml:1: "),
    (["model: {cell: gru"], r"r\.yaml:\d: "),
    (["\tmodel: 1"], r"r\.yaml:1: "),
    (["just text"], r"r\.yaml:1: "),
    (["- a", "- b"], r"r\.yaml:1: "),
    (b"\xff\xfe\x00\x01", r"r\.yaml"),
])
def test_recipes(attend, write, lines, expected):
    assert re.search(expected, refused(attend, write("r.yaml", lines)))


def test_missing_recipe(attend):
    assert "absent.yaml: no such file" in refused(attend, "absent.yaml")
    assert "directory" in refused(attend, attend.folder)


def every_reader(attend, path):
    """The messages of every command that reads a model."""
    for arguments_ in (["translate", path], ["evaluate", path], ["inspect", path], ["plot", path, "-o", "p.png"]):
        done = attend.run(*arguments_, stdin=b"1 May 2001\n")
        assert done.returncode == 2, (arguments_, done.returncode, done.stderr)
        assert done.stdout == b"" and not (attend.folder / "p.png").exists()
        assert path.encode() in done.stderr, done.stderr
        yield done.stderr.decode()


@pytest.mark.parametrize("share", [0, 1e-9, 0.001, 0.02, 0.3, 0.9, 0.9999])
def test_cut_models(attend, write, model, share):
    whole = model.read_bytes()
    assert len(list(every_reader(attend, write("m", whole[:int(share * len(whole)) + (share == 1e-9)])))) == 4


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits(attend, write, model, seed):
    content, rng = bytearray(model.read_bytes()), random.Random(seed)
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    for command in "translate", "inspect":
        done = attend.run(command, write("m", bytes(content)), stdin=b"1 May 2001\n")
        assert done.returncode == 2 and b"m: " in done.stderr


def test_other_files_are_no_models(attend, write):
    for content in b"Just some text, which is long enough.\n", safetensors({"w": ("F32", [2], bytes(8))}):
        messages = [attend.error(command, write("m", content), stdin=b"x\n") for command in ("translate", "evaluate")]
        assert all("m: " in message for message in messages)
    (attend.folder / "folder").mkdir()
    assert all("directory" in message for message in every_reader(attend, "folder"))
    assert all(re.search("o such file|not exist", message) for message in every_reader(attend, "absent"))


def test_models_whose_configuration_lies(attend, write, model):
    content = model.read_bytes()
    for old, new in [(b'\\"encoder_units\\":8', b'\\"encoder_units\\":9'), (b'\\"cell\\":\\"gru\\"', b'\\"cell\\":\\"grx\\"'),
                     (b"attend.recipe", b"attend.recipX")]:
        assert content.count(old) >= 1, old
        done = attend.run("translate", write("m", content.replace(old, new, 1)), stdin=b"x\n")
        assert done.returncode == 2 and done.stdout == b"" and b"m" in done.stderr


def test_unwritable_output(attend, model):
    assert "absent/out" in attend.error("translate", model, "-o", "absent/out", stdin=b"1 May 2001\n", status=1)
    assert "absent/p" in attend.error("translate", model, "--attention", "absent/p", stdin=b"1 May 2001\n", status=1)
    assert "absent/o" in attend.error("evaluate", model, "-o", "absent/o", "--limit", 2, status=1)
    (attend.folder / "file").write_text("x")
    assert "file" in attend.error("train", *arguments(train__folder="file/run"), status=1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk_keeps_the_previous_checkpoint(attend, small_disk):
    keys = arguments(train__folder=small_disk / "run", train__steps=400, train__save_every=5, train__validate_every=400)
    process = subprocess.Popen([attend.command, *map(str, ["train", *keys, "--quiet"])], cwd=attend.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not (small_disk / "run/last.att").exists():
        pass
    try:
        with open(small_disk / "filler", "wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
    except OSError:
        pass
    _, message = process.communicate(timeout=60)
    assert process.returncode == 1 and re.search(b"run/.*No space left", message)
    assert not [name for name in os.listdir(small_disk / "run") if name not in ("last.att", "log.jsonl", "recipe.yaml")]
    tensors, _ = read_safetensors(small_disk / "run/last.att")
    assert tensors
    (small_disk / "filler").unlink()
    attend("inspect", small_disk / "run/last.att")
    attend("train", *keys, "train.steps=20", "--resume")


def test_results_on_a_full_disk(attend, model):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([attend.command, "data", "dates", "-n", "9"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"No space left" in done.stderr
    assert "No space left" in attend.error("translate", model, "-o", "/dev/full", stdin=b"1 May 2001\n", status=1)
