/* attend bench product. */
#include "bench.h"

#include <attend/product.h>

enum { M, N, K, BATCH, SIZES };

typedef struct problem {
    int64_t n[SIZES];
    att_exec exec;
    att_view a, b, c; /* (BATCH,...) */
    bool use_packed;
    att_product_desc desc;
    att_packed packed;
    att_span workspace;
} problem;

static att_status multiply(void *ctx)
{
    problem *p = ctx;
    if (!p->use_packed) return att_product_batch(&p->desc, &p->exec, &p->c, &p->a, &p->b, NULL, p->workspace);
    att_view a = att_view_at(&p->a, 0, 0), c = att_view_at(&p->c, 0, 0);
    return att_product_packed(NULL, &p->exec, &c, &a, &p->packed, NULL, p->workspace);
}

static att_view operand(int64_t batch, int64_t rows, int64_t cols, bool transpose, uint64_t seed)
{
    att_view x = bench_array(ATT_F32, 3, (int64_t[]){batch, transpose ? cols : rows, transpose ? rows : cols}, seed);
    return transpose ? att_view_transpose(&x, 1, 2) : x;
}

static att_status prepare(const bench_request *r, problem *p, bench_result *out)
{
    const int64_t *n = p->n;
    p->a = operand(n[BATCH], n[M], n[K], r->transpose_a, 1);
    p->b = operand(n[BATCH], n[K], n[N], r->transpose_b, 2);
    p->c = bench_array(ATT_F32, 3, (int64_t[]){n[BATCH], n[M], n[N]}, 0);
    att_status st = att_product_batch_workspace(&r->exec, n[BATCH], n[M], n[N], n[K], &p->workspace.bytes);
    if (st != ATT_OK) return st;
    p->workspace.data = bench_memory(p->workspace.bytes);
    out->workspace_bytes = p->workspace.bytes;
    out->path = att_isa_name(r->exec.isa ? r->exec.isa : att_isa_detect());
    if (!p->use_packed) return ATT_OK;
    att_dtype dtype = cli_weights(r->weights);
    att_span span = {.bytes = att_product_pack_as_bytes(&r->exec, dtype, n[K], n[N])};
    span.data = bench_memory(span.bytes);
    att_view b = att_view_at(&p->b, 0, 0);
    st = att_product_pack_as(&r->exec, dtype, &p->packed, &b, span);
    p->packed.a_bits = cli_rounds_inputs(r->weights) ? 8 : 0;
    return st;
}

int bench_product(const bench_request *r, bench_result *out)
{
    problem p = {.n = {0, 0, 0, 1}, .exec = r->exec, .use_packed = r->packed || r->weights};
    p.desc.bfloat16 = r->bfloat16;
    int status = bench_shape(r, "64,2048,512", "M,N,K or M,N,K,BATCH", SIZES, 1, p.n);
    if (status != CLI_DONE) return status;
    const int64_t *n = p.n;
    if (p.use_packed && r->bfloat16) return cli_wrong("--bfloat16: not for a b that is packed beforehand");
    if (p.use_packed && n[BATCH] > 1)
        return cli_wrong("--packed: with a batch of %lld, expected 1", (long long)n[BATCH]);
    snprintf(out->what, sizeof out->what, "%lld x (%lldx%lldx%lld)%s%s%s%s%s", (long long)n[BATCH], (long long)n[M],
             (long long)n[N], (long long)n[K], r->transpose_a ? " a transposed" : "",
             r->transpose_b ? " b transposed" : "", p.use_packed ? " packed " : "",
             p.use_packed ? cli_weights_names[r->weights] : "", r->bfloat16 ? " bfloat16" : "");
    att_status st = prepare(r, &p, out);
    if (st == ATT_OK) st = bench_time(r, multiply, &p, out);
    double batch = (double)n[BATCH], flops = 2 * (double)(n[M] * n[N]) * (double)n[K] * batch;
    double weights = (double)att_dtype_bytes(cli_weights(r->weights)) * (double)(n[K] * n[N]);
    double bytes = batch * (weights + 4 * (double)(n[M] * n[K] + n[M] * n[N]));
    if (st == ATT_OK) st = bench_roofline(r, flops, bytes, out);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}
