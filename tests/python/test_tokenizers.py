"""Tokenisers give the ids of PyPI's `tokenizers`, on more than 100,000 lines. Those that the data folder lacks are
left out."""

import json
import random

import hard_text
import library
import pytest
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer

SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]


@pytest.fixture(scope="session")
def lines():
    made = list(hard_text.every_code_point()) + list(hard_text.mixture(80000, 2))
    found = list(hard_text.corpora(5000))
    if not found:
        print("no corpora in ../shared/data: generated lines only")
    assert len(made) + len(found) >= 100000
    return made + found


@pytest.fixture(scope="session")
def corpus():
    return list(hard_text.mixture(6000, 1)) + list(hard_text.corpora(2000))


def folder_of(tmp_path, tokenizer, *added):
    """The tokeniser with further added tokens, in a folder."""
    tokenizer = json.loads(tokenizer.to_str())
    at = len(tokenizer["model"]["vocab"])
    plain = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    tokenizer["added_tokens"] += [plain | dict(item, id=at + i) for i, item in enumerate(added)]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return Tokenizer.from_file(str(tmp_path / "tokenizer.json"))


def compare(mine, theirs, lines, lowest=0):
    """Ids of every line; text of every tenth, and of ids from `lowest` drawn at random."""
    for i, line in enumerate(lines):
        text = line if isinstance(line, str) else line.decode(errors="replace")
        want = theirs.encode(text, add_special_tokens=False).ids
        assert mine.encode(line) == want, repr(line)
        if i % 10 == 0:
            assert mine.decode(want) == theirs.decode(want), repr(line)
    draw = random.Random(9)
    for _ in range(1000):
        ids = [draw.randrange(lowest, len(mine)) for _ in range(draw.randrange(1, 20))]
        assert mine.decode(ids) == theirs.decode(ids), ids


@pytest.fixture(scope="session")
def byte_bpe(corpus):
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(corpus, vocab_size=6000, min_frequency=2, special_tokens=SPECIALS, show_progress=False)
    return made._tokenizer


def test_byte_bpe_learns_the_same_merges(attend_library, byte_bpe, corpus):
    mine = attend_library.train([line.encode() for line in corpus], kind=library.BYTE_BPE, normalise=library.NONE,
                                vocabulary=6000, min_count=2)
    model, want = json.loads(mine.to_json())["model"]["model"], json.loads(byte_bpe.to_str())["model"]
    assert model["merges"] == want["merges"]
    assert model["vocab"] == want["vocab"]
    assert [mine.role(role) for role in range(5)] == [0, 1, 2, 3, -1]


@pytest.mark.parametrize("prefix", [False, True])
def test_byte_bpe_ids(attend_library, byte_bpe, lines, tmp_path, prefix):
    byte_bpe.pre_tokenizer.add_prefix_space = prefix
    theirs = folder_of(tmp_path, byte_bpe, {"content": "<|endoftext|>"}, {"content": "<|\u65e5\u672c|>", "special": False},
                       {"content": "[MASK]", "lstrip": True, "normalized": True},
                       {"content": "[CLS]", "rstrip": True})
    mine = attend_library.read(tmp_path)
    compare(mine, theirs, lines if not prefix else lines[::10])
    compare(mine, theirs, hard_text.broken(10000 if not prefix else 1000, 3))
    again = attend_library.from_json(mine.to_json())
    compare(again, theirs, lines[::200])


def test_byte_bpe_of_two_files(attend_library, byte_bpe, lines, tmp_path):
    byte_bpe.pre_tokenizer.add_prefix_space = False
    byte_bpe.model.save(str(tmp_path))
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    vocabulary["<|endoftext|>"] = len(vocabulary)
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    theirs = ByteLevelBPETokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    theirs.add_special_tokens(["<|endoftext|>"])
    mine = attend_library.read(tmp_path)
    compare(mine, theirs, lines[::50], lowest=len(SPECIALS))
    assert [mine.role(role) for role in range(5)] == [0, 1, 2, 3, -1]
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": "<|endoftext|>"}}))
    assert attend_library.read(tmp_path).role(library.EOS) == vocabulary["<|endoftext|>"]


def test_byte_bpe_files_for_tokenizers(attend_library, corpus, tmp_path):
    """PLAIN is NFKC; the two follow different versions of Unicode, so only the scripts of every day."""
    corpus = [line for line in corpus if not any(c == "\0" or "\u0500" < c < "\u3000" or "\uffff" < c < "\U0001f300"
                                                  or c > "\U0001fa00" for c in line)]
    mine = attend_library.train([line.encode() for line in corpus], kind=library.BYTE_BPE, normalise=library.PLAIN,
                                vocabulary=500)
    mine.write(tmp_path)
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for line in corpus:
        assert mine.encode(line) == theirs.encode(line).ids, repr(line)
    pair = ByteLevelBPETokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    assert pair.get_vocab() == theirs.get_vocab()
    assert pair.encode("the two files are the same").ids == theirs.encode("the two files are the same").ids


@pytest.fixture(scope="session")
def wordpiece(corpus):
    made = BertWordPieceTokenizer()
    made.train_from_iterator(corpus, vocab_size=5000, limit_alphabet=2000, show_progress=False)
    return made.get_vocab()


