/* The Transformer in its three shapes: gradients of many configurations, the cache, batches, threads, refusals. */
#include "harness.h"
#include "model/differences.h"

#include <attend/transformer.h>

#include "allocator.h"

enum { V = 11, B = 3, TS = 5, TT = 4, C = 12, H = 6, F = 10 };

static int32_t source[B * TS] = {4, 5, 0, 0, 0, 5, 9, 3, 0, 0, 6, 4, 7, 6, 3};
static int32_t lengths[B] = {2, 3, 5};
static int32_t segments[B * TS] = {0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1};
static int32_t target_in[B * TT] = {2, 5, 0, 0, 2, 4, 6, 0, 2, 6, 5, 4};
static int32_t target_out[B * TT] = {5, 3, -1, -1, 4, 6, 3, -1, 6, 5, 4, 3};
static int32_t masked_out[B * TS] = {4, -1, -1, -1, -1, -1, 10, 3, -1, -1, -1, -1, 7, 6, -1};

static att_transformer_batch whole_batch(const att_transformer_config *c)
{
    att_transformer_batch b = {.source = att_view_2d(source, ATT_I32, B, TS),
                               .source_lengths = att_view_1d(lengths, ATT_I32, B),
                               .target_in = att_view_2d(target_in, ATT_I32, B, TT),
                               .target_out = att_view_2d(target_out, ATT_I32, B, TT)};
    if (c->shape != ATT_TRANSFORMER_ENCODER) return b;
    b.target_out = att_view_2d(masked_out, ATT_I32, B, TS);
    if (c->segments) b.segments = att_view_2d(segments, ATT_I32, B, TS);
    return b;
}

static const att_transformer_config plain = {.source_vocabulary = V,
                                             .target_vocabulary = V,
                                             .width = C,
                                             .feed_forward = F,
                                             .encoder_layers = 2,
                                             .decoder_layers = 2,
                                             .heads = 2,
                                             .context = 8};

/* Number i of the configurations that are tried: every shape, position, norm and activation, the rest mixed in. */
static att_transformer_config configuration(int i)
{
    static const int activations[] = {ATT_ACT_RELU, ATT_ACT_GELU, ATT_ACT_GELU_TANH, ATT_ACT_SILU};
    att_transformer_config c = plain;
    c.shape = i % 3, i /= 3;
    c.positions = i % (ATT_POSITIONS_NONE + 1), i /= ATT_POSITIONS_NONE + 1;
    c.norm = i % 2, i /= 2;
    int mix = i + 5 * c.positions + 3 * c.norm + c.shape;
    c.activation = activations[mix % 4];
    c.heads = mix % 3 ? 2 : H;
    c.kv_heads = mix % 3 == 1 ? 1 : mix % 3 == 2 ? 0 : 3;
    c.final_norm = mix % 2;
    c.embedding_norm = mix % 5 == 1;
    c.scale_embedding = mix % 2;
    c.tied = mix % 3 != 0;
    c.shared = mix % 4 != 3;
    c.output_bias = mix % 2;
    c.without_bias = mix % 7 == 2;
    c.dropout = mix % 4 == 1 ? 0.2 : 0.0;
    c.attention_dropout = mix % 8 == 1 ? 0.2 : 0.0;
    c.inner_dropout = mix % 8 == 5 ? 0.2 : 0.0;
    if (c.shape != ATT_TRANSFORMER_ENCODER) return c;
    c.segments = mix % 2 ? 2 : 0;
    c.head = mix % 3 == 1;
    return c;
}
#define CONFIGURATIONS (3 * (ATT_POSITIONS_NONE + 1) * 2 * 2)

static const char *described(const att_transformer_config *c)
{
    static char text[160];
    snprintf(text, sizeof text, "shape %d positions %d norm %d activation %d heads %d/%d tied %d shared %d head %d",
             c->shape, c->positions, c->norm, c->activation, (int)c->heads, (int)c->kv_heads, c->tied, c->shared,
             c->head);
    return text;
}

