#include "text/language.h"

/* The example of Sennrich 2016, section 3.2: low lower newest widest. By hand, with U+2581 in front of each word:
 * e+s is seen 9 times, then es+t; U+2581+l and l+o are both seen 7 times, and the byte order of the left part
 * decides ("l" is before U+2581). */
static void bpe_learns_by_hand_example(void **state)
{
    (void)state;
    static const char *const lines[] = {"low low low low low lower lower",
                                        "newest newest newest newest newest newest widest widest widest"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.vocabulary = 4 + 11 + 4, .coverage = 1}, lines, 2);
    assert_string_equal(att_tokenizer_piece(t, 15), "es");
    assert_string_equal(att_tokenizer_piece(t, 16), "est");
    assert_string_equal(att_tokenizer_piece(t, 17), "lo");
    assert_string_equal(att_tokenizer_piece(t, 18), "low");
    EXPECT_PIECES(t, "lowest", BLANK, "low", "est");
    EXPECT_PIECES(t, "slow q\xC3\xA9 no", BLANK, "s", "low", BLANK, "<unk>", BLANK, "n", "o");
    expect_decoded(t, "slow qq no", "slow  \xE2\x81\x87  no");
    att_tokenizer_destroy(t);
}

/* The definition, with nothing kept up to date: count all pairs of all words anew for every merge, take the most
 * frequent one, the first by text among equals. Words are strings of pieces. */
typedef struct slow_word {
    char piece[16][64];
    int n;
} slow_word;

static size_t lead_bytes(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static int is_code_point(const char *piece)
{
    return lead_bytes(*piece) == strlen(piece);
}

static int slow_split(const char *line, slow_word *words)
{
    int n = 0;
    for (const char *s = line; *s;) {
        slow_word *w = &words[n++];
        strcpy(w->piece[0], BLANK);
        w->n = 1;
        for (; *s && *s != ' ';) {
            size_t bytes = lead_bytes(*s);
            if (w->n > (w->piece[0][0] == BLANK[0]) && (bytes == 4) != (lead_bytes(w->piece[w->n - 1][0]) == 4)) {
                w = &words[n++]; /* of the language's letters, only the face is none */
                w->n = 0;
            }
            snprintf(w->piece[w->n++], 64, "%.*s", (int)bytes, s);
            s += bytes;
        }
        while (*s == ' ') s++;
    }
    return n;
}

static void slow_merge(slow_word *w, const char *left, const char *right)
{
    int kept = 0;
    for (int i = 0; i < w->n; i++, kept++) {
        char joined[64];
        int here = i + 1 < w->n && strcmp(w->piece[i], left) == 0 && strcmp(w->piece[i + 1], right) == 0;
        snprintf(joined, sizeof joined, "%.31s%.31s", w->piece[i], here ? right : "");
        strcpy(w->piece[kept], joined);
        i += here;
    }
    w->n = kept;
}

static int slow_count(const slow_word *words, int n, const char *left, const char *right)
{
    int count = 0;
    for (int w = 0; w < n; w++)
        for (int i = 0; i + 1 < words[w].n; i++)
            count += strcmp(words[w].piece[i], left) == 0 && strcmp(words[w].piece[i + 1], right) == 0;
    return count;
}

static int slow_best(const slow_word *words, int n, char left[64], char right[64])
{
    int best = 0;
    for (int w = 0; w < n; w++)
        for (int i = 0; i + 1 < words[w].n; i++) {
            const char *a = words[w].piece[i], *b = words[w].piece[i + 1];
            int order = best ? strcmp(a, left) : -1;
            if (order == 0) order = strcmp(b, right);
            if (order == 0) continue;
            int count = slow_count(words, n, a, b);
            if (count < best || (count == best && order > 0)) continue;
            best = count;
            strcpy(left, a);
            strcpy(right, b);
        }
    return best;
}

static void bpe_equals_the_definition(void **state)
{
    (void)state;
    enum { FEW = 25, MERGES = 30 };
    for (uint64_t seed = 0; seed < 8; seed++) {
        language *l = make_language(seed);
        slow_word *words = calloc(FEW * 80, sizeof *words);
        int n = 0;
        for (int i = 0; i < FEW; i++) n += slow_split(l->line[i], words + n);
        att_tokenizer *all, *t;
        assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.coverage = 1}, l->text, FEW, NULL, &all));
        int64_t characters = 4;
        while (is_code_point(att_tokenizer_piece(all, (int32_t)characters))) characters++;
        att_tokenizer_destroy(all);
        assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.coverage = 1, .vocabulary = characters + MERGES}, l->text,
                                      FEW, NULL, &t));
        int64_t next = characters;
        while (next < characters + MERGES) {
            char left[64] = "", right[64] = "", joined[128];
            assert_true(slow_best(words, n, left, right) > 0);
            snprintf(joined, sizeof joined, "%s%s", left, right);
            if (att_tokenizer_id(t, joined) >= next) { /* a new piece, and the next one */
                assert_int_equal(att_tokenizer_id(t, joined), next);
                next++;
            } else {
                assert_true(att_tokenizer_id(t, joined) >= 4); /* the same text from another pair */
            }
            for (int w = 0; w < n; w++) slow_merge(&words[w], left, right);
        }
        int at = 0; /* encoding the lines gives what training left of them */
        for (int i = 0; i < FEW; i++) {
            int32_t ids[CAPACITY];
            int64_t count, k = 0;
            assert_ok(att_tokenizer_encode(t, l->text[i].data, l->text[i].bytes, ids, CAPACITY, &count));
            while (k < count) {
                for (int p = 0; p < words[at].n; p++)
                    assert_string_equal(att_tokenizer_piece(t, ids[k++]), words[at].piece[p]);
                at++;
            }
        }
        assert_int_equal(at, n);
        att_tokenizer_destroy(t);
        free(words);
        free(l);
    }
}

