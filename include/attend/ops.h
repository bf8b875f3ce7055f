/* The building blocks besides products and attention, forward and backward, on views. Conventions:
 *   - outputs come first; gradients are named d*; a backward ADDS into the gradients it writes unless it says
 * otherwise;
 *   - float32 (fast kernels) and float64 (reference kernels), the same type in all arguments of a call;
 *   - no function allocates; the same bits for any number of threads.
 * Fails with ATT_E_SHAPE, ATT_E_DTYPE, ATT_E_VALUE. */
#ifndef ATTEND_OPS_H
#define ATTEND_OPS_H

#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/product.h>
#include <attend/view.h>

ATT_BEGIN

/* ---- elementwise; shapes are equal, strides arbitrary ---- */

/* y = x, or y += x when `accumulate`. Strides may express a transposition or (in x) a broadcast. */
ATT_API att_status att_copy(const att_exec *exec, const att_view *y, const att_view *x, int accumulate);
ATT_API att_status att_fill(const att_exec *exec, const att_view *y, double value);
/* y = alpha * x + beta * y; with beta = 0 the old y is not read. */
ATT_API att_status att_axpby(const att_exec *exec, const att_view *y, double alpha, const att_view *x, double beta);
/* y = a + b. y may be a or b. */
ATT_API att_status att_add(const att_exec *exec, const att_view *y, const att_view *a, const att_view *b);
/* y = a * b, or y += a * b. */
ATT_API att_status att_multiply(const att_exec *exec, const att_view *y, const att_view *a, const att_view *b,
                                int accumulate);
/* y = act(x). y may be x. */
ATT_API att_status att_activation_forward(const att_exec *exec, att_activation act, const att_view *y,
                                          const att_view *x);
/* dx = dy * act'(x), or dx += ... with `accumulate`. RELU, TANH and SIGMOID need only y (x may be absent); the others
 * need x. dx may be dy. */
ATT_API att_status att_activation_backward(const att_exec *exec, att_activation act, const att_view *dx,
                                           const att_view *dy, const att_view *y, const att_view *x, int accumulate);
/* y = x * keep / (1 - p), where element number n (row-major index in y's shape) is kept if its 32-bit draw, word n % 4
 * of att_philox(seed, stream, n / 4), is >= p * 2^32. The backward is the same call on dy; `accumulate` adds. y may be
 * x. */
ATT_API att_status att_dropout(const att_exec *exec, const att_view *y, const att_view *x, double p, uint64_t seed,
                               uint64_t stream, int accumulate);

/* ---- reductions ---- */

/* y(N) += sum over rows m of x(M,N): the bias gradient. */
ATT_API att_status att_sum_rows(const att_exec *exec, const att_view *y, const att_view *x);
/* *sum = sum of x (double accumulation in fixed chunks); *squares = sum of x^2. Either may be NULL. */
ATT_API att_status att_sum(const att_exec *exec, const att_view *x, double *sum, double *squares);

/* ---- rows (last dimension; earlier ones flattened by the caller to (M,N) with unit column stride) ---- */

/* y = softmax of each row. y may be x. dx += y * (dy - sum(y dy)). */
ATT_API att_status att_softmax_forward(const att_exec *exec, const att_view *y, const att_view *x);
ATT_API att_status att_softmax_backward(const att_exec *exec, const att_view *dx, const att_view *dy,
                                        const att_view *y);

/* y = (x - mean) / sqrt(var + eps) * gain + bias;  mean(M), rstd(M) are kept for the backward, which adds to dgain and
 * dbias, and to dx with `accumulate`; otherwise dx is overwritten. Ba, Kiros, Hinton 2016. */
ATT_API att_status att_layer_norm_forward(const att_exec *exec, const att_view *y, const att_view *mean,
                                          const att_view *rstd, const att_view *x, const att_view *gain,
                                          const att_view *bias, double eps);
ATT_API att_status att_layer_norm_backward(const att_exec *exec, const att_view *dx, const att_view *dgain,
                                           const att_view *dbias, const att_view *dy, const att_view *x,
                                           const att_view *mean, const att_view *rstd, const att_view *gain,
                                           int accumulate);

/* y(M,C) = table[ids[m], :]; ids int32 (M). dtable[ids[m], :] += dy[m, :], in the order of m for every row.
 * An id outside 0 .. V-1 is ATT_E_VALUE before anything is written. */
ATT_API att_status att_embedding_forward(const att_exec *exec, const att_view *y, const att_view *table,
                                         const att_view *ids);
ATT_API att_status att_embedding_backward(const att_exec *exec, const att_view *dtable, const att_view *dy,
                                          const att_view *ids);

/* Rotary positions (Su et al. 2021): x, y (B,T,H,D) with D even and dense, cosine and sine (T,D/2).
 *   y[d] = x[d] c[d] - x[d + D/2] s[d],   y[d + D/2] = x[d + D/2] c[d] + x[d] s[d]
 * `inverse` turns back (the sign of s changes): the gradient. `accumulate` adds into y. y must not overlap x. */
ATT_API att_status att_rotary(const att_exec *exec, const att_view *y, const att_view *x, const att_view *cosine,
                              const att_view *sine, int inverse, int accumulate);

