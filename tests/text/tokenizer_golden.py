"""Writes tokenizer_golden.json: two small tokenisers, and what PyPI's `tokenizers` makes of some lines with them.

    python tests/text/tokenizer_golden.py        (tokenizers 0.23.3)"""

import json
import pathlib
import sys

from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
import hard_text  # noqa: E402

CORPUS = ["the cat sat on the mat, and the dog didn't", "The words that people use don't change; they're the same",
          "1987 was 12 years before 1999", "caf\u00e9 na\u00efve \u4f60\u597d \U0001f642 \u043f\u0440\u0438\u0432\u0435\u0442"] * 4

byte_bpe = ByteLevelBPETokenizer()
byte_bpe.train_from_iterator(CORPUS, vocab_size=340, min_frequency=1, show_progress=False)
byte_bpe.add_special_tokens(["<|endoftext|>"])
wordpiece = BertWordPieceTokenizer()
wordpiece.train_from_iterator(CORPUS, vocab_size=120, min_frequency=1, show_progress=False)

lines = [line.encode() for line in CORPUS[:4]] + [b"", b" ", b"\n\n a", b"<|endoftext|>the[MASK] [CLS]", b"x" * 101]
lines += [line.encode() for line in hard_text.mixture(40, 77)] + list(hard_text.broken(40, 78))
cases = []
for name, tokenizer in [("byte-bpe", byte_bpe), ("wordpiece", wordpiece)]:
    rows = []
    for line in lines:
        ids = tokenizer.encode(line.decode(errors="replace"), add_special_tokens=False).ids
        rows.append([line.hex(), ids, tokenizer.decode(ids)])
    cases.append({"kind": name, "tokenizer": json.loads(tokenizer._tokenizer.to_str()), "lines": rows})
(HERE / "tokenizer_golden.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
