/* BLEU and chrF: sacreBLEU's results (score_golden.json), what must hold for any text, and what must be refused. */
#include <attend/score.h>

#include <jansson.h>

#include "allocator.h"
#include "harness.h"
#include "text/codes.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* ---- sacreBLEU's results ---- */

static json_t *golden(void)
{
    json_error_t error;
    json_t *root = json_load_file(TEST_DIR "/text/score_golden.json", 0, &error);
    if (!root) fail_msg("score_golden.json:%d: %s", error.line, error.text);
    return root;
}

/* A list of strings (null: NULL) that borrow from the JSON; free() it. */
static const char **strings(const json_t *list)
{
    const char **out = malloc(json_array_size(list) * sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++) out[i] = json_string_value(json_array_get(list, i));
    return out;
}

typedef struct segments {
    const char **hypotheses;
    const char **reference[8];
    int64_t n, nrefs;
} segments;

static segments segments_of(const json_t *entry)
{
    const json_t *hyps = json_object_get(entry, "hypotheses"), *refs = json_object_get(entry, "references");
    segments s = {.hypotheses = strings(hyps), .n = (int64_t)json_array_size(hyps)};
    for (s.nrefs = 0; s.nrefs < (int64_t)json_array_size(refs); s.nrefs++)
        s.reference[s.nrefs] = strings(json_array_get(refs, (size_t)s.nrefs));
    return s;
}

static void segments_free(segments *s)
{
    free(s->hypotheses);
    for (int64_t r = 0; r < s->nrefs; r++) free(s->reference[r]);
}

static const char *const *const *refs_of(const segments *s)
{
    return (const char *const *const *)s->reference;
}

static double option(const json_t *result, size_t i)
{
    return json_number_value(json_array_get(json_object_get(result, "options"), i));
}

static void expect(const json_t *result, double score, const char *line)
{
    double want = json_number_value(json_object_get(result, "score"));
    assert_string_equal(line, json_string_value(json_object_get(result, "line")));
    if (!(fabs(score - want) <= 1e-12 * fmax(1.0, want))) fail_msg("%s: %.17g, expected %.17g", line, score, want);
}

static void check_bleu(const segments *s, const json_t *result)
{
    att_bleu_desc d = {(att_bleu_tokenizer)option(result, 0), (att_bleu_smooth)option(result, 1), option(result, 2),
                       option(result, 3) != 0, option(result, 4) != 0};
    char signature[ATT_SCORE_TEXT], line[ATT_SCORE_TEXT];
    att_bleu bleu;
    assert_ok(att_bleu_corpus(&d, NULL, &bleu, s->hypotheses, refs_of(s), s->n, s->nrefs));
    assert_ok(att_bleu_signature(&d, bleu.nrefs, signature, sizeof signature));
    assert_ok(att_bleu_format(&bleu, signature, line, sizeof line));
    expect(result, bleu.score, line);
}

static void check_chrf(const segments *s, const json_t *result)
{
    att_chrf_desc d = {(int)option(result, 0), (int)option(result, 1), (int)option(result, 2),
                       option(result, 3) != 0, option(result, 4) != 0, option(result, 5) != 0};
    char signature[ATT_SCORE_TEXT], line[ATT_SCORE_TEXT];
    att_chrf chrf;
    assert_ok(att_chrf_corpus(&d, NULL, &chrf, s->hypotheses, refs_of(s), s->n, s->nrefs));
    assert_ok(att_chrf_signature(&d, chrf.nrefs, signature, sizeof signature));
    assert_ok(att_chrf_format(&chrf, signature, line, sizeof line));
    expect(result, chrf.score, line);
}

static void agrees_with_sacrebleu(void **state)
{
    (void)state;
    json_t *root = golden(), *entry, *result;
    size_t i, k;
    assert_string_equal(json_string_value(json_object_get(root, "sacrebleu")), ATT_SACREBLEU_VERSION);
    assert_true(json_array_size(json_object_get(root, "cases")) > 20);
    json_array_foreach(json_object_get(root, "cases"), i, entry)
    {
        segments s = segments_of(entry);
        json_array_foreach(json_object_get(entry, "bleu"), k, result) check_bleu(&s, result);
        json_array_foreach(json_object_get(entry, "chrf"), k, result) check_chrf(&s, result);
        segments_free(&s);
    }
    json_decref(root);
}

/* ---- what must hold for any text ---- */

