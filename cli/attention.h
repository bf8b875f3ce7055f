/* attend attention: what its files share. */
#ifndef CLI_ATTENTION_H
#define CLI_ATTENTION_H

#include <attend/mechanism.h>
#include <attend/view.h>

#include "common.h"

/* How the numbers of a file become what the library takes. */
typedef enum arr_kind {
    ARR_ROWS,    /* (T,D), (B,T,D) or (B,H,T,D), floating       */
    ARR_PLAIN,   /* floating, as it lies in the file            */
    ARR_SCORES,  /* floating, broadcast to (B,H,Tq,Tk)          */
    ARR_HEADS,   /* floating, (B,H,T): sizes 1 may be left out  */
    ARR_NUMBER,  /* floating, one number                        */
    ARR_MASK,    /* any type, non-zero is true, (B,H,Tq,Tk)     */
    ARR_TIMES,   /* any type, non-zero is true, (B,T)           */
    ARR_INTEGERS /* int32 or int64, to int32; (T) becomes (1,T) */
} arr_kind;

/* ROW(id, flag, FILE, kind, field of att_mechanism_in, name in the library's messages, help) */
#define ATTENTION_INPUTS(ROW)                                                                                          \
    ROW(QUERY, "query", "Q.npy", ARR_ROWS, core.q, "q", "queries: (T,D), (B,T,D) or (B,H,T,D)")                        \
    ROW(KEY, "key", "K.npy", ARR_ROWS, core.k, "k", "keys; without it the values")                                     \
    ROW(VALUE, "value", "V.npy", ARR_ROWS, core.v, "v", "values")                                                      \
    ROW(SCORE_WEIGHT, "score-weight", "W.npy", ARR_PLAIN, w_score, "w_score", "weights of the score, see above")       \
    ROW(SCORE_VECTOR, "score-vector", "V.npy", ARR_PLAIN, core.score_w, "score_w",                                     \
        "luong-concat: the vector before the tanh, (D)")                                                               \
    ROW(BIAS, "bias", "F.npy", ARR_SCORES, core.bias, "bias", "added to the scores; broadcast to (B,H,Tq,Tk)")         \
    ROW(MASK, "mask", "F.npy", ARR_MASK, core.mask, "mask", "non-zero: may attend; broadcast to (B,H,Tq,Tk)")          \
    ROW(QUERY_MASK, "query-mask", "F.npy", ARR_TIMES, core.query_mask, "query_mask", "(B,Tq), 0: the output is 0")     \
    ROW(VALUE_MASK, "value-mask", "F.npy", ARR_TIMES, core.mask, "value_mask", "(B,Tk), 0: nobody sees the key")       \
    ROW(KEY_LENGTHS, "key-lengths", "F.npy", ARR_INTEGERS, core.key_lengths, "key_lengths", "(B): keys that count")    \
    ROW(CENTRE, "centre", "P.npy", ARR_HEADS, core.centre, "centre", "local: centres of the windows, (B,H,Tq)")        \
    ROW(CENTRE_WEIGHT, "centre-weight", "W.npy", ARR_PLAIN, w_centre, "w_centre",                                      \
        "predictive: (Dq,P); p = S sigmoid(v . tanh(q W))")                                                            \
    ROW(CENTRE_VECTOR, "centre-vector", "V.npy", ARR_PLAIN, v_centre, "v_centre", "predictive: v, (P)")                \
    ROW(SLOPES, "slopes", "F.npy", ARR_PLAIN, core.slopes, "slopes", "ALiBi: (H), times the distance")                 \
    ROW(RELATIVE, "relative", "F.npy", ARR_PLAIN, core.relative, "relative",                                           \
        "(H,R) or (1,R): added by the distance of key and query")                                                      \
    ROW(SINKS, "sinks", "F.npy", ARR_PLAIN, core.sinks, "sinks", "(H): one more score in each row, of value zero")     \
    ROW(QUERY_POSITIONS, "query-positions", "F.npy", ARR_INTEGERS, core.q_positions, "q_positions",                    \
        "(B,Tq): instead of 0, 1, ...")                                                                                \
    ROW(KEY_POSITIONS, "key-positions", "F.npy", ARR_INTEGERS, core.k_positions, "k_positions",                        \
        "(B,Tk): instead of 0, 1, ...")                                                                                \
    ROW(BLOCK_STARTS, "block-starts", "F.npy", ARR_INTEGERS, core.block_starts, "block_starts",                        \
        "with --block: where each query block's list begins")                                                          \
    ROW(BLOCK_KEYS, "block-keys", "F.npy", ARR_INTEGERS, core.block_keys, "block_keys",                                \
        "with --block: the key blocks that it sees")                                                                   \
    ROW(STRENGTH, "strength", "F.npy", ARR_HEADS, strength, "strength", "cosine: beta of each query, (B,H,Tq)")        \
    ROW(GAIN, "gain", "F.npy", ARR_NUMBER, gain, "gain", "a learned factor: dot of q; keras-concat within the tanh")   \
    ROW(CONCAT_WEIGHT, "concat-weight", "F.npy", ARR_NUMBER, concat_weight, "concat_weight",                           \
        "keras-concat: the factor of the sum")                                                                         \
    ROW(COVERAGE, "coverage", "F.npy", ARR_HEADS, coverage, "coverage",                                                \
        "additive: what each key has received, (B,Hkv,Tk)")                                                            \
    ROW(COVERAGE_WEIGHT, "coverage-weight", "F.npy", ARR_PLAIN, w_coverage, "w_coverage", "its weights, (D)")          \
    ROW(W_QUERY, "w-query", "W.npy", ARR_PLAIN, w_query, "w_query", "projection of the queries, (Dq,N)")               \
    ROW(B_QUERY, "b-query", "B.npy", ARR_PLAIN, b_query, "b_query", "its bias, (N)")                                   \
    ROW(W_KEY, "w-key", "W.npy", ARR_PLAIN, w_key, "w_key", "projection of the keys")                                  \
    ROW(B_KEY, "b-key", "B.npy", ARR_PLAIN, b_key, "b_key", "its bias")                                                \
    ROW(W_VALUE, "w-value", "W.npy", ARR_PLAIN, w_value, "w_value", "projection of the values")                        \
    ROW(B_VALUE, "b-value", "B.npy", ARR_PLAIN, b_value, "b_value", "its bias")                                        \
    ROW(W_OUTPUT, "w-output", "W.npy", ARR_PLAIN, w_output, "w_output", "projection of all heads together")            \
    ROW(B_OUTPUT, "b-output", "B.npy", ARR_PLAIN, b_output, "b_output", "its bias")

