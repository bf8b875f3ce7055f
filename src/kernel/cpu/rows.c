/* Elementwise functions, rows and the optimiser on vectors: the same formulas as kernel/ref, where they are explained.
 * Every loop is a body on whole vectors and one exact tail on the first n % VF_LANES elements of a vector, which rounds
 * as the body does. */
#include "kernel/rows.h"

#include "kernel/cpu/vmath.h"

#define FULL VF_LANES

/* Load or store m <= VF_LANES elements. */
VF_INLINE vf load(const float *p, int64_t m) { return m == FULL ? vf_load(p) : vf_load_n(p, m); }
VF_INLINE void store(float *p, vf a, int64_t m)
{
    if (m == FULL)
        vf_store(p, a);
    else
        vf_store_n(p, a, m);
}
VF_INLINE int64_t lanes(int64_t left) { return left < FULL ? left : FULL; }

static void axpby(float *y, float alpha, const float *x, float beta, int64_t n)
{
    vf a = vf_set1(alpha), b = vf_set1(beta);
    for (int64_t i = 0; i < n; i += FULL) {
        int64_t m = lanes(n - i);
        vf ax = alpha == 1.0f ? load(x + i, m) : vf_mul(a, load(x + i, m));
        if (beta != 0.0f) ax = beta == 1.0f ? vf_add(load(y + i, m), ax) : vf_fma(b, load(y + i, m), ax);
        store(y + i, ax, m);
    }
}

static void multiply(float *y, const float *a, const float *b, int accumulate, int64_t n)
{
    for (int64_t i = 0; i < n; i += FULL) {
        int64_t m = lanes(n - i);
        vf p = vf_mul(load(a + i, m), load(b + i, m));
        store(y + i, accumulate ? vf_add(load(y + i, m), p) : p, m);
    }
}

static void exponential(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += FULL) {
        int64_t m = lanes(n - i);
        store(y + i, vf_exp(load(x + i, m)), m);
    }
}

/* Philox4x32-10 of as many counters as fit: word w of counter c + l in out[w][l]. The compiler vectorises over l. */
#define GROUP 16
static void philox_group(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4][GROUP])
{
    uint32_t c0[GROUP], c1[GROUP], c2[GROUP], c3[GROUP], k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int l = 0; l < GROUP; l++) {
        c0[l] = (uint32_t)(counter + (uint64_t)l);
        c1[l] = (uint32_t)((counter + (uint64_t)l) >> 32);
        c2[l] = (uint32_t)stream;
        c3[l] = (uint32_t)(stream >> 32);
    }
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < GROUP; l++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[l], p1 = (uint64_t)0xCD9E8D57u * c2[l];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c1[l] = (uint32_t)p1;
            c3[l] = (uint32_t)p0;
            c0[l] = n0;
            c2[l] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int l = 0; l < GROUP; l++) {
        out[0][l] = c0[l];
        out[1][l] = c1[l];
        out[2][l] = c2[l];
        out[3][l] = c3[l];
    }
}

/* Element i is kept if word (index + i) % 4 of counter (index + i) / 4 is at least p 2^32. */
static void dropout(float *y, const float *x, double p, uint64_t seed, uint64_t stream, uint64_t index, int accumulate,
                    int64_t n)
{
    float scale = (float)(1.0 / (1.0 - p));
    double border = p * 0x1p32;
    uint64_t limit = (uint64_t)border + (border > (double)(uint64_t)border); /* the least word that is kept */
    uint32_t word[4][GROUP];
    for (int64_t i = 0; i < n;) {
        uint64_t first = (index + (uint64_t)i) / 4;
        int skip = (int)((index + (uint64_t)i) % 4);
        philox_group(seed, stream, first, word);
        int64_t m = 4 * GROUP - skip < n - i ? 4 * GROUP - skip : n - i;
        for (int64_t e = 0; e < m; e++) {
            uint32_t w = word[(e + skip) % 4][(e + skip) / 4];
            float kept = w >= limit ? x[i + e] * scale : 0.0f;
            y[i + e] = accumulate ? y[i + e] + kept : kept;
        }
        i += m;
    }
}

