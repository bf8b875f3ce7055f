/* chrF = (1 + beta^2) P R / (beta^2 P + R),  P and R the precision and recall of n-grams of characters (1 ..
 * char_order) and of words (1 .. word_order), averaged over the orders that both sides are long enough for  (Popovic
 * 2015, 2017). The sums run in sacreBLEU's order: which of several references wins may hang on the last bit. */
#include <attend/score.h>

#include <stdio.h>
#include <string.h>

#include "text/ngram.h"
#include "text/segment.h"

#define MAX_ORDERS (2 * ATT_CHRF_MAX_ORDER)

typedef struct counts {
    int64_t hyp[MAX_ORDERS], ref[MAX_ORDERS], match[MAX_ORDERS]; /* characters first, then words */
} counts;

typedef struct scorer {
    att_chrf_desc desc; /* defaults filled in */
    const att_allocator *allocator;
    att_segments in;
    att_ngrams trie;
    att_codes text, spare;
    att_codes word, gram;
} scorer;

static att_status complete_desc(const att_chrf_desc *desc, att_chrf_desc *out)
{
    *out = desc ? *desc : (att_chrf_desc){0};
    if (out->char_order == 0) out->char_order = 6;
    if (out->beta == 0) out->beta = 2;
    ATT_REQUIRE(out->char_order > 0 && out->char_order <= ATT_CHRF_MAX_ORDER, ATT_E_VALUE,
                "chrf: char_order is %d, expected 1 to %d", out->char_order, ATT_CHRF_MAX_ORDER);
    ATT_REQUIRE(out->word_order >= 0 && out->word_order <= ATT_CHRF_MAX_ORDER, ATT_E_VALUE,
                "chrf: word_order is %d, expected 0 to %d", out->word_order, ATT_CHRF_MAX_ORDER);
    ATT_REQUIRE(out->beta > 0 && out->beta <= 1000, ATT_E_VALUE, "chrf: beta is %d, expected 1 to 1000", out->beta);
    return ATT_OK;
}

static bool is_ascii_punctuation(uint32_t c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/* The words of s->text as `s->word`, one punctuation mark split off: the last character or else the first, never both.
 */
static att_status read_words(scorer *s)
{
    const uint32_t *at = s->text.at;
    int64_t next = 0, lo, hi;
    ATT_TRY(att_codes_reserve(s->allocator, &s->word, s->text.n));
    s->word.n = 0;
    while (att_codes_word(&s->text, &next, &lo, &hi)) {
        int64_t cut = hi;
        if (hi - lo > 1 && is_ascii_punctuation(at[hi - 1]))
            cut = hi - 1;
        else if (hi - lo > 1 && is_ascii_punctuation(at[lo]))
            cut = lo + 1;
        s->word.at[s->word.n++] = att_ngrams_word(&s->trie, at + lo, cut - lo);
        if (cut < hi) s->word.at[s->word.n++] = att_ngrams_word(&s->trie, at + cut, hi - cut);
    }
    return ATT_OK;
}

static void drop_spaces(att_codes *text)
{
    int64_t n = 0;
    for (int64_t i = 0; i < text->n; i++)
        if (!att_code_is_space(text->at[i])) text->at[n++] = text->at[i];
    text->n = n;
}

static att_status read_segment(scorer *s, int64_t r, int64_t i)
{
    ATT_TRY(att_segments_read(&s->in, r, i, s->desc.lowercase, s->allocator, &s->text, &s->spare));
    if (s->desc.word_order > 0) ATT_TRY(read_words(s));
    if (!s->desc.whitespace) drop_spaces(&s->text);
    return ATT_OK;
}

static void count_hypothesis(scorer *s, const att_codes *symbols, int orders, int64_t *hyp)
{
    for (int order = 1; order <= orders; order++) {
        hyp[order - 1] = att_ngrams_extend(&s->trie, s->gram.at, symbols->at, symbols->n, order);
        for (int64_t i = 0; i < hyp[order - 1]; i++) s->trie.node[s->gram.at[i]].hyp++;
    }
}

static void count_reference(scorer *s, int64_t r, const att_codes *symbols, int orders, int64_t *ref, int64_t *match)
{
    for (int order = 1; order <= orders; order++) {
        ref[order - 1] = att_ngrams_extend(&s->trie, s->gram.at, symbols->at, symbols->n, order);
        match[order - 1] = 0;
        for (int64_t i = 0; i < ref[order - 1]; i++) {
            att_ngram_node *node = &s->trie.node[s->gram.at[i]];
            match[order - 1] += att_ngram_seen(node, r) <= node->hyp;
        }
    }
}

static double f_score(const att_chrf_desc *desc, const counts *c)
{
    const double eps = 1e-16, factor = (double)desc->beta * desc->beta;
    int orders = desc->char_order + desc->word_order, effective = 0;
    double precision = 0.0, recall = 0.0, sum = 0.0;
    for (int k = 0; k < orders; k++) {
        double p = c->hyp[k] > 0 ? (double)c->match[k] / (double)c->hyp[k] : eps;
        double r = c->ref[k] > 0 ? (double)c->match[k] / (double)c->ref[k] : eps;
        double denominator = factor * p + r;
        sum += denominator > 0.0 ? (1.0 + factor) * p * r / denominator : eps;
        if (c->hyp[k] == 0 || c->ref[k] == 0) continue;
        precision += p;
        recall += r;
        effective++;
    }
    if (desc->eps_smoothing) return 100.0 * sum / orders;
    if (effective == 0 || precision + recall == 0.0) return 0.0;
    precision /= effective;
    recall /= effective;
    return 100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall));
}

