"""Writes score_golden.json: what sacreBLEU says about texts that are easy to get wrong.

    python score_golden.py > score_golden.json
"""

import json
import random

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

TOKENIZERS = ["13a", "intl", "char", "none"]
SMOOTHINGS = ["exp", "floor", "add-k", "none"]

BY_HAND = [
    # hypotheses, references
    (["The cat sat on the mat."], [["The cat sat on the mat."]]),
    (["the the the the the the the"], [["The cat is on the mat."], ["There is a cat on the mat."]]),
    ([""], [["Not empty."]]),
    (["Not empty."], [[""]]),
    ([""], [[""]]),
    (["   ", "\u3000"], [["a", "b"]]),
    (["a"], [["a"]]),
    (["a b"], [["a c"]]),
    (["a b c d"], [["b a d c"]]),
    (["x y z"], [["a b c"]]),
    (["It costs $3.50, i.e. 1,000-fold (10-year) 5. .5 3,a a,3 -3- 2-3."], [["It cost $3.50; i.e. 1,000 fold 10-year 5 .5"]]),
    (["&quot;A&amp;B&quot; &lt;x&gt; &amp;lt; &amp;amp;gt; &nbsp;"], [['"A&B" <x> &lt; &gt; \u00a0']]),
    (["one <skipped> two-\nthree\nfour <skip"], [["one two three four"]]),
    (["(hi) 'tis \"q\" a- -a ?! ... w. .w x, ,x"], [["(hi) 'tis q a -a ! .. w .w x ,x"]]),
    (["ΟΔΥΣΣΕΥΣ ΑΣ. Σ ΣΑ Α'Σ Σ'Α", "İstanbul ISPARTA IJ ǅ"], [["οδυσσευς ας. σ σα α'ς σ'α", "i̇stanbul isparta ij ǆ"]]),
    (["«Où est-il ?» — 3,5 € … l’été ½ Ⅷ"], [["« Où est il? » – 3.5 € ... l'été 1/2 VIII"]]),
    (["你好，世界。１２，３４", "ありがとう。 今日は！"], [["你好,世界。12,34", "ありがとう 今日は"]]),
    (["tab\there\x0bvt\x1cfs\x85nel\u2028ls\ufeffbom\u200bzw"], [["tab here vt fs nel ls bom zw"]]),
    (["👨\u200d👩\u200d👧 family e\u0301 é"], [["👨 family é e\u0301"]]),
    (["short", "a much longer sentence than the other ones here", "mid length one"],
     [["short one", "a longer sentence than others", "mid one"], ["brief", "much longer than the other", None]]),
    (["same length here", "x"], [["two words", "y"], ["four words are here", "x"]]),
]

WORDS = ("the cat sat on a mat , . and The 3.14 1,000 10-year $5 (hi) &quot;x&quot; it's U.S.A. 2-3 ... naïve "
         "ΣΊΣΥΦΟΣ ß 世界。 100% a_b €20 \u00a0 😀").split(" ")


def by_chance(rng):
    def sentence():
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 15)))

    def changed(text):
        words = text.split(" ")
        for _ in range(rng.randint(0, 4)):
            i = rng.randrange(len(words))
            words[i] = rng.choice([rng.choice(WORDS), words[i].upper(), words[i] + rng.choice(".,-%")])
        return " ".join(words)

    hypotheses = [sentence() for _ in range(rng.choice([1, 3, 8]))]
    return hypotheses, [[changed(h) for h in hypotheses] for _ in range(rng.randint(1, 3))]


def bleu(hypotheses, references, options):
    tokenizer, smooth, value, lowercase, effective = options
    metric = BLEU(tokenize=TOKENIZERS[tokenizer], smooth_method=SMOOTHINGS[smooth], smooth_value=value or None,
                  lowercase=bool(lowercase), effective_order=bool(effective))
    return metric, metric.corpus_score(hypotheses, references)


def chrf(hypotheses, references, options):
    chars, words, beta, lowercase, whitespace, eps = options
    metric = CHRF(char_order=chars or 6, word_order=words, beta=beta or 2, lowercase=bool(lowercase),
                  whitespace=bool(whitespace), eps_smoothing=bool(eps))
    return metric, metric.corpus_score(hypotheses, references)


def result(kind, hypotheses, references, options):
    metric, score = kind(hypotheses, references, options)
    return {"options": options, "score": score.score, "line": score.format(signature=str(metric.get_signature()))}


def main():
    rng = random.Random(20)
    cases = []
    for hypotheses, references in BY_HAND + [by_chance(rng) for _ in range(12)]:
        bleu_options = [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [2, 2, 0, 1, 0], [3, 3, 0, 0, 1],
                        [rng.randrange(4), rng.randrange(1, 3), rng.choice([0.05, 0.5, 2.0]), rng.randrange(2), 1]]
        chrf_options = [[0, 0, 0, 0, 0, 0], [0, 2, 0, 1, 0, 0], [3, 1, 3, 0, 1, 0], [6, 2, 1, 0, 0, 1]]
        cases.append({"hypotheses": hypotheses, "references": references,
                      "bleu": [result(bleu, hypotheses, references, o) for o in bleu_options],
                      "chrf": [result(chrf, hypotheses, references, o) for o in chrf_options]})
    rows = ",\n".join(json.dumps(case) for case in cases)
    print('{"sacrebleu": "%s", "cases": [\n%s\n]}' % (sacrebleu.__version__, rows))


main()
