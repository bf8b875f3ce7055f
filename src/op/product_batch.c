/* A batch of products: the threads share it product by product where there are enough, else each product. */
#include "base/parallel.h"
#include "op/product.h"

typedef struct batch {
    const att_product_desc *desc;
    att_exec exec; /* of one product */
    const att_view *c, *a, *b, *bias;
    att_span workspace;
    size_t step; /* bytes of workspace of each worker */
} batch;

static bool by_products(int64_t B, int threads)
{
    return threads > 1 && (B % threads == 0 || B >= ATT_TILES_PER_THREAD * threads);
}

static att_exec one_thread(const att_exec *exec)
{
    att_exec one = exec ? *exec : (att_exec){0};
    one.threads = 1;
    return one;
}

att_status att_product_batch_workspace(const att_exec *exec, int64_t B, int64_t M, int64_t N, int64_t K, size_t *bytes)
{
    const att_exec one = one_thread(exec);
    const int threads = att_threads(exec);
    ATT_REQUIRE(B >= 0, ATT_E_SHAPE, "product: a batch of %lld, expected 0 or more", (long long)B);
    if (!by_products(B, threads)) return att_product_workspace(exec, M, N, K, bytes);
    ATT_TRY(att_product_workspace(&one, M, N, K, bytes));
    ATT_REQUIRE(att_mul_size(att_round_up(*bytes, ATT_ALIGN), (size_t)threads, bytes), ATT_E_SHAPE,
                "product: a workspace for %d products does not fit", threads);
    return ATT_OK;
}

static att_status check(const att_view *v, const char *name, int64_t B)
{
    ATT_REQUIRE(v->ndim == 3, ATT_E_SHAPE, "product: %s has %d dimensions, expected 3", name, v->ndim);
    ATT_REQUIRE(v->dim[0] == B, ATT_E_SHAPE, "product: %s has %lld entries, expected %lld as c", name,
                (long long)v->dim[0], (long long)B);
    return ATT_OK;
}

static att_status one_product(const batch *p, const att_exec *exec, int64_t i, att_span workspace)
{
    att_view c = att_view_at(p->c, 0, i), a = att_view_at(p->a, 0, i), b = att_view_at(p->b, 0, i);
    return att_product(p->desc, exec, &c, &a, &b, p->bias, workspace);
}

/* Nothing that has been checked can fail. */
static void product_tile(void *ctx, int64_t i, int worker)
{
    const batch *p = ctx;
    (void)one_product(p, &p->exec, i, (att_span){(char *)p->workspace.data + (size_t)worker * p->step, p->step});
}

att_status att_product_batch(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                             const att_view *b, const att_view *bias, att_span workspace)
{
    batch p = {.desc = desc, .exec = one_thread(exec), .c = c, .a = a, .b = b, .bias = bias, .workspace = workspace};
    const int64_t B = c->dim[0];
    size_t bytes;
    ATT_TRY(check(c, "c", B));
    ATT_TRY(check(a, "a", B));
    ATT_TRY(check(b, "b", B));
    if (B == 0) return ATT_OK;
    att_view c0 = att_view_at(c, 0, 0), a0 = att_view_at(a, 0, 0), b0 = att_view_at(b, 0, 0);
    ATT_TRY(att_product_check(desc, &c0, &a0, &b0, bias));
    ATT_TRY(att_product_batch_workspace(exec, B, c0.dim[0], c0.dim[1], a0.dim[1], &bytes));
    if (c->dtype == ATT_F32 && c0.dim[0] > 0 && c0.dim[1] > 0) ATT_TRY(att_product_need(workspace, bytes));
    if (!by_products(B, att_threads(exec))) {
        for (int64_t i = 0; i < B; i++) ATT_TRY(one_product(&p, exec, i, workspace));
        return ATT_OK;
    }
    p.step = bytes / (size_t)att_threads(exec);
    att_parallel(exec, B, product_tile, &p);
    return ATT_OK;
}
