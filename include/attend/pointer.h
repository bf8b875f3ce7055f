/* Weights as the output: pointer networks, which answer with a place in their input (Vinyals, Fortunato, Jaitly 2015),
 * and the copy distribution of summarisers and translators (See, Liu, Manning 2017). */
#ifndef ATTEND_POINTER_H
#define ATTEND_POINTER_H

#include <attend/mechanism.h>

ATT_BEGIN

/* out->core.o (B,Tq,Tk), or (B,Hq,Tq,Tk) beside four-dimensional q, are the weights of any named mechanism, with their
 * gradient: a loss on them trains queries, keys and everything else. in->core.v, w_value and w_output must be absent,
 * three-dimensional rows have one head. core.lse is needed by the backward. The gradient costs a product with the
 * Tk x Tk identity. The rest as att_mechanism_forward. */
ATT_API att_status att_pointer_forward(const att_mechanism_desc *desc, const att_exec *exec,
                                       const att_mechanism_out *out, const att_mechanism_in *in, att_span workspace);
/* grad->core.d_o is the gradient of the weights. */
ATT_API att_status att_pointer_backward(const att_mechanism_desc *desc, const att_exec *exec,
                                        const att_mechanism_grad *grad, const att_mechanism_out *out,
                                        const att_mechanism_in *in, att_span workspace);
ATT_API att_status att_pointer_workspace(const att_mechanism_desc *desc, const att_exec *exec,
                                         const att_mechanism_in *in, size_t *bytes);

/* p[m,w] = gate[m] vocabulary[m,w] + (1 - gate[m]) sum over the j with ids[m,j] = w of weights[m,j]     (See 2017, eq.
 * 9) vocabulary (M,V), gate (M), weights (M,T), ids (M,T) int32 from 0 to X-1  ->  p (M,X), X >= V: words from V on
 * exist in the source alone. All float32 or all float64, dense. Gradients, in a struct of the same kind without ids,
 * are ADDED into; absent ones are not computed. */
typedef struct att_copy_mix {
    att_view vocabulary, gate, weights, ids;
} att_copy_mix;
ATT_API att_status att_copy_mix_forward(const att_view *p, const att_copy_mix *in);
ATT_API att_status att_copy_mix_backward(const att_copy_mix *grad, const att_view *dp, const att_copy_mix *in);

ATT_END

#endif
