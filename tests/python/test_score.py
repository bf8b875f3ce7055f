"""attend score prints what sacreBLEU prints, to the last digit."""

import json
import logging
import random
import re
import time

import pytest
from sacrebleu.metrics import BLEU, CHRF

logging.getLogger("sacrebleu").setLevel(logging.ERROR)

TOKENIZERS = ["13a", "intl", "char", "none"]
SMOOTHINGS = ["exp", "floor", "add-k", "none"]

PLAIN = """The cat sat on the mat.
I don't think it's going to rain today, but you never know!
He paid $1,234.56 (about 1.200 euros) for a 10-year-old car.
"Where were you?" she asked; "At home," he said...
Mr. Smith went to Washington, D.C., on Jan. 5th at 5:30 p.m.
¿Dónde está la biblioteca? — Allí, a la derecha.
L'été, il fait 30 °C à l'ombre : c'est trop !
Die Straße führt über den Fluß nach Köln-Ehrenfeld.
Η Οδύσσεια: «Ὁ ΟΔΥΣΣΕΥΣ» έφυγε.
İstanbul'da ILIK bir gün.
今日は、いい天気ですね。１２，３４５円
Он сказал: «Нет, 3,5 % — это мало».
تكلفة ٣٫٥ دولار، تقريبًا ٥٠٪.
AT&amp;T said &quot;x &lt; y&quot; &amp;amp; &gt;&gt; &nbsp; &#39;
e-mail: a.b_c@d-e.org, http://x.org/?q=1&r=2#top
50% off! #sale @shop ~5 * 3 = 15^2 `code` {a|b} [c] \\ /
U.S.A. vs. U.K.: 2-1, 3-0; -5 +5 .5 5. ,5 5, 1.2.3 1,2,3 2-3-4
👍🏽 👨\u200d👩\u200d👧 family e\u0301 é ½ Ⅷ ² ™ € ₿
a
.
1
-

\u3000
<skipped> skip <skipped>ped
tab\tand\u00a0no-break\u2003em\u200bzero\ufeffbom
ends with spaces   
don 't don ' t d'on""".split("\n")

ALPHABET = ".,-0123456789aZ'\"&<>%$;: \t\u00a0ΣσΑéß—…、１＄\u0301Ⅻⓐ😀"


def lines_of_text(rng, n):
    def line():
        kind = rng.random()
        if kind < 0.5:
            return rng.choice(PLAIN)
        if kind < 0.75:
            return " ".join(rng.choice(rng.choice(PLAIN).split(" ")) for _ in range(rng.randint(0, 25)))
        return "".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 40)))

    return [line() for _ in range(n)]


def reworded(rng, line):
    words = line.split(" ")
    for _ in range(rng.randint(0, 4)):
        i = rng.randrange(len(words))
        other = rng.choice(rng.choice(PLAIN).split(" "))
        words[i] = rng.choice([other, words[i].upper(), words[i] + rng.choice(ALPHABET), words[i][1:], ""])
    return " ".join(words)


def corpus(seed):
    """Hypotheses and references as sacreBLEU's command hands them on: without white space at the end."""
    rng = random.Random(seed)
    hyps = lines_of_text(rng, rng.choice([1, 1, 2, 5, 40]))
    refs = [[reworded(rng, h) for h in hyps] for _ in range(rng.choice([1, 1, 2, 4]))]
    return [h.rstrip() for h in hyps], [[r.rstrip() for r in stream] for stream in refs]


def printed(metric, hyps, refs):
    score = metric.corpus_score(hyps, refs)
    return score.format(signature=metric.get_signature().format()), score.score


def bleu_of(rng):
    tokenizer, method = rng.choice(TOKENIZERS), rng.choice(SMOOTHINGS)
    value = rng.choice([None, 0.02, 0.5, 3.0]) if method in ("floor", "add-k") else None
    effective = rng.random() < 0.5
    flags = ["--tokenize", tokenizer, "--smooth-method", method] + ["--effective-order"] * effective
    if value is not None:
        flags += ["--smooth-value", value]
    return {"tokenize": tokenizer, "smooth_method": method, "smooth_value": value, "effective_order": effective}, flags


def chrf_of(rng):
    chars, words, beta = rng.choice([6, 6, 1, 3, 8]), rng.choice([0, 2, 1, 3]), rng.choice([2, 2, 1, 3])
    whitespace, eps = rng.random() < 0.3, rng.random() < 0.3
    flags = ["--chrf-char-order", chars, "--chrf-word-order", words, "--chrf-beta", beta]
    flags += ["--chrf-whitespace"] * whitespace + ["--chrf-eps-smoothing"] * eps
    return {"char_order": chars, "word_order": words, "beta": beta, "whitespace": whitespace,
            "eps_smoothing": eps}, flags


def write_corpus(write, hyps, refs):
    return [write("hyp", hyps)] + [write(f"ref{i}", stream) for i, stream in enumerate(refs)]