typedef struct model {
    att_transformer *m;
    att_params *params;
    att_tape *tape;
} model;

static model make_model(const att_transformer_config *c, int threads)
{
    model m;
    att_exec exec = {.threads = threads};
    assert_ok(att_transformer_create(c, 1, 1, NULL, &m.m));
    m.params = att_transformer_params(m.m);
    assert_ok(att_tape_create(&exec, NULL, &m.tape));
    for (int64_t i = 0; i < att_params_count(m.params); i++) {
        const att_view *v = att_parameter_value(att_params_at(m.params, i));
        bool gain = strstr(att_parameter_name(att_params_at(m.params, i)), ".gain") != NULL;
        float *p = v->data;
        fill_f32(p, att_view_count(v), (uint64_t)i + 3, 0.6f);
        for (int64_t e = 0; gain && e < att_view_count(v); e++) p[e] += 1.0f;
    }
    att_params_changed(m.params);
    return m;
}

static void free_model(model *m)
{
    att_tape_destroy(m->tape);
    att_transformer_destroy(m->m);
}

static double loss_of(const model *m, const att_transformer_batch *batch, int record)
{
    att_loss loss;
    att_params_changed(m->params);
    att_tape_begin(m->tape, record);
    assert_ok(att_transformer_loss(m->tape, m->m, batch, record ? 0.1 : 0.0, 1.0, 5, &loss));
    return loss.sum;
}

/* ---- gradients ---- */

static double loss_now(const void *m)
{
    att_transformer_batch batch = whole_batch(att_transformer_configuration(((const model *)m)->m));
    return loss_of(m, &batch, 1);
}

/* A key's bias adds the same to all scores of a row: the softmax does not see it. */
static bool without_effect(const void *m, const char *name, int64_t i)
{
    const att_transformer_config *c = att_transformer_configuration(((const model *)m)->m);
    int64_t D = c->width / c->heads, kv = (c->kv_heads ? c->kv_heads : c->heads) * D;
    if (strstr(name, ".attention.qkv.bias"))
        return c->positions != ATT_POSITIONS_ROTARY && i >= c->width && i < c->width + kv;
    return strstr(name, ".cross.key_value.bias") && i < kv;
}

static void gradients(void **state)
{
    (void)state;
    att_random r = {.seed = 8};
    for (int i = 0; i < CONFIGURATIONS; i++) {
        att_transformer_config c = configuration(i);
        att_transformer_batch batch = whole_batch(&c);
        if (c.activation == ATT_ACT_RELU) c.activation = ATT_ACT_SILU; /* its kink spoils differences */
        model m = make_model(&c, 1);
        att_params_zero_gradients(m.params);
        loss_of(&m, &batch, 1);
        assert_ok(att_tape_backward(m.tape));
        att_params_settle_gradients(m.params);
        differences d = {loss_now, without_effect, &m, described(&c), 0.0078125f, 6e-3, 1e-3};
        differences_check(&d, m.params, &r);
        free_model(&m);
    }
}

/* The same bits for any number of threads; sizes at which threads are used. */
static void threads(void **state)
{
    enum { ROWS = 6, LENGTH = 33 };
    static int32_t ids[ROWS * LENGTH], next[ROWS * LENGTH];
    (void)state;
    for (int i = 0; i < ROWS * LENGTH; i++) {
        ids[i] = i * 7 % 50;
        next[i] = (i * 7 + 7) % 50;
    }
    for (int shape = 0; shape < 3; shape++) {
        float *first = NULL;
        for (int n = 1; n <= 3; n++) {
            att_transformer_config c = plain;
            c.shape = shape;
            c.width = 64;
            c.feed_forward = 200;
            c.context = LENGTH;
            c.source_vocabulary = c.target_vocabulary = 50;
            c.dropout = c.attention_dropout = 0.1;
            c.norm = shape % 2;
            c.activation = ATT_ACT_GELU;
            model m = make_model(&c, n);
            att_view v = att_view_2d(ids, ATT_I32, ROWS, LENGTH), out = att_view_2d(next, ATT_I32, ROWS, LENGTH);
            att_transformer_batch batch = {.source = v, .target_in = v, .target_out = out};
            att_params_zero_gradients(m.params);
            loss_of(&m, &batch, 1);
            assert_ok(att_tape_backward(m.tape));
            att_params_settle_gradients(m.params);
            size_t bytes = (size_t)att_params_elements(m.params) * sizeof(float);
            if (!first) {
                first = malloc(bytes);
                memcpy(first, att_params_gradients(m.params), bytes);
            } else {
                assert_memory_equal(first, att_params_gradients(m.params), bytes);
            }
            free_model(&m);
        }
        free(first);
    }
}

