/* Continuing a text: the prompt at once, then token by token through the cache. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>

#include "task/language.h"

typedef struct writer {
    att_language *l;
    const att_generate_options *o;
    int32_t *ids; /* prompt, then what was made */
    int64_t prompt, n, room;
    int64_t read; /* of ids, that the cache has seen; more than its length once the context slid */
    uint8_t *seen;
    att_token_chance *chance;
    int32_t end;              /* the end-of-text token, -1: none */
    int64_t V, context, most; /* most: new tokens */
    att_transformer_cache *cache;
    char *text;             /* of what was made */
    size_t text_room, told; /* told: bytes given to `piece` */
} writer;

static att_status check(const att_language *l, const att_generate_options *o)
{
    ATT_REQUIRE(!att_language_masks(l), ATT_E_UNSUPPORTED,
                "the model fills in masked tokens (task masked-language-model); it does not continue text");
    ATT_REQUIRE(o->max_tokens >= 0, ATT_E_VALUE, "max_tokens: %lld, expected 0 or more", (long long)o->max_tokens);
    ATT_REQUIRE(o->min_tokens >= 0, ATT_E_VALUE, "min_tokens: %lld, expected 0 or more", (long long)o->min_tokens);
    ATT_REQUIRE(o->temperature >= 0, ATT_E_VALUE, "temperature: %g, expected 0 or more", o->temperature);
    ATT_REQUIRE(o->top_k >= 0, ATT_E_VALUE, "top_k: %lld, expected 0 or more", (long long)o->top_k);
    ATT_REQUIRE(o->top_p >= 0 && o->top_p <= 1, ATT_E_VALUE, "top_p: %g, expected 0 to 1", o->top_p);
    ATT_REQUIRE(o->min_p >= 0 && o->min_p <= 1, ATT_E_VALUE, "min_p: %g, expected 0 to 1", o->min_p);
    ATT_REQUIRE(o->repetition_penalty >= 0, ATT_E_VALUE, "repetition_penalty: %g, expected 0 or more",
                o->repetition_penalty);
    return ATT_OK;
}

/* Where a text starts: an end-of-text token where texts are lines, else an end of line. */
static int32_t first_token(const att_language *l)
{
    int32_t id = att_tokenizer_role(l->tokenizer, ATT_ROLE_EOS), line;
    int64_t n;
    if (att_language_has_lines(l)) return id;
    return att_tokenizer_encode(l->tokenizer, "\n", 1, &line, 1, &n) == ATT_OK && n == 1 ? line : id;
}

static att_status read_prompt(writer *w, att_text prompt, int32_t **ids, int64_t *room)
{
    void *block;
    *room = 3 * (int64_t)prompt.bytes + 2;
    ATT_TRY(att_new_array(w->l->allocator, (size_t)*room, sizeof **ids, &block));
    *ids = block;
    int64_t at = prompt.bytes == 0 || att_language_has_lines(w->l), n = 0;
    if (at) (*ids)[0] = first_token(w->l);
    if (prompt.bytes)
        ATT_TRY(att_tokenizer_encode(w->l->tokenizer, prompt.data, prompt.bytes, *ids + at, *room - at, &n));
    w->prompt = n + at;
    ATT_REQUIRE(w->prompt <= w->context, ATT_E_VALUE,
                "prompt: %lld tokens, but the model was trained on contexts of at most %lld (model.context); give it a "
                "shorter one",
                (long long)w->prompt, (long long)w->context);
    int64_t left = w->context - w->prompt + 1; /* the last one made is not read */
    ATT_REQUIRE(w->o->slide || w->o->max_tokens <= left, ATT_E_VALUE,
                "max_tokens: %lld after a prompt of %lld, but the model was trained on contexts of %lld tokens: at "
                "most %lld, or let it slide",
                (long long)w->o->max_tokens, (long long)w->prompt, (long long)w->context, (long long)left);
    w->most = w->o->max_tokens ? w->o->max_tokens : left;
    return ATT_OK;
}

static att_status prepare(writer *w, att_text prompt)
{
    const att_allocator *a = w->l->allocator;
    int32_t *ids = NULL;
    int64_t room;
    void *block;
    att_status status = read_prompt(w, prompt, &ids, &room);
    if (status == ATT_OK) status = att_new_array(a, (size_t)(w->prompt + w->most), sizeof *w->ids, &block);
    if (status == ATT_OK) {
        w->ids = block;
        w->room = w->prompt + w->most;
        w->n = w->prompt;
        memcpy(w->ids, ids, (size_t)w->n * sizeof *ids);
    }
    att_free(a, ids, (size_t)room * sizeof *ids);
    ATT_TRY(status);
    ATT_TRY(att_new_array(a, (size_t)w->V, sizeof *w->seen, &block));
    w->seen = block;
    ATT_TRY(att_new_array(a, (size_t)w->V, sizeof *w->chance, &block));
    w->chance = block;
    for (int64_t i = 0; i < w->n; i++) w->seen[w->ids[i]] = 1;
    return att_transformer_cache_create(w->l->model, 1, att_min64(w->context, w->room), a, &w->cache);
}

static void release(writer *w)
{
    const att_allocator *a = w->l->allocator;
    att_transformer_cache_destroy(w->cache);
    att_free(a, w->ids, (size_t)w->room * sizeof *w->ids);
    att_free(a, w->seen, (size_t)w->V * sizeof *w->seen);
    att_free(a, w->chance, (size_t)w->V * sizeof *w->chance);
    att_free(a, w->text, w->text_room);
}

