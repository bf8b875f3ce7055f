#include "kernel/ref/real.h"

#include <stddef.h>
#include <tgmath.h> /* exp is expf where real is float */

#include "kernel/ref/rnn.h"

static real sigmoid(real x)
{
    real e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* GRU with the reset after the product (Keras reset_after, cuDNN). hg = h U + b_h:
 *   z = sigmoid(gx_z + hg_z),  r = sigmoid(gx_r + hg_r),  n = tanh(gx_n + r hg_n),  h' = z h + (1 - z) n
 * saved = z r n hg_n; NULL when no backward follows. */
void ATT_REF(gru)(real *h, real *saved, const real *gx, const real *hg, const real *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real z = sigmoid(gx[j] + hg[j]), r = sigmoid(gx[U + j] + hg[U + j]), q = hg[2 * U + j];
        real n = tanh(gx[2 * U + j] + r * q);
        h[j] = z * prev[j] + (1 - z) * n;
        if (!saved) continue;
        saved[j] = z;
        saved[U + j] = r;
        saved[2 * U + j] = n;
        saved[3 * U + j] = q;
    }
}

/* With d = dh + carry, the gradient of h', and s' = s (1 - s) for a sigmoid:
 *   dz = d (h - n) z',  dn = d (1 - z) (1 - n^2),  dr = dn q r'
 *   dgx = dz dr dn,  dhg = dz dr (r dn);  carry becomes d z, to which the caller adds dhg U^T. */
void ATT_REF(gru_bwd)(real *dgx, real *dhg, real *carry, const real *dh, const real *saved, const real *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real z = saved[j], r = saved[U + j], n = saved[2 * U + j], q = saved[3 * U + j], d = dh[j] + carry[j];
        real dn = d * (1 - z) * (1 - n * n);
        dgx[j] = dhg[j] = d * (prev[j] - n) * z * (1 - z);
        dgx[U + j] = dhg[U + j] = dn * q * r * (1 - r);
        dgx[2 * U + j] = dn;
        dhg[2 * U + j] = r * dn;
        carry[j] = d * z;
    }
}

/* GRU with the reset before the product (Cho et al. 2014), first half. hg = h U_zr:
 *   z = sigmoid(gx_z + hg_z),  r = sigmoid(gx_r + hg_r),  rh = r h.  gates = z r; gates may be hg. */
void ATT_REF(gru_reset)(real *gates, real *rh, const real *gx, const real *hg, const real *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real z = sigmoid(gx[j] + hg[j]), r = sigmoid(gx[U + j] + hg[U + j]);
        gates[j] = z;
        gates[U + j] = r;
        rh[j] = r * prev[j];
    }
}

/* Second half. hn = rh U_n:  n = tanh(gx_n + hn),  h' = z h + (1 - z) n.  gates = z r n; its last part may be hn. */
void ATT_REF(gru_blend)(real *h, real *gates, const real *gx, const real *hn, const real *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real z = gates[j], n = tanh(gx[2 * U + j] + hn[j]);
        h[j] = z * prev[j] + (1 - z) * n;
        gates[2 * U + j] = n;
    }
}

/* Back through gru_blend, d = dh + carry:  dz = d (h - n) z',  dn = d (1 - z) (1 - n^2);  carry becomes d z.
 * dg = dz . dn */
void ATT_REF(gru_blend_bwd)(real *dg, real *carry, const real *dh, const real *saved, const real *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real z = saved[j], n = saved[2 * U + j], d = dh[j] + carry[j];
        dg[j] = d * (prev[j] - n) * z * (1 - z);
        dg[2 * U + j] = d * (1 - z) * (1 - n * n);
        carry[j] = d * z;
    }
}

/* Back through gru_reset. drh = dn U_n^T:  dr = drh h r',  carry += drh r;  rh = r h again, for dU_n. */
void ATT_REF(gru_reset_bwd)(real *dg, real *carry, real *rh, const real *drh, const real *saved, const real *prev,
                            int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real r = saved[U + j];
        dg[U + j] = drh[j] * prev[j] * r * (1 - r);
        carry[j] += drh[j] * r;
        rh[j] = r * prev[j];
    }
}

/* LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers 2000). hg = h U:
 *   i f o = sigmoid(gx + hg),  g = tanh(gx_g + hg_g),  c' = f c + i g,  h' = o tanh(c')
 * saved = i f g o; NULL when no backward follows. */
void ATT_REF(lstm)(real *h, real *c, real *saved, const real *gx, const real *hg, const real *c_prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real i = sigmoid(gx[j] + hg[j]), f = sigmoid(gx[U + j] + hg[U + j]);
        real g = tanh(gx[2 * U + j] + hg[2 * U + j]), o = sigmoid(gx[3 * U + j] + hg[3 * U + j]);
        c[j] = f * c_prev[j] + i * g;
        h[j] = o * tanh(c[j]);
        if (!saved) continue;
        saved[j] = i;
        saved[U + j] = f;
        saved[2 * U + j] = g;
        saved[3 * U + j] = o;
    }
}

/* With d = dh + carry and t = tanh(c'):  dc = carry_c + d o (1 - t^2),
 *   di = dc g i',  df = dc c f',  dg = dc i (1 - g^2),  do = d t o'
 * carry_c becomes dc f; carry becomes 0, to which the caller adds (di df dg do) U^T. */
void ATT_REF(lstm_bwd)(real *dg, real *carry, real *carry_c, const real *dh, const real *saved, const real *c,
                       const real *c_prev, int64_t U)
{
    for (int64_t j = 0; j < U; j++) {
        real i = saved[j], f = saved[U + j], g = saved[2 * U + j], o = saved[3 * U + j];
        real d = dh[j] + carry[j], t = tanh(c[j]), dc = carry_c[j] + d * o * (1 - t * t);
        dg[j] = dc * g * i * (1 - i);
        dg[U + j] = dc * c_prev[j] * f * (1 - f);
        dg[2 * U + j] = dc * i * (1 - g * g);
        dg[3 * U + j] = d * t * o * (1 - o);
        carry_c[j] = dc * f;
        carry[j] = 0;
    }
}