/* ---- the cache ---- */

enum { LONG = 150, ROWS = 6 }; /* more keys than one block of the kernels, with a tail */
static int32_t long_ids[ROWS * LONG];

static att_transformer_config long_configuration(int positions, bool cross)
{
    att_transformer_config c = plain;
    c.shape = cross ? ATT_TRANSFORMER_ENCODER_DECODER : ATT_TRANSFORMER_DECODER;
    c.positions = positions;
    c.norm = positions % 2;
    c.activation = ATT_ACT_GELU_TANH;
    c.width = 24;
    c.heads = 6;
    c.kv_heads = positions % 2 ? 2 : 6;
    c.context = positions == ATT_POSITIONS_LEARNED ? LONG : 16; /* computed positions go on behind their table */
    c.tied = c.shared = 1;
    return c;
}

/* Decoder states of rows lo .. hi of long_ids in pieces of the given sizes (0 ends them), through a cache or all at
 * once without one, as logits (hi - lo, LONG, V). */
static void run_pieces(const model *m, int64_t lo, int64_t hi, const int64_t *piece, bool cached, float *logits)
{
    att_transformer_cache *cache = NULL;
    att_transformer_memory memory, *read = NULL;
    att_tape *encoder;
    int64_t n = hi - lo, at = 0;
    assert_ok(att_tape_create(NULL, NULL, &encoder));
    if (cached) assert_ok(att_transformer_cache_create(m->m, n, LONG, NULL, &cache));
    att_tape_begin(encoder, 0);
    if (att_transformer_configuration(m->m)->shape == ATT_TRANSFORMER_ENCODER_DECODER) {
        static int32_t words[ROWS * 7];
        for (int i = 0; i < ROWS * 7; i++) words[i] = (i * i + 3) % V;
        att_view v = att_view_2d(words + lo * 7, ATT_I32, n, 7);
        att_node *states = att_transformer_encode(encoder, m->m, &v, NULL, NULL, 0, NULL);
        att_transformer_remember(encoder, m->m, states, NULL, read = &memory);
        assert_ok(att_tape_status(encoder));
    }
    for (; *piece; piece++) {
        int32_t ids[ROWS * LONG];
        att_view v = att_view_2d(ids, ATT_I32, n, *piece);
        for (int64_t r = 0; r < n; r++)
            memcpy(ids + r * *piece, long_ids + (lo + r) * LONG + at, (size_t)*piece * sizeof *ids);
        att_tape_begin(m->tape, 0);
        att_node *x = att_transformer_decode(m->tape, m->m, read, cache, &v, 0, NULL);
        x = att_transformer_logits(m->tape, m->m, x);
        assert_ok(att_tape_status(m->tape));
        const float *y = att_node_value(x)->data;
        for (int64_t r = 0; r < n; r++)
            memcpy(logits + (r * LONG + at) * V, y + r * *piece * V, (size_t)(*piece * V) * sizeof *y);
        at += *piece;
        if (cached) assert_int_equal(att_transformer_cache_length(cache), at);
    }
    att_transformer_cache_destroy(cache);
    att_tape_destroy(encoder);
}

