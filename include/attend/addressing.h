/* How a network with an external memory decides where to read and write: the Neural Turing Machine (Graves, Wayne,
 * Danihelka 2014) and the Differentiable Neural Computer (Graves et al. 2016), each step forward and backward.
 *
 * Memory has N rows of W numbers for each of B batch entries; H heads (R read heads in the DNC) address it, all at
 * once. Everything is float32 or float64, all alike, and dense. Gradients are ADDED into; an absent one is not
 * computed. No allocation; the same bits for any number of threads. Outputs must not overlap inputs.
 * Fails with ATT_E_SHAPE, ATT_E_DTYPE, ATT_E_VALUE, ATT_E_WORKSPACE. */
#ifndef ATTEND_ADDRESSING_H
#define ATTEND_ADDRESSING_H

#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/view.h>

ATT_BEGIN

/* Scratch bytes for any function below on memory of N rows. */
ATT_API att_status att_addressing_workspace(const att_exec *exec, att_dtype dtype, int64_t N, size_t *bytes);

/* ---- by content, of both machines ---- */

/* w[b,h,:] = softmax over i of strength cos(key, memory[b,i,:])                 (Graves 2014, eq. 5-6)
 * A key or row of zeros has cosine 0. Attention that also reads is ATT_MECHANISM_COSINE of mechanism.h. */
typedef struct att_content {
    att_view memory;   /* (B,N,W) */
    att_view key;      /* (B,H,W) */
    att_view strength; /* (B,H), beta: more than 0, a softplus of what the network emits */
} att_content;
ATT_API att_status att_content_forward(const att_exec *exec, const att_view *w, const att_content *in,
                                       att_span workspace);
/* grad has the gradients of the inputs of `in`; w is the forward's. */
ATT_API att_status att_content_backward(const att_exec *exec, const att_content *grad, const att_view *dw,
                                        const att_view *w, const att_content *in, att_span workspace);

/* ---- Neural Turing Machine ---- */

/* g_i = gate content_i + (1 - gate) previous_i                                  (eq. 7)
 * s_i = sum_m shift[m] g_{(i - m) mod N},   m = -(S/2) .. S/2                   (eq. 8)
 * w_i = s_i^sharpen / sum_j s_j^sharpen                                         (eq. 9) */
typedef struct att_ntm {
    att_view content;  /* (B,H,N) of att_content_forward */
    att_view previous; /* (B,H,N): w of the step before */
    att_view gate;     /* (B,H), in 0 .. 1 */
    att_view shift;    /* (B,H,S), S odd: a distribution over offsets; entry S/2 stays where it is */
    att_view sharpen;  /* (B,H), gamma, at least 1 */
} att_ntm;
ATT_API att_status att_ntm_forward(const att_exec *exec, const att_view *w, const att_ntm *in, att_span workspace);
ATT_API att_status att_ntm_backward(const att_exec *exec, const att_ntm *grad, const att_view *dw, const att_view *w,
                                    const att_ntm *in, att_span workspace);

/* ---- Differentiable Neural Computer: writing ---- */

/* usage'_i = (usage_i + write_i - usage_i write_i) prod_r (1 - free_r read[r,i]) */
typedef struct att_dnc_usage {
    att_view usage; /* (B,N), of the step before, as are write and read */
    att_view write; /* (B,N) */
    att_view read;  /* (B,R,N) */
    att_view free;  /* (B,R), free gates in 0 .. 1 */
} att_dnc_usage;
ATT_API att_status att_dnc_usage_forward(const att_exec *exec, const att_view *usage, const att_dnc_usage *in);
ATT_API att_status att_dnc_usage_backward(const att_exec *exec, const att_dnc_usage *grad, const att_view *dusage,
                                          const att_dnc_usage *in);

/* allocation (B,N): a[phi_j] = (1 - u[phi_j]) prod_{i<j} u[phi_i], phi the rows from the least used to the most, the
 * first among equals first. The order itself has no gradient. */
ATT_API att_status att_dnc_allocation_forward(const att_exec *exec, const att_view *allocation, const att_view *usage,
                                              att_span workspace);
ATT_API att_status att_dnc_allocation_backward(const att_exec *exec, const att_view *dusage,
                                               const att_view *dallocation, const att_view *usage, att_span workspace);

/* w_i = write_gate (allocation_gate a_i + (1 - allocation_gate) content_i) */
typedef struct att_dnc_write {
    att_view content, allocation;         /* (B,N) */
    att_view write_gate, allocation_gate; /* (B) */
} att_dnc_write;
ATT_API att_status att_dnc_write_forward(const att_exec *exec, const att_view *w, const att_dnc_write *in);
ATT_API att_status att_dnc_write_backward(const att_exec *exec, const att_dnc_write *grad, const att_view *dw,
                                          const att_dnc_write *in);

/* ---- Differentiable Neural Computer: the order of writing, and reading along it ---- */

/* link'[i,j] = (1 - w_i - w_j) link[i,j] + w_i precedence_j, 0 for i = j: how much row i was written after row j
 * precedence' = (1 - sum w) precedence + w: how much each row was the last one written */
typedef struct att_dnc_link {
    att_view link;       /* (B,N,N) */
    att_view precedence; /* (B,N) */
    att_view write;      /* (B,N), of this step */
} att_dnc_link;
ATT_API att_status att_dnc_link_forward(const att_exec *exec, const att_view *link, const att_view *precedence,
                                        const att_dnc_link *in);
/* dlink, dprecedence: of the outputs */
ATT_API att_status att_dnc_link_backward(const att_exec *exec, const att_dnc_link *grad, const att_view *dlink,
                                         const att_view *dprecedence, const att_dnc_link *in);

/* w[r,i] = mode[r,0] sum_j link[j,i] read[r,j] + mode[r,1] content[r,i] + mode[r,2] sum_j link[i,j] read[r,j]:
 * backwards in the order of writing, by content, forwards */
typedef struct att_dnc_read {
    att_view link;    /* (B,N,N), of this step */
    att_view read;    /* (B,R,N), of the step before */
    att_view content; /* (B,R,N) */
    att_view mode;    /* (B,R,3), a distribution */
} att_dnc_read;
ATT_API att_status att_dnc_read_forward(const att_exec *exec, const att_view *w, const att_dnc_read *in);
ATT_API att_status att_dnc_read_backward(const att_exec *exec, const att_dnc_read *grad, const att_view *dw,
                                         const att_dnc_read *in);

ATT_END

#endif
