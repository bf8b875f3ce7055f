/* Where the Neural Turing Machine reads and writes (Graves, Wayne, Danihelka 2014, section 3.3). */
#include "kernel/ref/addressing_row.h"
#include "kernel/ref/mechanism.h"
#include "kernel/ref/rows.h"

/* ---- by content ---- */

/* c = cos(key, row), 0 where one of them is 0; |key| and |row| too. */
static real cosine(const real *key, const real *row, int64_t n, real *key_norm, real *row_norm)
{
    *key_norm = (real)sqrt((double)ATT_REF(dot)(key, key, n));
    *row_norm = (real)sqrt((double)ATT_REF(dot)(row, row, n));
    if (*key_norm == 0 || *row_norm == 0) return 0;
    return ATT_REF(dot)(key, row, n) / *key_norm / *row_norm;
}

void ATT_REF(content)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_content *in = call->in;
    int64_t N = in->memory.dim[1], W = in->memory.dim[2], H = in->key.dim[1];
    real *score = scratch, kn, rn;
    for (int64_t h = 0; h < H; h++) {
        const real *key = entry(&in->key, b) + h * W, *memory = entry(&in->memory, b);
        real beta = entry(&in->strength, b)[h];
        for (int64_t i = 0; i < N; i++) score[i] = beta * cosine(key, memory + i * W, W, &kn, &rn);
        ATT_REF(softmax)(entry(call->out, b) + h * N, score, N);
    }
}

/* c = cos(k, m):  dk += dc (m/|m| - c k/|k|) / |k|, and so for m. */
static void cosine_bwd(real *dk, real *dm, const real *k, const real *m, int64_t n, real dc)
{
    real kn, mn, c = cosine(k, m, n, &kn, &mn);
    if (kn == 0 || mn == 0) return;
    for (int64_t d = 0; d < n; d++) {
        if (dk) dk[d] += dc * (m[d] / mn - c * (k[d] / kn)) / kn;
        if (dm) dm[d] += dc * (k[d] / kn - c * (m[d] / mn)) / mn;
    }
}

void ATT_REF(content_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_content *in = call->in, *g = call->grad;
    int64_t N = in->memory.dim[1], W = in->memory.dim[2], H = in->key.dim[1];
    real *ds = scratch, kn, rn;
    for (int64_t h = 0; h < H; h++) {
        const real *key = entry(&in->key, b) + h * W, *memory = entry(&in->memory, b);
        real beta = entry(&in->strength, b)[h], *dkey = entry(&g->key, b), *dmemory = entry(&g->memory, b), sum = 0;
        for (int64_t i = 0; i < N; i++) ds[i] = 0;
        ATT_REF(softmax_bwd)(ds, entry(call->d_out, b) + h * N, entry(call->out, b) + h * N, N);
        for (int64_t i = 0; i < N; i++) {
            sum += ds[i] * cosine(key, memory + i * W, W, &kn, &rn);
            cosine_bwd(dkey ? dkey + h * W : NULL, dmemory ? dmemory + i * W : NULL, key, memory + i * W, W,
                       beta * ds[i]);
        }
        if (g->strength.data) entry(&g->strength, b)[h] += sum;
    }
}

/* ---- gate, shift, sharpen ---- */

typedef struct head { /* of one batch entry */
    int64_t N, S;
    const real *content, *previous, *shift;
    real gate, sharpen;
    real *gated, *shifted; /* (N) each */
} head;

static int64_t wrap(int64_t i, int64_t n)
{
    return ((i % n) + n) % n;
}

