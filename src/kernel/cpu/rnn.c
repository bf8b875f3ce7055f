/* Gates of recurrent steps on vectors: the formulas stand in kernel/ref/rnn.c. */
#include "kernel/rnn.h"

#include <stddef.h>

#include "kernel/cpu/vmath.h"

VF_INLINE vf load(const float *p, int64_t m) { return m == VF_LANES ? vf_load(p) : vf_load_n(p, m); }
VF_INLINE void store(float *p, vf a, int64_t m)
{
    if (m == VF_LANES)
        vf_store(p, a);
    else
        vf_store_n(p, a, m);
}
VF_INLINE int64_t lanes(int64_t left) { return left < VF_LANES ? left : VF_LANES; }
VF_INLINE vf one_minus(vf a) { return vf_sub(vf_set1(1.0f), a); }

static void gru(float *h, float *saved, const float *gx, const float *hg, const float *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j += VF_LANES) {
        int64_t m = lanes(U - j);
        vf z = vf_sigmoid(vf_add(load(gx + j, m), load(hg + j, m)));
        vf r = vf_sigmoid(vf_add(load(gx + U + j, m), load(hg + U + j, m))), q = load(hg + 2 * U + j, m);
        vf n = vf_tanh(vf_fma(r, q, load(gx + 2 * U + j, m)));
        store(h + j, vf_fma(z, load(prev + j, m), vf_mul(one_minus(z), n)), m);
        if (!saved) continue;
        store(saved + j, z, m);
        store(saved + U + j, r, m);
        store(saved + 2 * U + j, n, m);
        store(saved + 3 * U + j, q, m);
    }
}

static void gru_bwd(float *dgx, float *dhg, float *carry, const float *dh, const float *saved, const float *prev, int64_t U)
{
    for (int64_t j = 0; j < U; j += VF_LANES) {
        int64_t m = lanes(U - j);
        vf z = load(saved + j, m), r = load(saved + U + j, m), n = load(saved + 2 * U + j, m);
        vf q = load(saved + 3 * U + j, m), d = vf_add(load(dh + j, m), load(carry + j, m)), nz = one_minus(z);
        vf dn = vf_mul(vf_mul(d, nz), vf_fnma(n, n, vf_set1(1.0f)));
        vf dz = vf_mul(vf_mul(vf_mul(d, vf_sub(load(prev + j, m), n)), z), nz);
        vf dr = vf_mul(vf_mul(vf_mul(dn, q), r), one_minus(r));
        store(dgx + j, dz, m);
        store(dhg + j, dz, m);
        store(dgx + U + j, dr, m);
        store(dhg + U + j, dr, m);
        store(dgx + 2 * U + j, dn, m);
        store(dhg + 2 * U + j, vf_mul(r, dn), m);
        store(carry + j, vf_mul(d, z), m);
    }
}

void ATT_VARIANT(att_register_rnn)(att_rnn_kernels *t);
void ATT_VARIANT(att_register_rnn)(att_rnn_kernels *t)
{
    t->gru = gru;
    t->gru_bwd = gru_bwd;
}