/* Cross-entropy of logits(M,V) against target(M) (int32; < 0: the row does not count) with label smoothing s:
 *   loss[m] = lse[m] - (1-s) logits[m,t] - s/V sum_v logits[m,v],   lse[m] = log sum_v exp logits[m,v];  0 for skipped
 * rows. The backward REPLACES logits by their gradient (no second copy ever exists): dlogits[m,v] = scale *
 * (exp(logits[m,v] - lse[m]) - (1-s)[v=t] - s/V);  0 for skipped rows. A target >= V is ATT_E_VALUE. correct (optional,
 * int64): how many counted rows have their largest logit at the target. */
ATT_API att_status att_cross_entropy_forward(const att_exec *exec, const att_view *loss, const att_view *lse,
                                             const att_view *logits, const att_view *target, double smoothing,
                                             int64_t *correct);
ATT_API att_status att_cross_entropy_backward(const att_exec *exec, const att_view *logits, const att_view *lse,
                                              const att_view *target, double smoothing, double scale);

/* ---- recurrent layers over a sequence ---- */

typedef enum att_cell {
    ATT_CELL_GRU = 0,          /* gates z r n; n = tanh(x_n + r (h U_n + b_n))          (Keras reset_after, cuDNN) */
    ATT_CELL_GRU_RESET_BEFORE, /* gates z r n; n = tanh(x_n + (r h) U_n)                (Cho et al. 2014, eq. 8)   */
    ATT_CELL_LSTM /* gates i f g o; c' = f c + i g, h' = o tanh(c')        (Hochreiter & Schmidhuber 1997) */
} att_cell;       /* GRU: h' = z h + (1 - z) n. sigmoid for z r i f o. Gate order as in Keras.         */

typedef struct att_rnn_desc {
    att_cell cell;
    int reverse; /* run from the last valid step to the first; outputs stay at their time */
} att_rnn_desc;

/* G = 3 (GRU) or 4 (LSTM) gates, U units. All views may be strided in B and T; the last dimension is dense. The layout
 * that is fast is time-major in memory: strides of (B,T,C) = (C, B*C, 1). */
typedef struct att_rnn_in {
    att_view gates_x; /* (B,T,G*U): x W + b, made by one product for the whole sequence */
    att_view w;       /* (U,G*U): the recurrent weights                                 */
    att_view bias_h;  /* (G*U), ATT_CELL_GRU only, optional: added to h U               */
    att_view h0, c0;  /* (B,U), optional: zeros                                         */
    att_view lengths; /* (B) int32, optional. Steps t >= length keep the state: h[b,t] = h[b,t-1]; in reverse they
                         keep h0 until the first valid one                              */
    const att_packed *w_packed;   /* optional: w packed, for the forward                */
    const att_packed *w_packed_t; /* optional: w transposed (G*U,U) packed, for the backward */
} att_rnn_in;

typedef struct att_rnn_out {
    att_view h;     /* (B,T,U) */
    att_view c;     /* (B,T,U), LSTM only */
    att_view saved; /* (B,T,S*U): what the backward needs; S = att_rnn_saved(cell); absent in inference */
} att_rnn_out;      /* the last state of a forward run is h[:,T-1]; of a reverse run h[:,0] */

typedef struct att_rnn_grad {
    att_view dh;          /* (B,T,U) in: gradient of h. Read only */
    att_view dc_last;     /* (B,U) in, optional, LSTM: gradient of the last cell state */
    att_view dgates_x;    /* (B,T,G*U) out: overwritten, not added (so dx, dW, db are products of it) */
    att_view dw, dbias_h; /* out, added into; dbias_h optional */
    att_view dh0, dc0;    /* (B,U) out, added into; optional */
} att_rnn_grad;

ATT_API int64_t att_rnn_gates(att_cell cell); /* G */
ATT_API int64_t att_rnn_saved(att_cell cell); /* S */
ATT_API att_status att_rnn_workspace(const att_rnn_desc *desc, const att_exec *exec, int64_t B, int64_t T, int64_t U,
                                     size_t *bytes);
ATT_API att_status att_rnn_forward(const att_rnn_desc *desc, const att_exec *exec, const att_rnn_out *out,
                                   const att_rnn_in *in, att_span workspace);
ATT_API att_status att_rnn_backward(const att_rnn_desc *desc, const att_exec *exec, const att_rnn_grad *grad,
                                    const att_rnn_out *out, const att_rnn_in *in, att_span workspace);

/* ---- optimiser ---- */

/* Adam (Kingma & Ba 2015) on n contiguous float32 parameters, with decoupled weight decay (Loshchilov & Hutter 2019):
 *   g *= gscale; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr (m / (1-b1^step)) / (sqrt(v / (1-b2^step)) + eps)
 * + lr decay p */
typedef struct att_adam_desc {
    double lr, beta1, beta2, eps, decay, gscale; /* no defaults: all must be set */
    int64_t step;                                /* from 1 */
} att_adam_desc;
ATT_API att_status att_adam_step(const att_adam_desc *desc, const att_exec *exec, float *p, float *m, float *v,
                                 const float *g, int64_t n);

ATT_END

#endif