static head start(const att_ntm *in, int64_t b, int64_t h, real *scratch)
{
    int64_t N = in->content.dim[2], S = in->shift.dim[2];
    head r = {.N = N,
              .S = S,
              .content = entry(&in->content, b) + h * N,
              .previous = entry(&in->previous, b) + h * N,
              .shift = entry(&in->shift, b) + h * S,
              .gate = entry(&in->gate, b)[h],
              .sharpen = entry(&in->sharpen, b)[h],
              .gated = scratch,
              .shifted = scratch + N};
    for (int64_t i = 0; i < N; i++) r.gated[i] = r.gate * r.content[i] + (1 - r.gate) * r.previous[i];
    for (int64_t i = 0; i < N; i++) {
        r.shifted[i] = 0;
        for (int64_t m = 0; m < S; m++) r.shifted[i] += r.shift[m] * r.gated[wrap(i - (m - S / 2), N)];
    }
    return r;
}

static real largest(const real *x, int64_t n)
{
    real most = 0;
    for (int64_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* w_i = (s_i / m)^gamma / sum_j (s_j / m)^gamma with m the largest s: no power underflows for all. */
void ATT_REF(ntm)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_ntm *in = call->in;
    for (int64_t h = 0; h < in->content.dim[1]; h++) {
        head r = start(in, b, h, scratch);
        real *w = entry(call->out, b) + h * r.N, most = largest(r.shifted, r.N), sum = 0;
        for (int64_t i = 0; i < r.N; i++) {
            w[i] = r.shifted[i] > 0 ? (real)pow((double)(r.shifted[i] / most), (double)r.sharpen) : 0;
            sum += w[i];
        }
        for (int64_t i = 0; i < r.N; i++) w[i] = sum > 0 ? w[i] / sum : 0;
    }
}

/* forward: w = softmax(gamma log s).  With delta_i = w_i (dw_i - sum_j w_j dw_j): ds_i = gamma delta_i / s_i,
 * dgamma += sum delta_i log s_i. A weight of 0 has neither. */
static void sharpen_bwd(const head *r, const real *w, const real *dw, real *ds, real *dgamma)
{
    real dot = ATT_REF(dot)(w, dw, r->N);
    for (int64_t i = 0; i < r->N; i++) {
        real delta = w[i] * (dw[i] - dot);
        ds[i] = 0;
        if (w[i] == 0) continue;
        ds[i] = r->sharpen * delta / r->shifted[i];
        if (dgamma) *dgamma += delta * (real)log((double)r->shifted[i]);
    }
}

/* forward: s_i = sum_m shift_m g_{i-m},  g = gate c + (1 - gate) p. */
static void shift_bwd(const head *r, const real *ds, real *dg, real *dshift)
{
    for (int64_t i = 0; i < r->N; i++) dg[i] = 0;
    for (int64_t i = 0; i < r->N; i++)
        for (int64_t m = 0; m < r->S; m++) {
            int64_t from = wrap(i - (m - r->S / 2), r->N);
            dg[from] += r->shift[m] * ds[i];
            if (dshift) dshift[m] += ds[i] * r->gated[from];
        }
}

static void gate_bwd(const head *r, const real *dg, real *dcontent, real *dprevious, real *dgate)
{
    for (int64_t i = 0; i < r->N; i++) {
        if (dcontent) dcontent[i] += r->gate * dg[i];
        if (dprevious) dprevious[i] += (1 - r->gate) * dg[i];
        if (dgate) *dgate += dg[i] * (r->content[i] - r->previous[i]);
    }
}

void ATT_REF(ntm_bwd)(const att_addressing_call *call, int64_t b, void *scratch)
{
    const att_ntm *in = call->in, *g = call->grad;
    for (int64_t h = 0; h < in->content.dim[1]; h++) {
        head r = start(in, b, h, scratch);
        real *ds = r.shifted + r.N, *dg = ds + r.N;
        sharpen_bwd(&r, entry(call->out, b) + h * r.N, entry(call->d_out, b) + h * r.N, ds, at(&g->sharpen, b, h));
        shift_bwd(&r, ds, dg, at(&g->shift, b, h * r.S));
        gate_bwd(&r, dg, at(&g->content, b, h * r.N), at(&g->previous, b, h * r.N), at(&g->gate, b, h));
    }
}