/* Floats are summed over short chunks, chunks in double: accurate however long x is. */
#define SUM_CHUNK 1024
static void sums(const float *x, int64_t n, double *sum, double *squares)
{
    *sum = *squares = 0.0;
    for (int64_t from = 0; from < n; from += SUM_CHUNK) {
        int64_t end = from + SUM_CHUNK < n ? from + SUM_CHUNK : n;
        vf s = vf_zero(), q = vf_zero();
        for (int64_t i = from; i < end; i += FULL) {
            vf a = load(x + i, lanes(end - i));
            s = vf_add(s, a);
            q = vf_fma(a, a, q);
        }
        *sum += (double)vf_sum(s);
        *squares += (double)vf_sum(q);
    }
}

/* NaN anywhere gives NaN at the end: max ignores it, the sum of exponentials does not. */
static float largest(const float *x, int64_t n)
{
    vf most = vf_set1(-INFINITY);
    int64_t i = 0;
    for (; i + FULL <= n; i += FULL) most = vf_max(vf_load(x + i), most);
    float max = vf_hmax(most);
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

static void logits(att_logit_row *row, const float *x, int64_t n)
{
    float max = largest(x, n), shift = max == -INFINITY ? 0.0f : max, tail = 0.0f, tail_sum = 0.0f;
    vf s = vf_set1(shift), exps = vf_zero(), sum = vf_zero();
    int64_t i = 0;
    for (; i + FULL <= n; i += FULL) {
        vf a = vf_load(x + i);
        exps = vf_add(exps, vf_exp(vf_sub(a, s)));
        sum = vf_add(sum, a);
    }
    if (i < n) {
        float lane[VF_LANES];
        vf a = vf_load_n(x + i, n - i);
        vf_store(lane, vf_exp(vf_sub(a, s)));
        for (int64_t l = 0; l < n - i; l++) tail += lane[l];
        tail_sum = vf_sum(a);
    }
    double total = (double)vf_sum(exps) + (double)tail;
    *row = (att_logit_row){.max = (double)max, .lse = (double)shift + log(total), .sum = (double)vf_sum(sum) + (double)tail_sum};
}

static void logits_bwd(float *x, float lse, float scale, float smooth, int64_t n)
{
    vf l = vf_set1(lse), s = vf_set1(scale), smoothed = vf_set1(smooth);
    for (int64_t i = 0; i < n; i += FULL) {
        int64_t m = lanes(n - i);
        store(x + i, vf_mul(s, vf_sub(vf_exp(vf_sub(load(x + i, m), l)), smoothed)), m);
    }
}

static void adam(const att_adam_scalars *s, float *p, float *m, float *v, const float *g, int64_t n)
{
    vf b1 = vf_set1((float)s->beta1), c1 = vf_set1((float)(1.0 - s->beta1)), b2 = vf_set1((float)s->beta2);
    vf c2 = vf_set1((float)(1.0 - s->beta2)), gscale = vf_set1((float)s->gscale), rate = vf_set1((float)s->rate);
    vf root = vf_set1((float)s->root), eps = vf_set1((float)s->eps), shrink = vf_set1((float)s->shrink);
    for (int64_t i = 0; i < n; i += FULL) {
        int64_t k = lanes(n - i);
        vf gi = vf_mul(load(g + i, k), gscale), pi = load(p + i, k);
        vf mi = vf_fma(b1, load(m + i, k), vf_mul(c1, gi));
        vf vi = vf_fma(b2, load(v + i, k), vf_mul(c2, vf_mul(gi, gi)));
        vf step = vf_div(vf_mul(rate, mi), vf_fma(root, vf_sqrt(vi), eps));
        store(m + i, mi, k);
        store(v + i, vi, k);
        store(p + i, vf_sub(vf_fnma(shrink, pi, pi), step), k);
    }
}

void ATT_VARIANT(att_register_rows)(att_rows_kernels *t);
void ATT_VARIANT(att_register_rows)(att_rows_kernels *t)
{
    t->axpby = axpby;
    t->multiply = multiply;
    t->exp = exponential;
    t->dropout = dropout;
    t->sums = sums;
    t->logits = logits;
    t->logits_bwd = logits_bwd;
    t->adam = adam;
}