@pytest.mark.parametrize("cased", [False, True])
def test_wordpiece_learns_the_same_vocabulary(attend_library, corpus, cased):
    """`tokenizers` numbers "##" and a character in the order of a hash table, another in every run, and breaks ties by
    these numbers: here they are told in advance, as special tokens."""
    theirs = BertWordPieceTokenizer(lowercase=not cased)
    words = {word for line in corpus
             for word, _ in theirs.pre_tokenizer.pre_tokenize_str(theirs.normalizer.normalize_str(line))}
    symbols = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({c for word in words for c in word}),
               *sorted({"##" + c for word in words for c in word[1:]})]
    vocabulary = len(symbols) + 3000
    theirs.train_from_iterator(corpus, vocab_size=vocabulary, min_frequency=1, limit_alphabet=10**6,
                               special_tokens=symbols, show_progress=False)
    mine = attend_library.train([line.encode() for line in corpus], kind=library.WORDPIECE, vocabulary=vocabulary,
                                coverage=1, cased=cased)
    model = json.loads(mine.to_json())["model"]
    assert model["model"]["vocab"] == theirs.get_vocab()
    assert [mine.role(role) for role in range(5)] == [0, 1, 2, 3, 4]
    assert all(token["special"] for token in model["added_tokens"]) and len(model["added_tokens"]) == 5


def test_wordpiece_files_for_tokenizers(attend_library, corpus, lines, tmp_path):
    mine = attend_library.train([line.encode() for line in corpus], kind=library.WORDPIECE, min_count=3,
                                coverage=0.9)
    mine.write(tmp_path)
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    compare(mine, theirs, lines[::20] + ["the [MASK] sat.", "[CLS][SEP] [PAD]x"])
    again = attend_library.read(tmp_path)
    assert again.to_json() == mine.to_json()


@pytest.mark.parametrize("switches", [
    dict(),
    dict(lowercase=False),
    dict(clean_text=False, strip_accents=False),
    dict(handle_chinese_chars=False, lowercase=False, strip_accents=True),
])
def test_wordpiece_ids(attend_library, wordpiece, lines, tmp_path, switches):
    theirs = BertWordPieceTokenizer(wordpiece, **switches)
    theirs = folder_of(tmp_path, theirs._tokenizer, {"content": "[late]", "normalized": True, "special": False},
                       {"content": "~~", "lstrip": True})
    mine = attend_library.read(tmp_path)
    compare(mine, theirs, lines if not switches else lines[::4])
    compare(mine, theirs, hard_text.broken(10000 if not switches else 1000, 3))
    again = attend_library.from_json(mine.to_json())
    compare(again, theirs, lines[::200])
    mine.write(tmp_path)
    compare(mine, Tokenizer.from_file(str(tmp_path / "tokenizer.json")), lines[::200])


def test_wordpiece_of_one_file(attend_library, wordpiece, lines, tmp_path):
    pieces = sorted(wordpiece, key=wordpiece.get)
    (tmp_path / "vocab.txt").write_text("".join(piece + "\n" for piece in pieces))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "cls_token": "[CLS]"}))
    theirs = BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=False)
    mine = attend_library.read(tmp_path)
    compare(mine, theirs._tokenizer, lines[::50])
    assert [mine.role(role) for role in range(5)] == [0, 1, 2, 3, 4]


def test_wordpiece_pairs(attend_library, wordpiece, tmp_path):
    theirs = BertWordPieceTokenizer(wordpiece)
    theirs.save(str(tmp_path / "tokenizer.json"))
    mine = attend_library.read(tmp_path)
    draw = random.Random(5)
    texts = list(hard_text.mixture(600, 8))
    for first, second in zip(texts[::2], texts[1::2]):
        most = draw.choice([0, 4, 7, 16, 33])
        second = draw.choice([None, second])
        theirs.no_truncation() if most == 0 else theirs.enable_truncation(most)
        want = theirs.encode(first, second)
        assert mine.encode_pair(first, second, most) == (want.ids, want.type_ids)


@pytest.mark.parametrize("change, message", [
    (lambda j: j["model"].update(type="Unigram"), '"model.type" is "Unigram", expected "BPE" or "WordPiece"'),
    (lambda j: j["model"].update(dropout=0.1), '"model.dropout" is 0.1'),
    (lambda j: j.update(pre_tokenizer={"type": "Whitespace"}), '"pre_tokenizer" is {"type":"Whitespace"}'),
    (lambda j: j.update(normalizer={"type": "Lowercase"}), '"normalizer" is {"type":"Lowercase"}'),
    (lambda j: j["model"]["vocab"].update(zzz=10**6), '"zzz" has the number 1000000'),
    (lambda j: j["model"]["merges"].append(["zz", "y"]), "is not in the vocabulary"),
    (lambda j: j["added_tokens"][0].update(single_word=True), '"added_tokens.single_word" is true, expected false'),
])
def test_what_is_not_supported_is_named(attend_library, byte_bpe, tmp_path, change, message):
    model = json.loads(byte_bpe.to_str())
    change(model)
    (tmp_path / "tokenizer.json").write_text(json.dumps(model))
    with pytest.raises(ValueError) as found:
        attend_library.read(tmp_path)
    assert message in str(found.value) and "tokenizer.json: " in str(found.value)


def test_a_folder_without_a_tokeniser_is_told(attend_library, tmp_path):
    with pytest.raises(ValueError, match="no tokenizer.json, source.spm, vocab.json or vocab.txt there"):
        attend_library.read(tmp_path)