/* One by one, in pieces and at once, alone and in a batch: the same bits. */
static void cached_equals_uncached(void **state)
{
    static float all[ROWS * LONG * V], pieces[ROWS * LONG * V], alone[LONG * V];
    static const int64_t whole[] = {LONG, 0}, some[] = {20, 1, 7, 33, 1, 13, 0};
    int64_t ones[LONG + 1] = {0};
    (void)state;
    for (int i = 0; i < LONG; i++) ones[i] = 1;
    for (int i = 0; i < ROWS * LONG; i++) long_ids[i] = (i * 5 + i / 7) % V;
    for (int positions = 0; positions <= ATT_POSITIONS_NONE; positions++)
        for (int cross = 0; cross < 2; cross++) {
            att_transformer_config c = long_configuration(positions, cross);
            model m = make_model(&c, 1);
            run_pieces(&m, 0, ROWS, whole, false, all);
            const int64_t *cuts[] = {whole, some, ones};
            for (int k = 0; k < 3; k++) {
                run_pieces(&m, 0, ROWS, cuts[k], true, pieces);
                for (int t = 0; t < ROWS * LONG; t++)
                    if (memcmp(pieces + t * V, all + t * V, V * sizeof *all) != 0)
                        fail_msg("positions %d, cross %d, cut %d: row %d, position %d differs", positions, cross, k,
                                 t / LONG, t % LONG);
            }
            run_pieces(&m, 2, 3, ones, true, alone);
            assert_memory_equal(alone, all + 2 * LONG * V, sizeof alone);
            free_model(&m);
        }
}

/* Whatever rows move where, circles included: every row goes on as if it had always been its parent. A cut forgets, and
 * a cache that served more rows before forgets them. */
static void reordered(void **state)
{
    enum { R = 7, T = 4 };
    static const int32_t some[][R] = {{1, 2, 3, 4, 5, 6, 0}, {1, 0, 3, 2, 5, 4, 6}, {1, 1, 2, 1, 3, 4, 5},
                                      {2, 0, 1, 0, 3, 4, 5}, {6, 5, 4, 3, 2, 1, 0}, {3, 3, 3, 3, 3, 3, 3}};
    enum { SOME = sizeof some / sizeof *some, ALL = SOME + 40 };
    att_transformer_config c = long_configuration(ATT_POSITIONS_SINE, false);
    model m = make_model(&c, 2);
    att_transformer_cache *cache;
    att_exec exec = {.threads = 2};
    att_random random = {.seed = 7};
    (void)state;
    assert_ok(att_transformer_cache_create(m.m, R + 2, T, NULL, &cache));
    for (int64_t i = 0; i < ALL; i++) {
        int32_t ids[R * T], next[R], want[R * (T + 1)], parent[R];
        float got[R][V];
        for (int64_t r = 0; r < R; r++) parent[r] = i < SOME ? some[i][r] : (int32_t)(att_random_u32(&random) % R);
        for (int r = 0; r < R; r++) {
            for (int t = 0; t < T; t++) {
                ids[r * T + t] = (r * 5 + t * 3 + (int)i) % V;
                want[r * (T + 1) + t] = (parent[r] * 5 + t * 3 + (int)i) % V;
            }
            want[r * (T + 1) + T] = next[r] = (r + 1) % V;
        }
        att_view first = att_view_2d(ids, ATT_I32, R, T), step = att_view_2d(next, ATT_I32, R, 1);
        att_view whole = att_view_2d(want, ATT_I32, R, T + 1);
        assert_ok(att_transformer_cache_reserve(cache, R, T + 1));
        att_tape_begin(m.tape, 0);
        att_transformer_decode(m.tape, m.m, NULL, cache, &first, 0, NULL);
        att_transformer_cache_reorder(cache, &exec, parent);
        att_node *x;
        for (int again = 0; again < 2; again++) { /* the second time after forgetting the first */
            x = att_transformer_decode(m.tape, m.m, NULL, cache, &step, 0, NULL);
            memcpy(got, att_node_value(att_transformer_logits(m.tape, m.m, x))->data, sizeof got);
            att_transformer_cache_cut(cache, T);
        }
        assert_ok(att_tape_status(m.tape));
        att_tape_begin(m.tape, 0);
        x = att_transformer_logits(m.tape, m.m, att_transformer_decode(m.tape, m.m, NULL, NULL, &whole, 0, NULL));
        assert_ok(att_tape_status(m.tape));
        const float *y = att_node_value(x)->data;
        for (int r = 0; r < R; r++)
            if (memcmp(got[r], y + (r * (T + 1) + T) * V, sizeof got[r]) != 0)
                fail_msg("reordering %lld: row %d differs", (long long)i, r);
    }
    att_transformer_cache_destroy(cache);
    free_model(&m);
}