static const char *const hyps[] = {"The cat sat on the mat.", "", "a a a b", "Ω ω 12,5 % of it"};
static const char *const first[] = {"A cat is on the mat.", "nothing", "a b a b", "ω ω 12.5 % of it all"};
static const char *const second[] = {"The cat sat upon a mat!", "", "b", NULL};

static void references_have_no_order(void **state)
{
    (void)state;
    const char *const *one[] = {first, second}, *const * two[] = {second, first};
    att_bleu a, b;
    att_chrf c, d;
    assert_ok(att_bleu_corpus(NULL, NULL, &a, hyps, one, COUNT(hyps), 2));
    assert_ok(att_bleu_corpus(NULL, NULL, &b, hyps, two, COUNT(hyps), 2));
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.nrefs == -1 && a.score > 0.0 && a.score < 100.0);
    for (int64_t i = 0; i < COUNT(hyps); i += 2) { /* of references that are equally good chrF takes the first */
        const char *refs[] = {first[i], second[i]}, *turned[] = {second[i], first[i]};
        assert_ok(att_chrf_sentence(NULL, NULL, &c, hyps[i], refs, 2));
        assert_ok(att_chrf_sentence(NULL, NULL, &d, hyps[i], turned, 2));
        assert_true(c.score == d.score && c.score > 0.0 && c.score < 100.0);
    }
}

static void a_reference_twice_is_once(void **state)
{
    (void)state;
    const char *const *one[] = {first}, *const * two[] = {first, first};
    att_bleu a, b;
    att_chrf c, d;
    assert_ok(att_bleu_corpus(NULL, NULL, &a, hyps, one, COUNT(hyps), 1));
    assert_ok(att_bleu_corpus(NULL, NULL, &b, hyps, two, COUNT(hyps), 2));
    assert_true(a.score == b.score && a.ref_len == b.ref_len);
    assert_ok(att_chrf_corpus(NULL, NULL, &c, hyps, one, COUNT(hyps), 1));
    assert_ok(att_chrf_corpus(NULL, NULL, &d, hyps, two, COUNT(hyps), 2));
    assert_true(c.score == d.score);
}

static void a_sentence_is_a_corpus_of_one(void **state)
{
    (void)state;
    att_bleu_desc d = {.effective_order = 1};
    const char *refs[] = {first[0], second[0]}, *const * streams[] = {&first[0], &second[0]};
    att_bleu a, b;
    att_chrf e, f;
    assert_ok(att_bleu_sentence(&d, NULL, &a, hyps[0], refs, 2));
    assert_ok(att_bleu_corpus(&d, NULL, &b, hyps, streams, 1, 2));
    assert_memory_equal(&a, &b, sizeof a);
    assert_ok(att_chrf_sentence(NULL, NULL, &e, hyps[0], refs, 2));
    assert_ok(att_chrf_corpus(NULL, NULL, &f, hyps, streams, 1, 2));
    assert_true(e.score == f.score && e.score > 0.0);
}

/* Matches are at most the shorter side, lengths add up over segments, and a perfect copy scores 100. */
static void random_text_keeps_the_bounds(void **state)
{
    (void)state;
    att_random r = {.seed = 7};
    for (int run = 0; run < 200; run++) {
        char text[2][64];
        for (int t = 0; t < 2; t++) {
            size_t n = 4 + att_random_below(&r, sizeof text[t] - 5);
            for (size_t i = 0; i < n; i++) text[t][i] = "ab.,-3 "[att_random_below(&r, 7)];
            text[t][n] = '\0';
        }
        const char *hyp = text[0], *ref = text[1];
        att_bleu_desc d = {.tokenizer = (att_bleu_tokenizer)(run % 4), .effective_order = 1};
        att_bleu bleu, copy;
        att_chrf chrf;
        assert_ok(att_bleu_sentence(&d, NULL, &bleu, hyp, &ref, 1));
        assert_ok(att_bleu_sentence(&d, NULL, &copy, hyp, &hyp, 1));
        assert_true(copy.hyp_len == 0 ? copy.score == 0.0 : fabs(copy.score - 100.0) < 1e-9);
        for (int n = 0; n < ATT_BLEU_ORDER; n++) {
            assert_true(bleu.total[n] == (bleu.hyp_len > n ? bleu.hyp_len - n : 0));
            assert_true(bleu.correct[n] <= bleu.total[n] && copy.correct[n] == copy.total[n]);
            assert_true(bleu.correct[n] <= (bleu.ref_len > n ? bleu.ref_len - n : 0));
        }
        assert_ok(att_chrf_sentence(NULL, NULL, &chrf, hyp, &ref, 1));
        assert_true(chrf.score >= 0.0 && chrf.score <= 100.0);
    }
}

