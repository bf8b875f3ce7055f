"""Lines that are hard on tokenisers: every code point, mixed scripts, emoji, control characters, invalid UTF-8."""

import gzip
import pathlib
import random

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"

BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x250, 0x370), (0x370, 0x400), (0x400, 0x530), (0x590, 0x700), (0x900, 0xD00),
          (0xE00, 0x1000), (0x10A0, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2C00), (0x3000, 0x3200), (0x4E00, 0x9FFF),
          (0xAC00, 0xD7A4), (0xF900, 0xFB00), (0xFE00, 0x10000), (0x1F300, 0x1FB00), (0x10000, 0x12000),
          (0x1D100, 0x1D800), (0xE0000, 0xE0200)]
PIECES = ["don't", "we'll", "I'M", "it's", "they'd've", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n ", "...", "--", "''",
          "'s", "'", "<|endoftext|>", "[MASK]", "[CLS]", "[LATE]", "~~", "<s>", "</s>", "<pad>", "123", "3.14", "\u00a0", "\u2028", "\u3000",
          "\u200b", "\u200d", "\ufeff", "e\u0301", "\u0130", "\u01c5", "\ufb01", "\u1e9e", "\ud55c\uad6d", "\u0e01\u0e33",
          "\U0001f469\u200d\U0001f469\u200d\U0001f466", "\U0001f1e9\U0001f1ea", "\u4f60\u597d", "\uff21\uff22",
          "\u2581", "\u2047", "\ufffd", "\x00", "\x01", "\x1c", "\x7f", "\x85", "##ing", "Hello", "world", "the", "The"]


def code_points(*blocks):
    return [c for a, b in blocks for c in range(a, b) if not 0xD800 <= c < 0xE000]


def every_code_point():
    """Each one alone between letters, 16 a line, and each line without the letters."""
    codes = code_points((0, 0x110000))
    codes = [c for c in codes if c < 0x32000 or c >= 0xE0000 and c % 64 < 2 or c % 256 < 2]
    for i in range(0, len(codes), 16):
        part = codes[i:i + 16]
        yield "a".join(map(chr, part))
        yield "".join(map(chr, part))


def mixture(n, seed):
    """n lines: pieces and runs of code points of one script after the other."""
    draw = random.Random(seed)
    for _ in range(n):
        line = []
        for _ in range(draw.randrange(1, 12)):
            if draw.random() < 0.5:
                line.append(draw.choice(PIECES))
            else:
                a, b = draw.choice(BLOCKS)
                line.extend(chr(draw.randrange(a, b)) for _ in range(draw.randrange(1, 8)))
            if draw.random() < 0.4:
                line.append(" ")
        yield "".join(line)


def broken(n, seed):
    """n lines of bytes that are mostly not UTF-8."""
    draw = random.Random(seed)
    for line in mixture(n, seed + 1):
        data = bytearray(line.encode())
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(data) + 1)
            if draw.random() < 0.5:
                data[at:at + draw.randrange(3)] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 4)))
            else:
                del data[at:at + 1]
        yield bytes(data)


def corpora(most):
    """Up to `most` lines of each corpus that is there."""
    for path in sorted(DATA.glob("*/*")):
        if path.suffix == ".gz" and path.stem.endswith((".tsv", ".txt", ".en", ".de", ".fr")):
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
                for line, _ in zip(file, range(most)):
                    yield line