static void order_of_lines_does_not_matter(void **state)
{
    (void)state;
    language *l = make_language(77);
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++) {
        att_tokenizer_desc desc = {.kind = (att_token_unit)kind, .coverage = 1};
        att_tokenizer *a, *b;
        char *ja, *jb;
        att_text reversed[LINES];
        for (int i = 0; i < LINES; i++) reversed[i] = l->text[LINES - 1 - i];
        assert_ok(att_tokenizer_train(&desc, l->text, LINES, NULL, &a));
        assert_ok(att_tokenizer_train(&desc, reversed, LINES, NULL, &b));
        assert_ok(att_tokenizer_to_json(a, &ja));
        assert_ok(att_tokenizer_to_json(b, &jb));
        assert_string_equal(ja, jb);
        att_text_free(NULL, ja);
        att_text_free(NULL, jb);
        att_tokenizer_destroy(a);
        att_tokenizer_destroy(b);
    }
    free(l);
}

static void bpe_never_crosses_words_and_loses_nothing(void **state)
{
    (void)state;
    language *l = make_language(5);
    att_tokenizer *t;
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.normalise = ATT_NORMALISE_NONE, .coverage = 1}, l->text, LINES,
                                  NULL, &t));
    for (int32_t i = 4; i < att_tokenizer_size(t); i++) {
        const char *inner = strstr(att_tokenizer_piece(t, i) + 1, BLANK);
        assert_null(inner);
    }
    static const char *const hard[] = {" a", "a ", "  ", "a  b", " ", "", "abc\xC3\xA9 ", "\xE4\xBD\xA0"};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) expect_decoded(t, hard[i], hard[i]);
    for (int i = 0; i < LINES; i++) expect_decoded(t, l->line[i], l->line[i]);
    expect_decoded(t, "a" BLANK "b", "a b");
    att_tokenizer_destroy(t);
    free(l);
}

static void pieces_do_not_mix_letters_digits_and_marks(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "end. end. end. \xC2\xBFNo? \xC2\xBFNo? 1987-03-02 mp3 mp3 ca\xCC\xB1t ca\xCC\xB1t"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.coverage = 1}, lines, 1);
    EXPECT_PIECES(t, "end. No? mp3", BLANK "end", ".", BLANK, "No", "?", BLANK "mp", "3");
    EXPECT_PIECES(t, "\xC2\xBFNo?", BLANK "\xC2\xBF", "No", "?");
    EXPECT_PIECES(t, "1987-03-02", BLANK "1987", "-", "03", "-", "02");
    EXPECT_PIECES(t, "ca\xCC\xB1t", BLANK "ca\xCC\xB1t"); /* a combining mark belongs to its letter */
    att_tokenizer_destroy(t);
}

static void bpe_coverage_leaves_rare_characters_out(void **state)
{
    (void)state;
    char line[2100];
    memset(line, 'a', 2000);
    strcpy(line + 2000, "\xC3\xB1");
    const char *lines[] = {line};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.vocabulary = 6}, lines, 1); /* 1 of 2,002 is 0.0005 */
    assert_int_equal(att_tokenizer_id(t, "\xC3\xB1"), -1);
    EXPECT_PIECES(t,
                  "a\xC3\xB1z\xC3\xB1"
                  "a",
                  BLANK, "a", "<unk>", "a");
    att_tokenizer_destroy(t);
    t = train_on(&(att_tokenizer_desc){.vocabulary = 7, .coverage = 1}, lines, 1);
    assert_int_equal(att_tokenizer_id(t, "\xC3\xB1"), 6);
    att_tokenizer_destroy(t);
}

/* A user's text cannot smuggle special tokens in, and training cannot make them. */
static void special_tokens_are_never_encoded(void **state)
{
    (void)state;
    static const char *const lines[] = {"<s> </s> <unk> <pad> <s> </s> <s>", "x<s>x </s> <s><s>"};
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++) {
        att_tokenizer *t = train_on(&(att_tokenizer_desc){.kind = (att_token_unit)kind, .coverage = 1}, lines, 2);
        for (int i = 0; i < 2; i++) {
            int32_t ids[CAPACITY];
            int64_t n;
            assert_ok(att_tokenizer_encode(t, lines[i], strlen(lines[i]), ids, CAPACITY, &n));
            for (int64_t k = 0; k < n; k++) assert_true(ids[k] == ATT_TOKEN_UNK || ids[k] >= ATT_TOKEN_SPECIALS);
            if (kind != ATT_TOKENIZER_WORD) expect_decoded(t, lines[i], lines[i]);
        }
        att_tokenizer_destroy(t);
    }
}