/* Tokens that are never text: padding, unknown, the start; and the end, where nothing in training ended. */
static void exclude(const writer *w, float *logits)
{
    static const att_token_role never[] = {ATT_ROLE_PAD, ATT_ROLE_UNK, ATT_ROLE_BOS, ATT_ROLE_MASK};
    const att_tokenizer *t = w->l->tokenizer;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        int32_t id = att_tokenizer_role(t, never[i]);
        if (id >= 0 && id != w->end) logits[id] = -INFINITY;
    }
    bool learnt_here = att_tokenizer_kind(t) <= ATT_TOKENIZER_CHAR;
    if (learnt_here && !att_language_has_lines(w->l)) logits[w->end] = -INFINITY;
    if (w->end >= 0 && w->n - w->prompt < w->o->min_tokens) logits[w->end] = -INFINITY;
}

/* Read what was not read yet; *logits are of the token behind it. */
static att_status advance(writer *w, const float **logits)
{
    att_tape *tape = w->l->tape;
    if (att_transformer_cache_length(w->cache) + w->n - w->read > w->context) { /* full: its later half begins anew */
        att_transformer_cache_cut(w->cache, 0);
        w->read = w->n - att_max64(1, w->context / 2);
    }
    att_view ids = att_view_2d(w->ids + w->read, ATT_I32, 1, w->n - w->read);
    att_tape_begin(tape, 0);
    att_node *x = att_transformer_decode(tape, w->l->model, NULL, w->cache, &ids, 0, NULL);
    ATT_TRY(att_tape_status(tape));
    x = att_transformer_logits(tape, w->l->model, att_tape_at(tape, x, 1, ids.dim[1] - 1));
    ATT_TRY(att_tape_status(tape));
    w->read = w->n;
    exclude(w, att_node_value(x)->data);
    *logits = att_node_value(x)->data;
    return ATT_OK;
}

/* ---- text ---- */

static att_status decode(writer *w, size_t *bytes)
{
    int64_t n = w->n - w->prompt;
    void *block = w->text;
    att_tokenizer_decode(w->l->tokenizer, w->ids + w->prompt, n, NULL, 0, bytes);
    if (*bytes + 1 > w->text_room) {
        size_t room = 2 * (*bytes + 64);
        ATT_TRY(att_realloc(w->l->allocator, &block, w->text_room, room));
        w->text = block;
        w->text_room = room;
    }
    return att_tokenizer_decode(w->l->tokenizer, w->ids + w->prompt, n, w->text, w->text_room, bytes);
}

/* Bytes that further tokens cannot change: without the replacement characters at the end, halves of what is to come. */
static size_t settled(const char *text, size_t bytes)
{
    while (bytes >= 3 && memcmp(text + bytes - 3, "\xEF\xBF\xBD", 3) == 0) bytes -= 3;
    return bytes;
}

static att_status tell(writer *w, bool last, int (*piece)(void *ctx, att_text text), void *ctx)
{
    size_t bytes;
    ATT_TRY(decode(w, &bytes));
    size_t ready = last ? bytes : settled(w->text, bytes);
    if (!piece || ready <= w->told) return ATT_OK;
    att_text fresh = {w->text + w->told, ready - w->told};
    w->told = ready;
    if (piece(ctx, fresh))
        return att_fail(ATT_E_INTERRUPTED, "stopped after %lld tokens", (long long)(w->n - w->prompt));
    return ATT_OK;
}

/* Under the untouched logits, on the kernels of the cross-entropy. */
static att_status log_probability_of(const writer *w, const float *logits, int32_t id, double *out)
{
    float loss, lse;
    int64_t correct;
    att_view row = att_view_2d((void *)(uintptr_t)logits, ATT_F32, 1, w->V), target = att_view_1d(&id, ATT_I32, 1),
             loss_of = att_view_1d(&loss, ATT_F32, 1), lse_of = att_view_1d(&lse, ATT_F32, 1);
    ATT_TRY(att_cross_entropy_forward(&w->l->exec, &loss_of, &lse_of, &row, &target, 0.0, &correct));
    *out = -(double)loss;
    return ATT_OK;
}

static att_status write_all(writer *w, att_generated *out, int (*piece)(void *ctx, att_text text), void *ctx)
{
    double began = att_clock(), log_probability;
    const float *logits;
    while (w->n - w->prompt < w->most && !out->ended) {
        ATT_TRY(advance(w, &logits));
        if (w->n == w->prompt) {
            out->prompt_seconds = att_clock() - began;
            began = att_clock();
        }
        int32_t id = att_sample(w->o, logits, w->seen, w->V, w->n - w->prompt, w->chance, NULL);
        ATT_TRY(log_probability_of(w, logits, id, &log_probability));
        w->ids[w->n++] = id;
        w->seen[id] = 1;
        out->log_probability += log_probability;
        out->ended = id == w->end && !w->o->ignore_end;
        if (piece) ATT_TRY(tell(w, false, piece, ctx));
    }
    ATT_TRY(tell(w, true, piece, ctx));
    out->seconds = att_clock() - began;
    out->tokens = w->n - w->prompt;
    out->prompt_tokens = w->prompt;
    return att_copy_string(NULL, w->text, strlen(w->text), &out->text);
}

att_status att_generate(att_language *l, const att_generate_options *o, att_text prompt, att_generated *out,
                        int (*piece)(void *ctx, att_text text), void *ctx)
{
    const att_transformer_config *c = att_transformer_configuration(l->model);
    int64_t V = att_tokenizer_size(l->tokenizer); /* words that only pad the model's vocabulary are never written */
    writer w = {.l = l, .o = o, .V = V, .context = c->context};
    w.end = att_tokenizer_role(l->tokenizer, ATT_ROLE_EOS);
    *out = (att_generated){0};
    ATT_TRY(check(l, o));
    att_status status = prepare(&w, prompt);
    if (status == ATT_OK) status = write_all(&w, out, piece, ctx);
    release(&w);
    return status;
}
