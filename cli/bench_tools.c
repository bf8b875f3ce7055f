/* What measurements are made of: sizes, memory, times and limits. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <attend/measure.h>

#define SPAN_MS 5.0 /* of one run: short calls are repeated */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds a call, of `calls` in a row. */
static att_status span(att_status (*call)(void *), void *ctx, int64_t calls, double *ms)
{
    double began = bench_now_s();
    for (int64_t i = 0; i < calls; i++) {
        att_status st = call(ctx);
        if (st != ATT_OK) return st;
    }
    *ms = 1e3 * (bench_now_s() - began) / (double)calls;
    return ATT_OK;
}

att_status bench_time(const bench_request *r, att_status (*call)(void *ctx), void *ctx, bench_result *out)
{
    double once = 0, *ms = bench_memory((size_t)r->runs * sizeof *ms);
    att_status st = span(call, ctx, 1, &once); /* not counted: caches and memory come to rest */
    if (st == ATT_OK) st = span(call, ctx, 1, &once);
    int64_t calls = once < SPAN_MS ? (int64_t)(SPAN_MS / (once + 1e-6)) + 1 : 1;
    for (int64_t i = 0; st == ATT_OK && i < r->runs; i++) st = span(call, ctx, calls, &ms[i]);
    qsort(ms, (size_t)r->runs, sizeof *ms, compare);
    out->ms = ms[r->runs / 2];
    out->ms_best = ms[0];
    return st;
}

int bench_shape(const bench_request *r, const char *usual, const char *letters, int n, int optional, int64_t *size)
{
    const char *text = r->shape ? r->shape : usual, *at = text;
    int found = 0;
    for (; found < n; found++) {
        char *end;
        long long x = strtoll(at, &end, 10);
        if (end == at || x < 1 || x > 1 << 24) {
            found = -1;
            break;
        }
        size[found] = x;
        at = end;
        if (*at != ',') {
            found++;
            break;
        }
        at++;
    }
    if (*at || found < n - optional) return cli_wrong("--shape: '%s', expected %s, each from 1 to 2^24", text, letters);
    return CLI_DONE;
}

att_status bench_multiply_add(const bench_request *r, bench_limit *out)
{
    const att_isa machine = att_isa_detect(), isa = r->exec.isa && r->exec.isa < machine ? r->exec.isa : machine;
    if (cli_weights(r->weights) == ATT_I8) {
        const bool bytes = cli_rounds_inputs(r->weights) && isa >= ATT_ISA_AVX512_VNNI && isa < ATT_ISA_AMX;
        att_status st = att_measure_i16(&r->exec, &out->rate);
        out->name = bytes ? "8-bit multiply-add" : "16-bit multiply-add";
        if (st == ATT_OK && bytes) out->rate *= 2; /* an instruction takes fours of bytes instead of pairs */
        return st;
    }
    if (r->bfloat16 && isa == ATT_ISA_AVX512_BF16) { /* what AMX could do is not measured */
        out->name = "bfloat16 multiply-add";
        return att_measure_bf16(&r->exec, &out->rate);
    }
    out->name = "multiply-add";
    return att_measure_fma(&r->exec, &out->rate);
}

att_status bench_roofline(const bench_request *r, double flops, double bytes, bench_result *out)
{
    double read, most = 512 << 20; /* more is read no faster or slower */
    att_status st = bench_multiply_add(r, &out->limit);
    if (st == ATT_OK) st = att_measure_read(&r->exec, (size_t)fmin(bytes, most), &read);
    if (st != ATT_OK) return st;
    bool reads = bytes / read > flops / out->limit.rate;
    double work = reads ? bytes : flops;
    if (reads) out->limit = (bench_limit){"read", read};
    out->rate[0] = (bench_rate){reads ? "gbps" : "gflops", reads ? "GB/s" : "GFLOP/s", work / out->ms * 1e-6};
    return ATT_OK;
}

/* ---- memory ---- */

typedef struct held {
    struct held *next;
    void *data;
} held;
static held *all;

void *bench_block(size_t bytes)
{
    const size_t huge = (size_t)1 << 21, align = bytes < 2 * huge ? 64 : huge;
    bytes = (bytes / align + 1) * align; /* something even for 0 */
    void *block = aligned_alloc(align, bytes);
#ifdef MADV_HUGEPAGE
    if (block && align == huge) (void)madvise(block, bytes, MADV_HUGEPAGE);
#endif
    return block;
}

void *bench_memory(size_t bytes)
{
    held *h = malloc(sizeof *h);
    void *data = bench_block(bytes);
    if (!h || !data) exit(cli_failed("out of memory: %zu bytes for a measurement", bytes));
    memset(data, 0, bytes);
    *h = (held){all, data};
    all = h;
    return data;
}

void bench_forget(void)
{
    while (all) {
        held *next = all->next;
        free(all->data);
        free(all);
        all = next;
    }
}

/* By a linear congruence (Knuth's MMIX): measured arrays are large and need not be more random. */
static void fill(att_view *v, int64_t n, uint64_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t x = (uint32_t)(seed >> 32);
        switch (v->dtype) {
        case ATT_F32: ((float *)v->data)[i] = (float)((double)x / 2147483648.0 - 1.0); break;
        case ATT_BF16: ((uint16_t *)v->data)[i] = (uint16_t)((x & 0x807f) | 126 << 7); break;
        case ATT_F16: ((uint16_t *)v->data)[i] = (uint16_t)((x & 0x83ff) | 14 << 10); break;
        case ATT_I8: ((int8_t *)v->data)[i] = (int8_t)(x >> 24); break;
        default: break;
        }
    }
}

att_view bench_array(att_dtype dtype, int ndim, const int64_t *dim, uint64_t seed)
{
    att_view v = att_view_dense(NULL, dtype, ndim, dim);
    int64_t n = att_view_count(&v);
    v.data = bench_memory((size_t)n * att_dtype_bytes(dtype));
    if (seed) fill(&v, n, seed);
    return v;
}
