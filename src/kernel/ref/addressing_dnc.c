/* Where the Differentiable Neural Computer reads and writes (Graves et al. 2016, Methods). */
#include "kernel/ref/addressing_row.h"

/* ---- usage ---- */

/* prod_r (1 - free_r read[r,i]), leaving out head `but`. */
static real retention(const att_dnc_usage *in, int64_t b, int64_t i, int64_t but)
{
    int64_t N = in->usage.dim[1], R = in->read.dim[1];
    real product = 1;
    for (int64_t r = 0; r < R; r++)
        if (r != but) product *= 1 - entry(&in->free, b)[r] * entry(&in->read, b)[r * N + i];
    return product;
}

void ATT_REF(dnc_usage)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_usage *in = call->in;
    (void)scratch;
    for (int64_t i = 0; i < in->usage.dim[1]; i++) {
        real u = entry(&in->usage, b)[i], w = entry(&in->write, b)[i];
        entry(call->out, b)[i] = (u + w - u * w) * retention(in, b, i, -1);
    }
}

/* forward: u' = (u + w - u w) psi, psi = prod_r (1 - f_r x_r). */
void ATT_REF(dnc_usage_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_usage *in = call->in, *g = call->grad;
    int64_t N = in->usage.dim[1], R = in->read.dim[1];
    (void)scratch;
    for (int64_t i = 0; i < N; i++) {
        real u = entry(&in->usage, b)[i], w = entry(&in->write, b)[i], d = entry(call->d_out, b)[i];
        real psi = retention(in, b, i, -1), dpsi = d * (u + w - u * w);
        if (g->usage.data) *at(&g->usage, b, i) += d * psi * (1 - w);
        if (g->write.data) *at(&g->write, b, i) += d * psi * (1 - u);
        for (int64_t r = 0; r < R; r++) {
            real others = dpsi * retention(in, b, i, r);
            if (g->free.data) *at(&g->free, b, r) -= others * entry(&in->read, b)[r * N + i];
            if (g->read.data) *at(&g->read, b, r * N + i) -= others * entry(&in->free, b)[r];
        }
    }
}

/* ---- allocation ---- */

typedef struct place {
    real usage;
    real index; /* a whole number: rows are fewer than 2^24 */
} place;

static int before(const place *x, const place *y)
{
    return x->usage < y->usage || (x->usage == y->usage && x->index < y->index);
}

/* Restore the heap below `top`: each place comes after both of its children. */
static void sift(place *heap, int64_t top, int64_t n)
{
    for (int64_t child; (child = 2 * top + 1) < n; top = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1])) child++;
        if (!before(&heap[top], &heap[child])) return;
        place swap = heap[top];
        heap[top] = heap[child];
        heap[child] = swap;
    }
}

/* The rows from the least used on, sorted in place as a heap: no memory beyond the scratch. */
static const place *sorted(const real *usage, int64_t n, void *scratch)
{
    place *p = scratch;
    for (int64_t i = 0; i < n; i++) p[i] = (place){usage[i], (real)i};
    for (int64_t i = n / 2 - 1; i >= 0; i--) sift(p, i, n);
    for (int64_t end = n - 1; end > 0; end--) {
        place most = p[0];
        p[0] = p[end];
        p[end] = most;
        sift(p, 0, end);
    }
    return p;
}

void ATT_REF(dnc_allocation)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_view *usage = call->in;
    int64_t N = usage->dim[1];
    const place *p = sorted(entry(usage, b), N, scratch);
    real product = 1;
    for (int64_t j = 0; j < N; j++) {
        entry(call->out, b)[(int64_t)p[j].index] = (1 - p[j].usage) * product;
        product *= p[j].usage;
    }
}

/* forward: a_j = (1 - u_j) P_j, P_j = prod_{i<j} u_i, in the sorted order.
 * du_j = P_j (later_j - da_j), later_j = sum_{k>j} (1 - u_k) da_k prod_{j<i<k} u_i
 *      = (1 - u_{j+1}) da_{j+1} + u_{j+1} later_{j+1}. */
void ATT_REF(dnc_allocation_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_view *usage = call->in, *dusage = call->grad;
    int64_t N = usage->dim[1];
    const place *p = sorted(entry(usage, b), N, scratch);
    real *prefix = (real *)scratch + 2 * N, later = 0;
    for (int64_t j = 0; j < N; j++) prefix[j] = j ? prefix[j - 1] * p[j - 1].usage : 1;
    for (int64_t j = N - 1; j >= 0; j--) {
        int64_t i = (int64_t)p[j].index;
        real da = entry(call->d_out, b)[i];
        if (dusage->data) *at(dusage, b, i) += prefix[j] * (later - da);
        later = (1 - p[j].usage) * da + p[j].usage * later;
    }
}

/* ---- the weight of writing ---- */

void ATT_REF(dnc_write)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_write *in = call->in;
    real gate = *entry(&in->write_gate, b), share = *entry(&in->allocation_gate, b);
    (void)scratch;
    for (int64_t i = 0; i < in->content.dim[1]; i++)
        entry(call->out, b)[i] =
            gate * (share * entry(&in->allocation, b)[i] + (1 - share) * entry(&in->content, b)[i]);
}