static void dropout_samples_segmentations_of_the_same_text(void **state)
{
    (void)state;
    language *l = make_language(21);
    att_tokenizer *t;
    att_random r = {.seed = 4};
    int64_t tokens[3] = {0}, differ = 0;
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.coverage = 1, .vocabulary = 150}, l->text, LINES, NULL, &t));
    for (int i = 0; i < LINES; i++) {
        static const double dropout[] = {0.0, 0.3, 1.0};
        int32_t plain[CAPACITY], ids[CAPACITY];
        int64_t n0, n;
        const char *s = l->text[i].data;
        size_t bytes = l->text[i].bytes, written;
        assert_ok(att_tokenizer_encode(t, s, bytes, plain, CAPACITY, &n0));
        for (int d = 0; d < 3; d++) {
            char out[LINE_BYTES];
            assert_ok(att_tokenizer_encode_sampled(t, s, bytes, dropout[d], &r, ids, CAPACITY, &n));
            assert_ok(att_tokenizer_decode(t, ids, n, out, sizeof out, &written));
            assert_string_equal(out, s);
            tokens[d] += n;
            int same = n == n0 && memcmp(ids, plain, (size_t)n * sizeof *ids) == 0;
            if (d == 0) assert_true(same);
            if (d == 1) differ += !same;
        }
        int64_t characters = 1; /* dropout 1: code points, and the blank in front */
        for (size_t k = 0; k < bytes; k++) characters += ((unsigned char)s[k] & 0xC0) != 0x80;
        assert_int_equal(n, characters);
    }
    assert_true(tokens[0] < tokens[1] && tokens[1] < tokens[2]);
    assert_true(differ > LINES / 2);
    int64_t n;
    assert_int_equal(att_tokenizer_encode_sampled(t, "a", 1, 1.5, &r, NULL, 0, &n), ATT_E_VALUE);
    assert_int_equal(att_tokenizer_encode_sampled(t, "a", 1, NAN, &r, NULL, 0, &n), ATT_E_VALUE);
    att_tokenizer_destroy(t);
    free(l);
}

/* With one possible merge, the share of words it is missing from is the dropout itself. */
static void dropout_has_its_probability(void **state)
{
    (void)state;
    static const char *const lines[] = {"b b b"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.vocabulary = 7}, lines, 1);
    att_random r = {.seed = 8};
    int64_t split = 0, n;
    enum { N = 20000 };
    for (int i = 0; i < N; i++) {
        int32_t ids[4];
        assert_ok(att_tokenizer_encode_sampled(t, "b", 1, 0.1, &r, ids, 4, &n));
        split += n == 2;
    }
    assert_true(fabs((double)split / N - 0.1) < 0.01);
    att_tokenizer_destroy(t);
}

static void words_of_any_length_encode_alike(void **state)
{
    (void)state;
    static const char *const lines[] = {"aaaa bbbb abab aabb"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.coverage = 1}, lines, 1);
    enum { LONG = 300000 };
    char *s = malloc(LONG + 1), *out = malloc(LONG + 1);
    int32_t *ids = malloc((LONG + 1) * sizeof *ids);
    att_random r = {.seed = 2};
    static const int64_t lengths[] = {1, 94, 95, 96, 97, 1000, LONG}; /* both sides of the stack's scratch */
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        size_t bytes = (size_t)lengths[k], written;
        int64_t n;
        for (size_t i = 0; i < bytes; i++) s[i] = "ab"[att_random_below(&r, 2)];
        s[bytes] = '\0';
        assert_ok(att_tokenizer_encode(t, s, bytes, ids, (int64_t)bytes + 1, &n));
        assert_true(bytes < 90 || n < (int64_t)bytes);
        assert_ok(att_tokenizer_decode(t, ids, n, out, bytes + 1, &written));
        assert_string_equal(out, s);
    }
    free(s);
    free(out);
    free(ids);
    att_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bpe_learns_by_hand_example),
        cmocka_unit_test(bpe_equals_the_definition),
        cmocka_unit_test(order_of_lines_does_not_matter),
        cmocka_unit_test(bpe_never_crosses_words_and_loses_nothing),
        cmocka_unit_test(pieces_do_not_mix_letters_digits_and_marks),
        cmocka_unit_test(bpe_coverage_leaves_rare_characters_out),
        cmocka_unit_test(special_tokens_are_never_encoded),
        cmocka_unit_test(dropout_samples_segmentations_of_the_same_text),
        cmocka_unit_test(dropout_has_its_probability),
        cmocka_unit_test(words_of_any_length_encode_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
