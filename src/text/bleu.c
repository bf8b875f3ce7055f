/* BLEU = bp * exp(mean_n log p_n),  p_n = 100 * matched n-grams / n-grams of the hypotheses,  n = 1 .. 4
 * bp = min(1, exp(1 - ref_len / hyp_len))                                                      (Papineni 2002)
 * An n-gram of a hypothesis matches at most as often as the reference that has it most often. All counts are summed
 * over the corpus before anything is divided. */
#include <attend/score.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/bleu_tokenize.h"
#include "text/ngram.h"
#include "text/segment.h"

typedef struct scorer {
    att_bleu_desc desc;
    const att_allocator *allocator;
    att_segments in;
    att_ngrams trie;
    att_codes text, spare;
    att_codes word; /* the tokens as symbols of the trie */
    att_codes gram; /* gram.at[i]: the node of the n-gram that starts at token i */
} scorer;

static const char *const tokenizer_names[] = {"13a", "intl", "char", "none"};
static const char *const smooth_names[] = {"exp", "floor", "add-k", "none"};

static att_status check_desc(const att_bleu_desc *desc)
{
    ATT_REQUIRE((unsigned)desc->tokenizer < 4, ATT_E_VALUE, "bleu: tokenizer is %d, expected 0 to 3",
                (int)desc->tokenizer);
    ATT_REQUIRE((unsigned)desc->smooth < 4, ATT_E_VALUE, "bleu: smooth is %d, expected 0 to 3", (int)desc->smooth);
    ATT_REQUIRE(desc->smooth_value >= 0.0 && desc->smooth_value < HUGE_VAL, ATT_E_VALUE,
                "bleu: smooth_value is %g, expected a finite number >= 0", desc->smooth_value);
    return ATT_OK;
}

static double smooth_value(const att_bleu_desc *desc)
{
    if (desc->smooth_value > 0.0) return desc->smooth_value;
    return desc->smooth == ATT_BLEU_SMOOTH_FLOOR ? 0.1 : 1.0;
}

/* The tokens of segment i of reference r (-1: the hypothesis) into s->word. */
static att_status read_tokens(scorer *s, int64_t r, int64_t i)
{
    ATT_TRY(att_segments_read(&s->in, r, i, s->desc.lowercase, s->allocator, &s->text, &s->spare));
    att_codes_rstrip(&s->text);
    ATT_TRY(att_bleu_tokenize(s->desc.tokenizer, s->allocator, &s->text, &s->spare));
    return att_ngrams_words(&s->trie, s->allocator, &s->word, &s->text);
}

static void count_hypothesis(scorer *s, att_bleu *out)
{
    for (int order = 1; order <= ATT_BLEU_ORDER; order++) {
        int64_t count = att_ngrams_extend(&s->trie, s->gram.at, s->word.at, s->word.n, order);
        out->total[order - 1] += count;
        for (int64_t i = 0; i < count; i++) s->trie.node[s->gram.at[i]].hyp++;
    }
}

/* Each time an n-gram is seen more often than in every reference before, the hypothesis may match it once more. */
static void count_reference(scorer *s, int64_t r, att_bleu *out)
{
    for (int order = 1; order <= ATT_BLEU_ORDER; order++) {
        int64_t count = att_ngrams_extend(&s->trie, s->gram.at, s->word.at, s->word.n, order);
        for (int64_t i = 0; i < count; i++) {
            att_ngram_node *node = &s->trie.node[s->gram.at[i]];
            if (att_ngram_seen(node, r) <= node->best) continue;
            node->best = node->ref;
            out->correct[order - 1] += node->best <= node->hyp;
        }
    }
}

static bool is_closer(int64_t ref_len, int64_t best_len, int64_t hyp_len)
{
    int64_t gap = ref_len > hyp_len ? ref_len - hyp_len : hyp_len - ref_len;
    int64_t best_gap = best_len > hyp_len ? best_len - hyp_len : hyp_len - best_len;
    return best_len < 0 || gap < best_gap || (gap == best_gap && ref_len < best_len);
}

static att_status score_segment(scorer *s, int64_t i, att_bleu *out)
{
    int64_t bytes = att_segments_bytes(&s->in, i), closest = -1;
    ATT_TRY(att_ngrams_reset(&s->trie, (1 + ATT_BLEU_ORDER) * bytes));
    ATT_TRY(att_codes_reserve(s->allocator, &s->gram, bytes));
    ATT_TRY(read_tokens(s, -1, i));
    int64_t hyp_len = s->word.n;
    count_hypothesis(s, out);
    for (int64_t r = 0; r < s->in.nrefs; r++) {
        if (!s->in.references[r][i]) continue;
        ATT_TRY(read_tokens(s, r, i));
        if (is_closer(s->word.n, closest, hyp_len)) closest = s->word.n;
        count_reference(s, r, out);
    }
    out->hyp_len += hyp_len;
    out->ref_len += closest;
    return ATT_OK;
}

