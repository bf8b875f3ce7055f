#include "text/language.h"

att_text text_of(const char *s)
{
    return (att_text){s, strlen(s)};
}

att_tokenizer *train_on(const att_tokenizer_desc *desc, const char *const *lines, int64_t n)
{
    att_text *list = malloc((size_t)n * sizeof *list);
    att_tokenizer *t;
    for (int64_t i = 0; i < n; i++) list[i] = text_of(lines[i]);
    assert_ok(att_tokenizer_train(desc, list, n, NULL, &t));
    free(list);
    return t;
}

void expect_pieces(const att_tokenizer *t, const char *text, const char *const *want, int64_t n)
{
    int32_t ids[CAPACITY];
    int64_t got;
    assert_ok(att_tokenizer_encode(t, text, strlen(text), ids, CAPACITY, &got));
    for (int64_t i = 0; i < got && i < n; i++) assert_string_equal(att_tokenizer_piece(t, ids[i]), want[i]);
    assert_int_equal(got, n);
}

void expect_decoded(const att_tokenizer *t, const char *text, const char *want)
{
    int32_t ids[CAPACITY];
    int64_t n;
    char out[4 * CAPACITY];
    size_t bytes;
    assert_ok(att_tokenizer_encode(t, text, strlen(text), ids, CAPACITY, &n));
    assert_ok(att_tokenizer_decode(t, ids, n, out, sizeof out, &bytes));
    assert_string_equal(out, want);
    assert_int_equal(bytes, strlen(want));
}

static void random_line(att_random *r, char *out, int words)
{
    static const char *const letter[] = {"a", "b", "a", "\xC3\xA9", "c", "\xE4\xBD\xA0", "\xF0\x9F\x99\x82", "b"};
    out[0] = '\0';
    for (int w = 0; w < words; w++) {
        if (w) strcat(out, " ");
        for (int n = 1 + (int)att_random_below(r, 7); n > 0; n--) strcat(out, letter[att_random_below(r, 8)]);
    }
}

language *make_language(uint64_t seed)
{
    language *l = malloc(sizeof *l);
    att_random r = {.seed = seed};
    for (int i = 0; i < LINES; i++) {
        random_line(&r, l->line[i], 1 + (int)att_random_below(&r, 9));
        l->text[i] = text_of(l->line[i]);
    }
    return l;
}

void *counting_resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
    counting *c = ctx;
    if (new_bytes == 0) {
        c->live_bytes -= (int64_t)old_bytes;
        free(block);
        return NULL;
    }
    if (c->calls++ == c->fail_at) return NULL;
    void *fresh = realloc(block, new_bytes);
    if (fresh) c->live_bytes += (int64_t)new_bytes - (int64_t)old_bytes;
    return fresh;
}
