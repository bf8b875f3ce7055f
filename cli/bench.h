/* What the parts of `attend bench` share. A measurement is a function that fills a bench_result from a bench_request;
 * a row of the table in bench.c gives it a name. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "common.h"

#include <attend/tape.h>

typedef struct bench_request {
    const char *shape;  /* "1,8,8,2048,2048,64"; NULL: the measurement's own */
    const char *window; /* "LEFT,RIGHT"; NULL: none */
    bool causal, backward, transpose_a, transpose_b, bfloat16, packed, prepared, prefill;
    int weights;                                          /* index of cli_weights_names */
    int dtype, score, model;                              /* indices of bench_dtypes, bench_scores, bench_models */
    int64_t width, batch, beam, length, vocabulary, runs; /* 0 but for runs: the measurement's own */
    att_exec exec;
} bench_request;

extern const char *const bench_dtypes[], *const bench_scores[], *const bench_models[];

/* What binds a measurement: a rate of the machine, measured in the same run, in the unit of the result's first rate. */
typedef struct bench_limit {
    const char *name; /* "multiply-add" */
    double rate;
} bench_limit;

typedef struct bench_rate {
    const char *key, *unit; /* of --json, and of the table */
    double value;
} bench_rate;

typedef struct bench_result {
    char what[96]; /* "forward, B1 H8 T2048 D64" */
    double ms, ms_best;
    int64_t runs;
    bench_rate rate[2]; /* the first is the one that is held against the limit; key NULL: none */
    size_t workspace_bytes;
    const char *path;
    bench_limit limit;
} bench_result;

/* Each returns an exit status, after a message when it is not CLI_DONE. */
int bench_attention(const bench_request *r, bench_result *out);
int bench_additive(const bench_request *r, bench_result *out);
int bench_decode(const bench_request *r, bench_result *out);
int bench_product(const bench_request *r, bench_result *out);
int bench_train(const bench_request *r, bench_result *out);
int bench_translate(const bench_request *r, bench_result *out);
int bench_generate(const bench_request *r, bench_result *out);

/* Median and best of r->runs runs of at least 5 ms each, after one that is not counted; all in milliseconds a call. */
att_status bench_time(const bench_request *r, att_status (*call)(void *ctx), void *ctx, bench_result *out);

/* The numbers of r->shape, or of `usual` when none was given: exactly n, but the last `optional` ones may be missing
 * and are left as they are. All at least 1. */
int bench_shape(const bench_request *r, const char *usual, const char *letters, int n, int optional, int64_t *size);

/* The multiply-adds that such work is made of: float32's, with 8-bit weights pairs of 16-bit integers, with bfloat16
 * AVX512_BF16's where that is what multiplies. */
att_status bench_multiply_add(const bench_request *r, bench_limit *out);

/* The limit of `flops` operations on `bytes` of memory: multiply-adds, or reading where that takes longer;
 * sets the result's first rate to match. */
att_status bench_roofline(const bench_request *r, double flops, double bytes, bench_result *out);

/* Zeroed memory aligned to 64 bytes that lives as long as the process's run of one measurement. */
void *bench_memory(size_t bytes);
void bench_forget(void); /* frees all of it */

/* A block as the library's own allocator makes it: a large one on huge pages. The caller frees it. */
void *bench_block(size_t bytes);

/* A dense array of random numbers: floats in [-1, 1), 16-bit floats of size 1/2 to 1, any integers. seed 0: zeros. */
att_view bench_array(att_dtype dtype, int ndim, const int64_t *dim, uint64_t seed);

double bench_now_s(void);

/* ---- models to train ---- */

typedef struct bench_model {
    const char *name;
    /* Creates the model: its parameters, and what `loss` needs in `state`. */
    att_status (*create)(const bench_request *r, void **state, att_params **params);
    void (*destroy)(void *state);
    /* Records the mean loss of ids source, target_in, target_out (length,batch). */
    att_status (*loss)(void *state, att_tape *tape, const att_view ids[3]);
    /* Multiply-adds, times two, of the products of a step: forward, and twice as many backward. */
    double (*flops)(const bench_request *r);
    int64_t width, batch, length, vocabulary; /* where the request has 0 */
} bench_model;

extern const bench_model bench_nmt, bench_nmt_step, bench_transformer, bench_gpt;

#endif