static att_status best_reference(scorer *s, int64_t i, counts *c, counts *best)
{
    const att_chrf_desc *d = &s->desc;
    double best_f = -1.0;
    for (int64_t r = 0; r < s->in.nrefs; r++) {
        counts now = *c;
        if (!s->in.references[r][i]) continue;
        ATT_TRY(read_segment(s, r, i));
        count_reference(s, r, &s->text, d->char_order, now.ref, now.match);
        count_reference(s, r, &s->word, d->word_order, now.ref + d->char_order, now.match + d->char_order);
        for (int k = 0; k < MAX_ORDERS; k++)
            if (now.ref[k] == 0) now.hyp[k] = 0; /* n-grams that no reference could have match nothing */
        double f = f_score(d, &now);
        if (f > best_f) {
            best_f = f;
            *best = now;
        }
    }
    return ATT_OK;
}

static att_status score_segment(scorer *s, int64_t i, counts *total)
{
    const att_chrf_desc *d = &s->desc;
    int64_t bytes = att_segments_bytes(&s->in, i);
    counts c = {0}, best = {0};
    ATT_TRY(att_ngrams_reset(&s->trie, (1 + d->char_order + d->word_order) * bytes));
    ATT_TRY(att_codes_reserve(s->allocator, &s->gram, bytes));
    ATT_TRY(read_segment(s, -1, i));
    count_hypothesis(s, &s->text, d->char_order, c.hyp);
    count_hypothesis(s, &s->word, d->word_order, c.hyp + d->char_order);
    ATT_TRY(best_reference(s, i, &c, &best));
    for (int k = 0; k < MAX_ORDERS; k++) {
        total->hyp[k] += best.hyp[k];
        total->ref[k] += best.ref[k];
        total->match[k] += best.match[k];
    }
    return ATT_OK;
}

static att_status score_all(scorer *s, counts *total)
{
    for (int64_t i = 0; i < s->in.n; i++) ATT_TRY(score_segment(s, i, total));
    return ATT_OK;
}

att_status att_chrf_corpus(const att_chrf_desc *desc, const att_allocator *allocator, att_chrf *out,
                           const char *const *hypotheses, const char *const *const *references, int64_t n,
                           int64_t nrefs)
{
    scorer s = {.allocator = allocator, .trie.allocator = allocator};
    s.in = (att_segments){hypotheses, references, n, nrefs};
    counts total = {0};
    *out = (att_chrf){0};
    ATT_TRY(complete_desc(desc, &s.desc));
    ATT_TRY(att_segments_check(&s.in, "chrf", &out->nrefs));
    att_status st = score_all(&s, &total);
    out->char_order = s.desc.char_order;
    out->word_order = s.desc.word_order;
    out->beta = s.desc.beta;
    if (st == ATT_OK) out->score = f_score(&s.desc, &total);
    att_ngrams_free(&s.trie);
    att_codes_free(allocator, &s.text);
    att_codes_free(allocator, &s.spare);
    att_codes_free(allocator, &s.word);
    att_codes_free(allocator, &s.gram);
    return st;
}

att_status att_chrf_sentence(const att_chrf_desc *desc, const att_allocator *allocator, att_chrf *out,
                             const char *hypothesis, const char *const *references, int64_t nrefs)
{
    void *block = NULL;
    *out = (att_chrf){0};
    ATT_TRY(att_segments_streams(allocator, references, nrefs, &block));
    att_status st = att_chrf_corpus(desc, allocator, out, &hypothesis, block, 1, nrefs);
    att_free(allocator, block, att_segments_streams_bytes(nrefs));
    return st;
}

att_status att_chrf_format(const att_chrf *chrf, const char *signature, char *text, size_t bytes)
{
    char plus[ATT_CHRF_MAX_ORDER + 1] = "";
    for (int i = 0; i < chrf->word_order && i < ATT_CHRF_MAX_ORDER; i++) plus[i] = '+';
    int n = snprintf(text, bytes, "chrF%d%s%s%s = %.2f", chrf->beta, plus, signature ? "|" : "",
                     signature ? signature : "", chrf->score);
    return att_text_fits("chrf_format", n, bytes);
}

att_status att_chrf_signature(const att_chrf_desc *desc, int64_t nrefs, char *text, size_t bytes)
{
    att_chrf_desc d;
    char refs[24];
    ATT_TRY(complete_desc(desc, &d));
    ATT_TRY(att_nrefs_name(nrefs, refs));
    int n = snprintf(text, bytes, "nrefs:%s|case:%s|eff:%s|nc:%d|nw:%d|space:%s|version:" ATT_SACREBLEU_VERSION, refs,
                     d.lowercase ? "lc" : "mixed", d.eps_smoothing ? "no" : "yes", d.char_order, d.word_order,
                     d.whitespace ? "yes" : "no");
    return att_text_fits("chrf_signature", n, bytes);
}