/* Several rows of one sentence read its memory as if each had its own; weights are of the right shape and sum to 1. */
static void rows_of_a_sentence(void **state)
{
    static int32_t words[2 * 3] = {4, 5, 3, 7, 3, 0}, count[2] = {3, 2}, ids[6] = {4, 5, 6, 7, 8, 9};
    float together[6][V];
    att_transformer_config c = long_configuration(ATT_POSITIONS_SINE, true);
    model m = make_model(&c, 1);
    att_tape *encoder;
    att_transformer_memory memory;
    static att_transformer_look look;
    (void)state;
    assert_ok(att_tape_create(NULL, NULL, &encoder));
    for (int n = 3; n >= 1; n -= 2) { /* both sentences with three rows each, then every row alone */
        for (int b = 0; b < (n == 3 ? 1 : 6); b++) {
            int64_t sentences = n == 3 ? 2 : 1, at = n == 3 ? 0 : b / 3;
            att_view v = att_view_2d(words + 3 * at, ATT_I32, sentences, 3),
                     l = att_view_1d(count + at, ATT_I32, sentences);
            att_view step = att_view_2d(ids + b, ATT_I32, sentences * n, 1);
            att_tape_begin(encoder, 0);
            att_node *states = att_transformer_encode(encoder, m.m, &v, &l, NULL, 0, &look);
            att_transformer_remember(encoder, m.m, states, &l, &memory);
            assert_ok(att_tape_status(encoder));
            assert_int_equal(look.encoder[1].dim[1], c.heads);
            att_tape_begin(m.tape, 0);
            att_node *x = att_transformer_decode(m.tape, m.m, &memory, NULL, &step, 0, &look);
            x = att_transformer_logits(m.tape, m.m, x);
            assert_ok(att_tape_status(m.tape));
            if (n == 3)
                memcpy(together, att_node_value(x)->data, sizeof together);
            else
                assert_memory_equal(together[b], att_node_value(x)->data, sizeof together[b]);
            const float *w = look.cross[1].data;
            int64_t rows = att_view_count(&look.cross[1]) / 3;
            for (int64_t r = 0; r < rows; r++) assert_float_equal(w[3 * r] + w[3 * r + 1] + w[3 * r + 2], 1.0f, 1e-5f);
        }
    }
    att_tape_destroy(encoder);
    free_model(&m);
}

/* ---- batches ---- */

/* A sentence's loss alone, without padding, is its share of the batch's. */
static void sentences_alone(void **state)
{
    (void)state;
    for (int i = 0; i < CONFIGURATIONS; i++) {
        att_transformer_config c = configuration(i);
        att_transformer_batch batch = whole_batch(&c);
        model m = make_model(&c, 1);
        double sum = 0, all = loss_of(&m, &batch, 0);
        for (int b = 0; b < B; b++) {
            att_transformer_batch one = batch;
            att_view *views[] = {&one.source, &one.segments, &one.target_in, &one.target_out, &one.source_lengths};
            for (int k = 0; k < 5; k++)
                if (views[k]->data) *views[k] = att_view_slice(views[k], 0, b, b + 1);
            for (int k = 0; k < 2; k++)
                if (views[k]->data) *views[k] = att_view_slice(views[k], 1, 0, lengths[b]);
            if (c.shape == ATT_TRANSFORMER_ENCODER) one.target_out = att_view_slice(&one.target_out, 1, 0, lengths[b]);
            sum += loss_of(&m, &one, 0);
        }
        if (!(fabs(sum - all) <= 1e-5 * all)) fail_msg("%s: alone %.8g, together %.8g", described(&c), sum, all);
        free_model(&m);
    }
}