static double floored_log(double x)
{
    return x == 0.0 ? -9999999999.0 : log(x);
}

/* From the counts to the score. */
static void finish(const att_bleu_desc *desc, att_bleu *out)
{
    int order = ATT_BLEU_ORDER;
    double halving = 1.0, sum = 0.0;
    out->brevity_penalty = 1.0;
    if (out->hyp_len < out->ref_len)
        out->brevity_penalty = out->hyp_len > 0 ? exp(1.0 - (double)out->ref_len / (double)out->hyp_len) : 0.0;
    if (out->correct[0] == 0) return; /* then no longer n-gram matches either */
    for (int n = 0; n < ATT_BLEU_ORDER; n++) {
        double correct = (double)out->correct[n], total = (double)out->total[n];
        if (desc->smooth == ATT_BLEU_SMOOTH_ADD_K && n > 0) {
            correct += smooth_value(desc);
            total += smooth_value(desc);
        }
        if (total == 0.0) break;
        if (desc->effective_order) order = n + 1;
        if (correct > 0.0)
            out->precision[n] = 100.0 * correct / total;
        else if (desc->smooth == ATT_BLEU_SMOOTH_EXP)
            out->precision[n] = 100.0 / ((halving *= 2.0) * total);
        else if (desc->smooth == ATT_BLEU_SMOOTH_FLOOR)
            out->precision[n] = 100.0 * smooth_value(desc) / total;
    }
    for (int n = 0; n < order; n++) sum += floored_log(out->precision[n]);
    out->score = out->brevity_penalty * exp(sum / order);
}

static att_status score_all(scorer *s, att_bleu *out)
{
    for (int64_t i = 0; i < s->in.n; i++) ATT_TRY(score_segment(s, i, out));
    return ATT_OK;
}

att_status att_bleu_corpus(const att_bleu_desc *desc, const att_allocator *allocator, att_bleu *out,
                           const char *const *hypotheses, const char *const *const *references, int64_t n,
                           int64_t nrefs)
{
    scorer s = {.allocator = allocator, .trie.allocator = allocator};
    s.in = (att_segments){hypotheses, references, n, nrefs};
    if (desc) s.desc = *desc;
    *out = (att_bleu){0};
    ATT_TRY(check_desc(&s.desc));
    ATT_TRY(att_segments_check(&s.in, "bleu", &out->nrefs));
    att_status st = score_all(&s, out);
    if (st == ATT_OK) finish(&s.desc, out);
    att_ngrams_free(&s.trie);
    att_codes_free(allocator, &s.text);
    att_codes_free(allocator, &s.spare);
    att_codes_free(allocator, &s.word);
    att_codes_free(allocator, &s.gram);
    return st;
}

att_status att_bleu_sentence(const att_bleu_desc *desc, const att_allocator *allocator, att_bleu *out,
                             const char *hypothesis, const char *const *references, int64_t nrefs)
{
    void *block = NULL;
    *out = (att_bleu){0};
    ATT_TRY(att_segments_streams(allocator, references, nrefs, &block));
    att_status st = att_bleu_corpus(desc, allocator, out, &hypothesis, block, 1, nrefs);
    att_free(allocator, block, att_segments_streams_bytes(nrefs));
    return st;
}

att_status att_bleu_format(const att_bleu *bleu, const char *signature, char *text, size_t bytes)
{
    const double *p = bleu->precision;
    double ratio = bleu->ref_len > 0 ? (double)bleu->hyp_len / (double)bleu->ref_len : 0.0;
    int n = snprintf(text, bytes,
                     "BLEU%s%s = %.2f %.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %lld ref_len = %lld)",
                     signature ? "|" : "", signature ? signature : "", bleu->score, p[0], p[1], p[2], p[3],
                     bleu->brevity_penalty, ratio, (long long)bleu->hyp_len, (long long)bleu->ref_len);
    return att_text_fits("bleu_format", n, bytes);
}

att_status att_bleu_signature(const att_bleu_desc *desc, int64_t nrefs, char *text, size_t bytes)
{
    att_bleu_desc d = desc ? *desc : (att_bleu_desc){0};
    char refs[24], value[32] = "";
    ATT_TRY(check_desc(&d));
    ATT_TRY(att_nrefs_name(nrefs, refs));
    if (d.smooth == ATT_BLEU_SMOOTH_FLOOR || d.smooth == ATT_BLEU_SMOOTH_ADD_K)
        snprintf(value, sizeof value, "[%.2f]", smooth_value(&d));
    int n = snprintf(text, bytes, "nrefs:%s|case:%s|eff:%s|tok:%s|smooth:%s%s|version:" ATT_SACREBLEU_VERSION, refs,
                     d.lowercase ? "lc" : "mixed", d.effective_order ? "yes" : "no", tokenizer_names[d.tokenizer],
                     smooth_names[d.smooth], value);
    return att_text_fits("bleu_signature", n, bytes);
}
