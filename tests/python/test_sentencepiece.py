"""SentencePiece's unigram and BPE models: the pieces of PyPI's `sentencepiece` on more than 100,000 lines, and Marian's numbers
for them."""

import json

import hard_text
import library
import pytest
import sentencepiece


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A small model as Marian keeps one: source.spm, and a vocabulary that knows fewer pieces, and others."""
    path = tmp_path_factory.mktemp("marian")
    lines = 40 * list(hard_text.mixture(80, 1))
    (path / "corpus").write_text("\n".join(line.translate({0: None, 10: " ", 13: " "}) for line in lines))
    sentencepiece.SentencePieceTrainer.train(input=str(path / "corpus"), model_prefix=str(path / "source"), vocab_size=1200, hard_vocab_limit=False,
                                             model_type="unigram", character_coverage=0.98, minloglevel=2)
    (path / "source.model").rename(path / "source.spm")
    sentencepiece.SentencePieceTrainer.train(input=str(path / "corpus"), model_prefix=str(path / "bpe"),
                                             vocab_size=1600, model_type="bpe", character_coverage=0.98, minloglevel=2)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path / "source.spm"))
    pieces = [theirs.id_to_piece(i) for i in range(3, len(theirs)) if i % 50]
    pieces = ["</s>", "<unk>", *reversed(pieces), "\u4f60\u597d", "\u2581never", "<pad>"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    (path / "vocab.json").write_text(json.dumps(vocabulary))
    return path


@pytest.fixture(scope="session")
def theirs(folder):
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))


@pytest.fixture(scope="session")
def lines():
    """`sentencepiece` takes a NUL for a character, as we do."""
    made = list(hard_text.every_code_point()) + list(hard_text.mixture(90000, 2)) + list(hard_text.corpora(5000))
    assert len(made) >= 100000
    return made


@pytest.mark.parametrize("name", ["source.spm", "bpe.model"])
def test_pieces(attend_library, folder, lines, name):
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(folder / name))
    mine = attend_library.read(folder / name)
    for i, line in enumerate(lines):
        want = theirs.encode(line)
        assert mine.encode(line) == want, repr(line)
        if i % 10 == 0:
            assert mine.decode(want) == theirs.decode(want), repr(line)
    for line in hard_text.broken(10000, 3):
        assert mine.encode(line) == theirs.encode(line.decode(errors="replace")), line
    assert [mine.role(role) for role in range(5)] == [-1, 0, 1, 2, -1]


def test_marian_numbers(attend_library, folder, theirs, lines, tmp_path):
    vocabulary = json.loads((folder / "vocab.json").read_text())
    mine = attend_library.read(folder)
    again = attend_library.from_json(mine.to_json())
    mine.write(tmp_path)
    written = attend_library.read(tmp_path)
    for line in lines[::20]:
        want = [vocabulary.get(piece, vocabulary["<unk>"]) for piece in theirs.encode(line, out_type=str)]
        assert mine.encode(line) == again.encode(line) == written.encode(line) == want, repr(line)
    pad, unknown, end = vocabulary["<pad>"], vocabulary["<unk>"], vocabulary["</s>"]
    assert [mine.role(role) for role in (library.PAD, library.UNK, library.EOS)] == [pad, unknown, end]
    assert mine.decode([*mine.encode("the words"), end, pad]) == "the words"


def test_bpe_in_a_folder(attend_library, folder, lines, tmp_path):
    """Marian's numbers of BPE's pieces, through the files and JSON."""
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(folder / "bpe.model"))
    vocabulary = {theirs.id_to_piece(i): len(theirs) - 1 - i for i in range(len(theirs))} | {"<pad>": len(theirs)}
    (tmp_path / "source.spm").write_bytes((folder / "bpe.model").read_bytes())
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    mine = attend_library.read(tmp_path)
    again = attend_library.from_json(mine.to_json())
    for line in lines[::50]:
        want = [vocabulary.get(piece, vocabulary["<unk>"]) for piece in theirs.encode(line, out_type=str)]
        assert mine.encode(line) == again.encode(line) == want, repr(line)


def test_what_is_not_supported_is_named(attend_library, folder, tmp_path):
    def train(**options):
        sentencepiece.SentencePieceTrainer.train(input=str(folder / "corpus"), model_prefix=str(tmp_path / "other"),
                                                 character_coverage=0.98, minloglevel=2, **options)
        return tmp_path / "other.model"
    with pytest.raises(ValueError, match=r"model_type is 4, expected 1 \(unigram\) or 2 \(bpe\)"):
        attend_library.read(train(vocab_size=500, hard_vocab_limit=False, model_type="char"))
    with pytest.raises(ValueError, match="piece 3 is of type 6, expected normal, unknown, control or unused"):
        attend_library.read(train(vocab_size=1600, model_type="bpe", byte_fallback=True))
    (tmp_path / "short").write_bytes((folder / "source.spm").read_bytes()[:5000])
    with pytest.raises(ValueError, match="damaged"):
        attend_library.read(tmp_path / "short")
