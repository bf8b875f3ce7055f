"""Writes src/text/unicode_classes.h: the sorts of code points as PyPI's `tokenizers` sees them.

    python tests/text/unicode_classes.py > src/text/unicode_classes.h        (tokenizers 0.23.3)

Its parts follow different versions of Unicode, so no Unicode library agrees with it; each property is asked of the
program itself, for every code point."""

import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

EVERY = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def matching(pattern):
    """Code points that a pattern of GPT-2's kind matches."""
    rest = pre_tokenizers.Split(Regex(f"(?:{pattern})+"), "removed")
    found = set()
    for base in range(0, len(EVERY), 4096):
        part = EVERY[base:base + 4096]
        found.update(part)
        for _, (a, b) in rest.pre_tokenize_str("".join(map(chr, part))):
            found.difference_update(part[a:b])
    return found


def bert(**switch):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    normalise = normalizers.BertNormalizer(**(off | switch)).normalize_str
    return {c: normalise(chr(c)) for c in EVERY}


def ranges(of):
    """(first, last, value) of runs of equal values that are not 0."""
    runs = []
    for c in EVERY:
        value = of(c)
        if value and runs and runs[-1][1] == c - 1 and runs[-1][2] == value:
            runs[-1][1] = c
        elif value:
            runs.append([c, c, value])
    return runs


def table(rows):
    line = ""
    for row in rows:
        item = "{" + ", ".join(row) + "}, "
        if len(line) + len(item) > 115:
            print("    " + line.rstrip())
            line = ""
        line += item
    print("    " + line.rstrip())


splits = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
apart = {c: len(splits("a" + chr(c) + "b")) for c in EVERY}
sets = [  # bit i of a sort is row i, as in src/text/unicode.h
    ("LETTER", matching(r"\p{L}")),
    ("NUMBER", matching(r"\p{N}")),
    ("SPACE", matching(r"\s")),
    ("PUNCTUATION", {c for c in EVERY if apart[c] == 3}),
    ("REMOVED", {c for c, text in bert(clean_text=True).items() if text == ""}),
    ("MARK", {c for c, text in bert(strip_accents=True).items() if text == ""}),
    ("IDEOGRAPH", {c for c, text in bert(handle_chinese_chars=True).items() if text != chr(c)}),
]
assert {c for c in EVERY if apart[c] == 2} == sets[2][1]
lower = {c: ord(text) - c for c, text in bert(lowercase=True).items() if len(text) == 1 and text != chr(c)}
python = {c: ord(chr(c).lower()) - c for c in EVERY if len(chr(c).lower()) == 1 and chr(c).lower() != chr(c)}
assert unicodedata.unidata_version == "14.0.0" and all(python[c] == lower[c] for c in python)

print(f"""/* Sorts of code points as tokenizers {tokenizers.__version__} sees them. Written by tests/text/unicode_classes.py. */
#ifndef ATT_TEXT_UNICODE_CLASSES_H
#define ATT_TEXT_UNICODE_CLASSES_H

#include <stdint.h>

/* clang-format off */
static const struct {{ int32_t first, last; uint8_t sorts; }} code_ranges[] = {{""")
table((f"0x{a:X}", f"0x{b:X}", str(v))
      for a, b, v in ranges(lambda c: sum(1 << bit for bit, (_, members) in enumerate(sets) if c in members)))
print("""};

/* Capital letters that came after Unicode 14: what to add to them. */
static const struct { int32_t first, last, add; } late_capitals[] = {""")
table((f"0x{a:X}", f"0x{b:X}", str(v)) for a, b, v in ranges(lambda c: lower.get(c, 0) if c not in python else 0))
print("""};
/* clang-format on */

#endif""")