static void long_segments_are_counted_whole(void **state)
{
    (void)state;
    enum { WORDS = 20000 };
    char *text = malloc(3 * WORDS + 1);
    for (int i = 0; i < WORDS; i++) memcpy(text + 3 * i, "xy ", 3);
    text[3 * WORDS] = '\0';
    att_bleu bleu;
    att_chrf chrf;
    const char *hyp = text;
    assert_ok(att_bleu_sentence(NULL, NULL, &bleu, hyp, &hyp, 1));
    assert_true(bleu.hyp_len == WORDS && bleu.correct[0] == WORDS && bleu.correct[3] == WORDS - 3);
    assert_ok(att_chrf_sentence(&(att_chrf_desc){.word_order = 2}, NULL, &chrf, hyp, &hyp, 1));
    assert_true(fabs(chrf.score - 100.0) < 1e-9);
    free(text);
}

/* ---- text as Python sees it ---- */

static void lower(const char *from, const char *to)
{
    att_codes in = {0}, out = {0}, want = {0};
    int64_t byte;
    assert_ok(att_codes_decode(NULL, &in, from, &byte));
    assert_ok(att_codes_decode(NULL, &want, to, &byte));
    assert_ok(att_codes_lower(NULL, &out, &in));
    assert_true(out.n == want.n);
    assert_memory_equal(out.at, want.at, sizeof(uint32_t) * (size_t)want.n);
    att_codes_free(NULL, &in);
    att_codes_free(NULL, &out);
    att_codes_free(NULL, &want);
}

static void lower_case_is_pythons(void **state)
{
    (void)state;
    lower("ABC xyz ÄÖÜ ẞ", "abc xyz äöü ß");
    lower("İI", "i̇i");
    lower("ΟΔΟΣ ΣΟΦΟΣ. Σ AΣ'B AΣ' ⅣΣ 1Σ", "οδος σοφος. σ aσ'b aς' ⅳς 1σ");
}

/* ---- what must be refused ---- */

static void refuse(att_status got, att_status want, const char *part)
{
    assert_int_equal(got, want);
    if (!strstr(att_last_error(), part)) fail_msg("\"%s\" does not say \"%s\"", att_last_error(), part);
}

static void bad_text_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82"};
    for (int i = 0; i < COUNT(bad); i++) {
        char text[16];
        snprintf(text, sizeof text, "ok%s", bad[i]);
        const char *const h[] = {"fine", text}, *const fine[] = {"fine", "fine"};
        const char *const *wrong_refs[] = {fine, h}, *const * refs[] = {fine};
        att_bleu bleu;
        att_chrf chrf;
        refuse(att_bleu_corpus(NULL, NULL, &bleu, h, refs, 2, 1), ATT_E_FORMAT,
               "hypothesis 2: invalid UTF-8 at byte 3");
        refuse(att_chrf_corpus(NULL, NULL, &chrf, fine, wrong_refs, 2, 2), ATT_E_FORMAT,
               "reference 2 of segment 2: invalid UTF-8 at byte 3");
    }
}