/* The last word of a decoder's input changes nothing before it. */
static void no_look_ahead(void **state)
{
    (void)state;
    for (int i = 1; i < CONFIGURATIONS; i += 3) {
        att_transformer_config c = configuration(i);
        model m = make_model(&c, 1);
        float before[3 * V];
        int32_t ids[4] = {2, 5, 6, 4};
        att_view v = att_view_2d(ids, ATT_I32, 1, 4);
        for (int k = 0; k < 2; k++) {
            ids[3] = k ? 9 : 4;
            att_tape_begin(m.tape, 0);
            att_node *x = att_transformer_decode(m.tape, m.m, NULL, NULL, &v, 0, NULL);
            x = att_transformer_logits(m.tape, m.m, x);
            assert_ok(att_tape_status(m.tape));
            if (!k)
                memcpy(before, att_node_value(x)->data, sizeof before);
            else
                assert_memory_equal(before, att_node_value(x)->data, sizeof before);
        }
        free_model(&m);
    }
}

static void pooled(void **state)
{
    (void)state;
    att_transformer_config c = plain;
    c.shape = ATT_TRANSFORMER_ENCODER;
    c.classes = 3;
    model m = make_model(&c, 1);
    att_view v = att_view_2d(source, ATT_I32, B, TS), l = att_view_1d(lengths, ATT_I32, B);
    att_tape_begin(m.tape, 0);
    att_node *x = att_transformer_encode(m.tape, m.m, &v, &l, NULL, 0, NULL);
    att_node *y = att_transformer_classify(m.tape, m.m, x);
    assert_ok(att_tape_status(m.tape));
    assert_int_equal(att_node_value(y)->dim[0], B);
    assert_int_equal(att_node_value(y)->dim[1], 3);
    free_model(&m);
}

/* ---- what is refused ---- */

static void refuse(att_transformer_config c, const char *key)
{
    att_transformer *m = (att_transformer *)&m;
    assert_int_equal(att_transformer_create(&c, 1, 0, NULL, &m), ATT_E_VALUE);
    assert_null(m);
    if (!strstr(att_last_error(), key)) fail_msg("'%s' does not name %s", att_last_error(), key);
}

static void impossible_configurations(void **state)
{
    (void)state;
    att_transformer_config c = plain;
#define REFUSE(field, bad, key)                                                                                        \
    do {                                                                                                               \
        c = plain;                                                                                                     \
        c.field = bad;                                                                                                 \
        refuse(c, key);                                                                                                \
    } while (0)
    REFUSE(source_vocabulary, 0, "model.source_vocabulary");
    REFUSE(target_vocabulary, -1, "model.target_vocabulary");
    REFUSE(width, 0, "model.width");
    REFUSE(feed_forward, -1, "model.feed_forward");
    REFUSE(encoder_layers, 0, "model.encoder_layers");
    REFUSE(decoder_layers, ATT_TRANSFORMER_MAX_LAYERS + 1, "model.decoder_layers");
    REFUSE(heads, 5, "model.heads");
    REFUSE(heads, 0, "model.heads");
    REFUSE(kv_heads, 3, "model.kv_heads");
    REFUSE(context, -1, "model.context");
    REFUSE(shape, 3, "model.shape");
    REFUSE(positions, ATT_POSITIONS_NONE + 1, "model.positions");
    REFUSE(norm, 2, "model.norm");
    REFUSE(activation, ATT_ACT_SILU + 1, "model.activation");
    REFUSE(dropout, 1.0, "model.dropout");
    REFUSE(attention_dropout, -0.1, "model.attention_dropout");
    REFUSE(inner_dropout, (double)NAN, "model.inner_dropout");
    REFUSE(segments, 2, "model.segments");
    REFUSE(pooler, 1, "pooler");
    c = plain;
    c.shared = 1;
    c.target_vocabulary = V + 1;
    refuse(c, "model.shared");
    c = plain;
    c.heads = 4;
    c.positions = ATT_POSITIONS_ROTARY;
    refuse(c, "model.positions");
    att_transformer_destroy(NULL);
#undef REFUSE
}