/* ROW(id, field of att_mechanism_grad): what --grad-FLAG writes */
#define ATTENTION_GRADIENTS(ROW)                                                                                       \
    ROW(QUERY, core.dq)                                                                                                \
    ROW(KEY, core.dk)                                                                                                  \
    ROW(VALUE, core.dv)                                                                                                \
    ROW(SCORE_WEIGHT, dw_score)                                                                                        \
    ROW(SCORE_VECTOR, core.dscore_w)                                                                                   \
    ROW(BIAS, core.dbias)                                                                                              \
    ROW(CENTRE, core.dcentre)                                                                                          \
    ROW(CENTRE_WEIGHT, dw_centre)                                                                                      \
    ROW(CENTRE_VECTOR, dv_centre)                                                                                      \
    ROW(RELATIVE, core.drelative)                                                                                      \
    ROW(SINKS, core.dsinks)                                                                                            \
    ROW(STRENGTH, dstrength)                                                                                           \
    ROW(GAIN, dgain)                                                                                                   \
    ROW(CONCAT_WEIGHT, dconcat_weight)                                                                                 \
    ROW(COVERAGE, dcoverage)                                                                                           \
    ROW(COVERAGE_WEIGHT, dw_coverage)                                                                                  \
    ROW(W_QUERY, dw_query)                                                                                             \
    ROW(B_QUERY, db_query)                                                                                             \
    ROW(W_KEY, dw_key)                                                                                                 \
    ROW(B_KEY, db_key)                                                                                                 \
    ROW(W_VALUE, dw_value)                                                                                             \
    ROW(B_VALUE, db_value)                                                                                             \
    ROW(W_OUTPUT, dw_output)                                                                                           \
    ROW(B_OUTPUT, db_output)

#define ATTENTION_ID(id, ...) IN_##id,
enum { ATTENTION_INPUTS(ATTENTION_ID) IN_GRAD_OUTPUT, IN_GRAD_LOG_PROB, IN_GRAD_ENTROPY, INPUTS };
#undef ATTENTION_ID

enum {
    OUT_OUTPUT,
    OUT_WEIGHTS,
    OUT_SCORES,
    OUT_LSE,
    OUT_ENTROPY,
    OUT_TOP_KEYS,
    OUT_TOP_WEIGHTS,
    OUT_COLUMN_SUMS,
    OUT_CENTRE,
    OUT_COVERAGE,
    OUTPUTS
};

/* The order of the names in cli/attention.c. */
enum {
    SCORE_SCALED_DOT,
    SCORE_DOT,
    SCORE_ADDITIVE,
    SCORE_CONCAT,
    SCORE_GENERAL,
    SCORE_COSINE,
    SCORE_LOCATION,
    SCORE_NONE,
    SCORE_RELATIVE,
    SCORE_KERAS_CONCAT,
    SCORE_LUONG_CONCAT
};
enum { CAUSAL_NO, CAUSAL_TOP_LEFT, CAUSAL_BOTTOM_RIGHT };

/* Everything on the command line. */
typedef struct attention_request {
    const char *in[INPUTS], *out[OUTPUTS], *grad[INPUTS];
    const char *window;
    int score, causal, align, local, masked_rows, relative_kind, estimator, stage;
    int64_t heads, kv_heads, block, top, relative_distance, offset;
    double scale, softcap, temperature, dropout, half_width, sigma;
    bool full;
    int64_t left, right; /* of --window */
} attention_request;

/* An array, and the memory behind it. */
typedef struct attention_array {
    att_view file; /* its shape in the file, dense */
    att_view view; /* as the library takes it */
    void *block;
} attention_array;

typedef struct attention_call {
    const attention_request *r;
    attention_array in[INPUTS], grad[INPUTS], out[OUTPUTS];
    att_mechanism_desc desc;
    att_mechanism_in args;
    att_mechanism_out results;
    att_mechanism_grad gradients;
    att_mechanism_shape shape;
    int query_ndim; /* of the file */
    att_exec exec;
    attention_array context;
    att_span span; /* the workspace */
} attention_call;

/* What contradicts itself on the command line. cli/attention_check.c */
int attention_check(attention_request *r);

/* Read every file that was named and give each array its place in c->args. cli/attention_read.c */
int attention_read(attention_call *c);
/* A dense array in zeroed memory of its own. */
int attention_new_array(att_dtype dtype, int ndim, const int64_t *dim, attention_array *a);
/* The library's latest message, with the flag and the file in the place of its own name. */
int attention_fail(const attention_request *r, att_status status);

/* Fill c->desc; run forward, and backward where a gradient is wanted; write and print. cli/attention_run.c */
int attention_run(attention_call *c);

void attention_free(attention_call *c);

#endif