static void bad_arguments_are_named(void **state)
{
    (void)state;
    const char *const *refs[] = {first}, *const * none[] = {NULL}, *const missing[] = {"a", NULL};
    const char *const *holes[] = {missing};
    att_bleu b;
    att_chrf c;
    refuse(att_bleu_corpus(NULL, NULL, &b, hyps, refs, 0, 1), ATT_E_VALUE, "n is 0");
    refuse(att_bleu_corpus(NULL, NULL, &b, hyps, refs, 1, 0), ATT_E_VALUE, "nrefs is 0");
    refuse(att_bleu_corpus(NULL, NULL, &b, NULL, refs, 1, 1), ATT_E_VALUE, "hypotheses is NULL");
    refuse(att_bleu_corpus(NULL, NULL, &b, hyps, none, 1, 1), ATT_E_VALUE, "references[0] is NULL");
    refuse(att_bleu_corpus(NULL, NULL, &b, missing, refs, 2, 1), ATT_E_VALUE, "hypotheses[1] is NULL");
    refuse(att_chrf_corpus(NULL, NULL, &c, hyps, holes, 2, 1), ATT_E_VALUE, "segment 2 has no reference");
    refuse(att_chrf_sentence(NULL, NULL, &c, "a", NULL, 1), ATT_E_VALUE, "references is NULL");
    refuse(att_bleu_sentence(NULL, NULL, &b, "a", missing, -1), ATT_E_VALUE, "nrefs is -1");
    static const att_bleu_desc bleu_descs[] = {{.tokenizer = (att_bleu_tokenizer)9},
                                               {.smooth = (att_bleu_smooth)4},
                                               {.smooth_value = -1},
                                               {.smooth_value = NAN}};
    for (int i = 0; i < COUNT(bleu_descs); i++)
        refuse(att_bleu_corpus(&bleu_descs[i], NULL, &b, hyps, refs, 1, 1), ATT_E_VALUE, "expected");
    static const att_chrf_desc chrf_descs[] = {
        {.char_order = -1}, {.char_order = ATT_CHRF_MAX_ORDER + 1}, {.word_order = -1}, {.beta = -2}};
    for (int i = 0; i < COUNT(chrf_descs); i++)
        refuse(att_chrf_corpus(&chrf_descs[i], NULL, &c, hyps, refs, 1, 1), ATT_E_VALUE, "expected");
}

static void short_buffers_are_refused(void **state)
{
    (void)state;
    att_bleu bleu = {.score = 12.345};
    att_chrf chrf = {.score = 1, .beta = 2};
    char text[ATT_SCORE_TEXT];
    assert_ok(att_bleu_format(&bleu, NULL, text, sizeof text));
    size_t need = strlen(text) + 1;
    char *tight = guard_alloc(need);
    assert_ok(att_bleu_format(&bleu, NULL, tight, need));
    assert_string_equal(tight, text);
    refuse(att_bleu_format(&bleu, NULL, tight, need - 1), ATT_E_WORKSPACE, "bleu_format");
    refuse(att_bleu_signature(NULL, 1, tight, 10), ATT_E_WORKSPACE, "bleu_signature");
    refuse(att_chrf_format(&chrf, NULL, tight, 4), ATT_E_WORKSPACE, "chrf_format");
    refuse(att_chrf_signature(NULL, 1, tight, 0), ATT_E_WORKSPACE, "chrf_signature");
    refuse(att_chrf_signature(NULL, 0, tight, need), ATT_E_VALUE, "nrefs");
    guard_free(tight, need);
}

static att_status score_with(const att_allocator *a, int call)
{
    const char *const *refs[] = {first, second};
    const char *sentence_refs[] = {first[0], second[0]};
    att_bleu bleu;
    att_chrf chrf;
    switch (call) {
    case 0: return att_bleu_corpus(&(att_bleu_desc){.lowercase = 1}, a, &bleu, hyps, refs, COUNT(hyps), 2);
    case 1: return att_chrf_corpus(&(att_chrf_desc){.word_order = 2}, a, &chrf, hyps, refs, COUNT(hyps), 2);
    case 2: return att_bleu_sentence(NULL, a, &bleu, hyps[0], sentence_refs, 2);
    default: return att_chrf_sentence(NULL, a, &chrf, hyps[0], sentence_refs, 2);
    }
}

static void memory_failures_leak_nothing(void **state)
{
    (void)state;
    for (int call = 0; call < 4; call++) {
        att_status st = ATT_E_MEMORY;
        int64_t fail_at = 1;
        for (; st == ATT_E_MEMORY && fail_at < 100; fail_at++) {
            test_allocator books;
            test_allocator_init(&books, fail_at);
            st = score_with(&books.allocator, call);
            assert_true(books.live_blocks == 0 && books.live_bytes == 0);
        }
        assert_ok(st);
        assert_true(fail_at > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_sacrebleu),        cmocka_unit_test(references_have_no_order),
        cmocka_unit_test(a_reference_twice_is_once),    cmocka_unit_test(a_sentence_is_a_corpus_of_one),
        cmocka_unit_test(random_text_keeps_the_bounds), cmocka_unit_test(long_segments_are_counted_whole),
        cmocka_unit_test(lower_case_is_pythons),        cmocka_unit_test(bad_text_is_named),
        cmocka_unit_test(bad_arguments_are_named),      cmocka_unit_test(short_buffers_are_refused),
        cmocka_unit_test(memory_failures_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