static void impossible_calls(void **state)
{
    (void)state;
    att_transformer_config c = long_configuration(ATT_POSITIONS_LEARNED, false);
    c.context = 4;
    model m = make_model(&c, 1);
    att_transformer_cache *cache;
    static int32_t ids[5] = {4, 5, 6, 7, 8};
    att_view five = att_view_2d(ids, ATT_I32, 1, 5), two = att_view_2d(ids, ATT_I32, 1, 2);
    assert_ok(att_transformer_cache_create(m.m, 1, 3, NULL, &cache));
    const struct {
        att_transformer_cache *cache;
        const att_view *ids;
        int record;
        const char *word;
    } calls[] = {{NULL, &five, 0, "model.context"}, {cache, &five, 0, "room for 3"}, {cache, &two, 1, "records"}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        att_tape_begin(m.tape, calls[i].record);
        att_transformer_decode(m.tape, m.m, NULL, calls[i].cache, calls[i].ids, 0, NULL);
        assert_int_equal(att_tape_status(m.tape), ATT_E_VALUE);
        if (!strstr(att_last_error(), calls[i].word)) fail_msg("'%s' lacks '%s'", att_last_error(), calls[i].word);
    }
    att_tape_begin(m.tape, 0);
    att_transformer_encode(m.tape, m.m, &two, NULL, NULL, 0, NULL);
    assert_int_equal(att_tape_status(m.tape), ATT_E_VALUE);
    att_tape_begin(m.tape, 0);
    att_transformer_pool(m.tape, m.m, att_transformer_decode(m.tape, m.m, NULL, NULL, &two, 0, NULL));
    assert_int_equal(att_tape_status(m.tape), ATT_E_VALUE);
    att_transformer_cache_destroy(cache);
    free_model(&m);
}

static void failing_allocator(void **state)
{
    (void)state;
    att_transformer_config c = configuration(3); /* both stacks */
    att_status status = ATT_E_MEMORY;
    for (int64_t at = 1; status != ATT_OK; at++) {
        att_transformer *m = NULL;
        att_tape *tape = NULL;
        att_transformer_cache *cache = NULL;
        att_loss loss;
        att_transformer_batch batch = whole_batch(&c);
        test_allocator books;
        test_allocator_init(&books, at);
        status = att_transformer_create(&c, 1, 1, &books.allocator, &m);
        if (status == ATT_OK) status = att_transformer_cache_create(m, 2, 3, &books.allocator, &cache);
        if (status == ATT_OK) status = att_transformer_cache_reserve(cache, 5, 9);
        if (status == ATT_OK) status = att_tape_create(NULL, &books.allocator, &tape);
        if (status == ATT_OK) {
            att_tape_begin(tape, 1);
            status = att_transformer_loss(tape, m, &batch, 0, 1, 0, &loss);
        }
        if (status == ATT_OK) status = att_tape_backward(tape);
        if (status != ATT_OK) assert_int_equal(status, ATT_E_MEMORY);
        att_tape_destroy(tape);
        att_transformer_cache_destroy(cache);
        att_transformer_destroy(m);
        assert_int_equal(books.live_blocks, 0);
        if (at > 1000) fail_msg("1000 allocations and no end");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(threads),
        cmocka_unit_test(cached_equals_uncached),
        cmocka_unit_test(reordered),
        cmocka_unit_test(rows_of_a_sentence),
        cmocka_unit_test(sentences_alone),
        cmocka_unit_test(no_look_ahead),
        cmocka_unit_test(pooled),
        cmocka_unit_test(impossible_configurations),
        cmocka_unit_test(impossible_calls),
        cmocka_unit_test(failing_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