void ATT_REF(dnc_write_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_write *in = call->in, *g = call->grad;
    real gate = *entry(&in->write_gate, b), share = *entry(&in->allocation_gate, b);
    (void)scratch;
    for (int64_t i = 0; i < in->content.dim[1]; i++) {
        real a = entry(&in->allocation, b)[i], c = entry(&in->content, b)[i], d = entry(call->d_out, b)[i];
        if (g->allocation.data) *at(&g->allocation, b, i) += d * gate * share;
        if (g->content.data) *at(&g->content, b, i) += d * gate * (1 - share);
        if (g->write_gate.data) *entry(&g->write_gate, b) += d * (share * a + (1 - share) * c);
        if (g->allocation_gate.data) *entry(&g->allocation_gate, b) += d * gate * (a - c);
    }
}

/* ---- the order of writing ---- */

static real sum(const real *x, int64_t n)
{
    real s = 0;
    for (int64_t i = 0; i < n; i++) s += x[i];
    return s;
}

void ATT_REF(dnc_link)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_link *in = call->in;
    int64_t N = in->write.dim[1];
    const real *w = entry(&in->write, b), *p = entry(&in->precedence, b), *L = entry(&in->link, b);
    real kept = 1 - sum(w, N);
    (void)scratch;
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < N; j++)
            entry(call->out, b)[i * N + j] = i == j ? 0 : (1 - w[i] - w[j]) * L[i * N + j] + w[i] * p[j];
        entry(call->second, b)[i] = kept * p[i] + w[i];
    }
}

static void add(const att_view *v, int64_t b, int64_t i, real x)
{
    if (v->data) *at(v, b, i) += x;
}

/* forward: L'_ij = (1 - w_i - w_j) L_ij + w_i p_j,  p' = (1 - sum w) p + w. */
void ATT_REF(dnc_link_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_link *in = call->in, *g = call->grad;
    int64_t N = in->write.dim[1];
    const real *w = entry(&in->write, b), *p = entry(&in->precedence, b), *L = entry(&in->link, b);
    const real *dL = entry(call->d_out, b), *dp = entry(call->d_second, b);
    real kept = 1 - sum(w, N), along = 0;
    (void)scratch;
    for (int64_t j = 0; dp && j < N; j++) along += p[j] * dp[j];
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; dL && j < N; j++) {
            real d = dL[i * N + j];
            if (i == j) continue;
            add(&g->link, b, i * N + j, (1 - w[i] - w[j]) * d);
            add(&g->write, b, i, d * (p[j] - L[i * N + j]));
            add(&g->write, b, j, -d * L[i * N + j]);
            add(&g->precedence, b, j, w[i] * d);
        }
        if (!dp) continue;
        add(&g->precedence, b, i, kept * dp[i]);
        add(&g->write, b, i, dp[i] - along);
    }
}

/* ---- reading ---- */

void ATT_REF(dnc_read)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_read *in = call->in;
    int64_t R = in->read.dim[1], N = in->read.dim[2];
    const real *L = entry(&in->link, b);
    (void)scratch;
    for (int64_t r = 0; r < R; r++) {
        const real *x = at(&in->read, b, r * N), *mode = at(&in->mode, b, r * 3);
        for (int64_t i = 0; i < N; i++) {
            real back = 0, forth = 0;
            for (int64_t j = 0; j < N; j++) {
                back += L[j * N + i] * x[j];
                forth += L[i * N + j] * x[j];
            }
            *at(call->out, b, r * N + i) = mode[0] * back + mode[1] * *at(&in->content, b, r * N + i) + mode[2] * forth;
        }
    }
}

/* forward: w_i = mode_0 sum_j L_ji x_j + mode_1 c_i + mode_2 sum_j L_ij x_j. */
void ATT_REF(dnc_read_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_dnc_read *in = call->in, *g = call->grad;
    int64_t R = in->read.dim[1], N = in->read.dim[2];
    const real *L = entry(&in->link, b);
    (void)scratch;
    for (int64_t r = 0; r < R; r++) {
        const real *x = at(&in->read, b, r * N), *mode = at(&in->mode, b, r * 3);
        for (int64_t i = 0; i < N; i++) {
            real d = *at(call->d_out, b, r * N + i), back = 0, forth = 0;
            for (int64_t j = 0; j < N; j++) {
                back += L[j * N + i] * x[j];
                forth += L[i * N + j] * x[j];
                add(&g->link, b, j * N + i, d * mode[0] * x[j]);
                add(&g->link, b, i * N + j, d * mode[2] * x[j]);
                add(&g->read, b, r * N + j, d * (mode[0] * L[j * N + i] + mode[2] * L[i * N + j]));
            }
            add(&g->content, b, r * N + i, d * mode[1]);
            add(&g->mode, b, r * 3, d * back);
            add(&g->mode, b, r * 3 + 1, d * *at(&in->content, b, r * N + i));
            add(&g->mode, b, r * 3 + 2, d * forth);
        }
    }
}