@pytest.mark.parametrize("seed", range(40))
def test_defaults(attend, write, seed):
    hyps, refs = corpus(seed)
    files = write_corpus(write, hyps, refs)
    bleu, bleu_score = printed(BLEU(), hyps, refs)
    chrf, chrf_score = printed(CHRF(), hyps, refs)
    assert attend("score", *files).splitlines() == [bleu, chrf]
    result = attend.json("score", *files)
    assert result["bleu"] == pytest.approx(bleu_score, rel=1e-12, abs=1e-12)
    assert result["chrf"] == pytest.approx(chrf_score, rel=1e-12, abs=1e-12)
    assert bleu.startswith("BLEU|" + result["bleu_signature"] + " = ")
    assert chrf.startswith("chrF2|" + result["chrf_signature"] + " = ")


@pytest.mark.parametrize("seed", range(200))
def test_every_option(attend, write, seed):
    rng = random.Random(seed)
    hyps, refs = corpus(1000 + seed)
    lowercase = rng.random() < 0.5
    bleu, bleu_flags = bleu_of(rng)
    chrf, chrf_flags = chrf_of(rng)
    flags = bleu_flags + chrf_flags + ["--lowercase"] * lowercase
    want = [printed(BLEU(lowercase=lowercase, **bleu), hyps, refs)[0],
            printed(CHRF(lowercase=lowercase, **chrf), hyps, refs)[0]]
    assert attend("score", *write_corpus(write, hyps, refs), *flags).splitlines() == want


@pytest.mark.parametrize("method", SMOOTHINGS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("line", range(len(PLAIN)))
def test_single_lines(attend, write, line, tokenizer, method):
    hyps, refs = [PLAIN[line].rstrip()], [[reworded(random.Random(line), PLAIN[line]).rstrip()]]
    want = printed(BLEU(tokenize=tokenizer, smooth_method=method), hyps, refs)[0]
    files = write_corpus(write, hyps, refs)
    assert attend("score", *files, "--tokenize", tokenizer, "--smooth-method", method).splitlines()[0] == want


def test_json_says_it_all(attend, write):
    hyps, refs = corpus(4)
    files = write_corpus(write, hyps, refs)
    want, result = BLEU().corpus_score(hyps, refs), attend.json("score", *files)
    assert result["segments"] == len(hyps)
    assert result["precisions"] == pytest.approx(want.precisions, rel=1e-12)
    assert result["brevity_penalty"] == pytest.approx(want.bp, rel=1e-12)
    assert (result["hyp_len"], result["ref_len"]) == (want.sys_len, want.ref_len)
    assert (result["correct"], result["total"]) == (want.counts, want.totals)


def test_white_space_at_line_ends_does_not_count(attend, write):
    write("hyp", b"one two  \r\nthree four\xe3\x80\x80\t\nfive six")
    write("clean", ["one two", "three four", "five six"])
    write("ref", ["one too", "three fore", "five sicks"])
    for flags in [], ["--chrf-whitespace"], ["--tokenize", "char"]:
        assert attend("score", "hyp", "ref", *flags) == attend("score", "clean", "ref", *flags)


def test_standard_input(attend, write):
    write("ref", ["a b c d e"])
    assert attend("score", "-", "ref", stdin=b"a b c d f\n") == attend("score", write("hyp", ["a b c d f"]), "ref")


def test_ten_thousand_lines_take_no_time(attend, write):
    rng = random.Random(3)
    hyps = [rng.choice(PLAIN) for _ in range(10000)]
    refs = [reworded(rng, h) for h in hyps]
    files = write("hyp", hyps), write("ref", refs)
    begin = time.monotonic()
    attend("score", *files, "--chrf-word-order", 2)
    assert time.monotonic() - begin < 10.0  # 0.2 s; the rest is for sanitizers and busy machines


def test_errors_name_file_and_line(attend, write):
    three, two = write("three", ["a", "b", "c"]), write("two", ["a", "b"])
    cases = {
        (three, two): r"two: 2 lines, expected 3 as in three",
        (three, three, two): r"two: 2 lines, expected 3 as in three",
        (three, "absent"): r"absent: No such file or directory",
        (three, "."): r"\.: Is a directory",
        (write("latin", b"fine\nna\xefve\n"), two): r"latin:2: invalid UTF-8 at byte 3",
        (two, write("cut", b"fine\nfine \xe2\x82")): r"cut:2: invalid UTF-8 at byte 6",
        (two, write("surrogate", b"\xed\xa0\x80\nx\n")): r"surrogate:1: invalid UTF-8 at byte 1",
        (two, write("zero", b"a\nb\x00c\n")): r"zero:2: a zero byte at byte 2",
        (write("empty", b""), two): r"empty: empty, expected at least one line",
        ("-", "-"): r"'-' is given 2 times",
        (three,): r"REFERENCES",
        (three, three, "--tokenize", "zh"): r"zh",
        (three, three, "--smooth-value", "nan"): r"nan",
        (three, three, "--chrf-char-order", "0"): r"0",
    }
    for arguments, message in cases.items():
        assert re.search(message, attend.error("score", *arguments, stdin=b"a\n")), arguments


def test_json_is_one_object(attend, write):
    name = write("same", ["a b c d"])
    text = attend("score", name, name, "--json")
    assert text.count("\n") == 1
    assert round(json.loads(text)["bleu"], 9) == 100
