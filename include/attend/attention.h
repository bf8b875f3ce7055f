/* Attention, every mechanism as one descriptor: how scores come about, which keys a query may see, and how a row of
 * scores becomes weights. */
#ifndef ATTEND_ATTENTION_H
#define ATTEND_ATTENTION_H

#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/view.h>

ATT_BEGIN

typedef enum att_score {
    ATT_SCORE_DOT = 0,  /* e[i,j] = scale q_i . k_j                        (Luong 2015; scaled: Vaswani 2017)   */
    ATT_SCORE_ADDITIVE, /* e[i,j] = scale sum_d w_d tanh(q_id + k_jd)      (Bahdanau 2015; w absent: all ones) */
    ATT_SCORE_NONE      /* e[i,j] = 0 (+ bias)                             (location-based: scores come as bias) */
} att_score;

typedef enum att_window {
    ATT_WINDOW_ALL = 0,
    ATT_WINDOW_CAUSAL, /* j <= i + q_offset */
    ATT_WINDOW_BAND    /* i + q_offset - left <= j <= i + q_offset + right */
} att_window;

typedef enum att_align {
    ATT_ALIGN_SOFTMAX = 0,
    ATT_ALIGN_ARGMAX /* hard: the first largest score gets weight 1; no gradient reaches q, k */
} att_align;

typedef enum att_masked {
    ATT_MASKED_ZERO = 0, /* a row that sees no key gives o = 0     */
    ATT_MASKED_UNIFORM   /* ... gives the mean of all Tk values    */
} att_masked;

typedef struct att_attention_desc { /* {0} = scaled dot-product, softmax, every key visible */
    att_score score;
    att_window window;
    att_align align;
    float scale;            /* 0 = 1/sqrt(D) for DOT, 1 otherwise */
    int64_t left, right;    /* BAND */
    int64_t q_offset;       /* key position of query 0: 0 top-left, Tk-Tq bottom-right */
    att_masked masked_rows; /* a row that sees no key */
    float softcap, dropout; /* 0 = off. softcap c: e -> c tanh(e/c), before mask and bias... after scale */
    uint64_t seed;          /* of dropout: counter-based, the same seed drops the same weights in any tiling */
} att_attention_desc;

/* Shapes as (B,H,T,D); any strides, but the last dimension of q, k, v, o is dense. Hq % Hkv == 0. */
typedef struct att_attention_in {
    att_view q;           /* (B,Hq,Tq,D)   */
    att_view k;           /* (B,Hkv,Tk,D)  */
    att_view v;           /* (B,Hkv,Tk,Dv) */
    att_view score_w;     /* (D), ADDITIVE only, optional: ones */
    att_view mask;        /* uint8, optional, broadcastable to (B,Hq,Tq,Tk): non-zero = may attend */
    att_view bias;        /* optional, broadcastable to (B,Hq,Tq,Tk): added to the score; -inf hides */
    att_view key_lengths; /* (B) int32, optional: keys j >= length are hidden */
    att_view k_prepared;  /* (B,Hkv,Tk,D), optional: k through att_attention_prepare_keys */
} att_attention_in;

typedef struct att_attention_out {
    att_view o;       /* (B,Hq,Tq,Dv) */
    att_view lse;     /* (B,Hq,Tq), optional in inference, needed by the backward: log sum_j exp e[i,j]; -inf if none */
    att_view weights; /* (B,Hq,Tq,Tk), optional: the weights before dropout; hidden keys get exactly 0 */
} att_attention_out;

typedef struct att_attention_grad {
    att_view d_o;             /* (B,Hq,Tq,Dv) in */
    att_view dq, dk, dv;      /* out, ADDED into; an absent one is not computed */
    att_view dscore_w, dbias; /* out, ADDED into (dbias: summed over its broadcast dimensions); optional */
} att_attention_grad;

/* o[b,h,i,:] = sum_j w[i,j] v[b,h',j,:],   w[i,:] = align(score(q_i, k_j) + bias[i,j]),   h' = h / (Hq/Hkv)
 * Causal, Tq=2, Tk=4, q_offset=2 (1 = visible):   1 1 1 0
 *                                                 1 1 1 1
 * A row with no visible key gives o = 0 (or the mean of v), lse = -inf, zero gradients of q and k (never NaN). Hidden
 * keys and values are never read into a sum: they may be NaN. Softmax streams over keys: no Tq x Tk array exists unless
 * `weights` is asked for, and additive attention never holds B x Tq x Tk x D.
 * o must not overlap the inputs. No allocation. Thread-safe. The same bits for any number of threads and any split of
 * the batch. Fails with ATT_E_SHAPE, ATT_E_DTYPE, ATT_E_VALUE, ATT_E_UNSUPPORTED, ATT_E_WORKSPACE. */
ATT_API att_status att_attention_forward(const att_attention_desc *desc, const att_exec *exec,
                                         const att_attention_out *out, const att_attention_in *in, att_span workspace);
/* Gradients of sum(o * d_o), from the inputs and the forward's o and lse. */
ATT_API att_status att_attention_backward(const att_attention_desc *desc, const att_exec *exec,
                                          const att_attention_grad *grad, const att_attention_out *out,
                                          const att_attention_in *in, att_span workspace);
/* Scratch bytes that either call needs for these inputs. */
ATT_API att_status att_attention_workspace(const att_attention_desc *desc, const att_exec *exec,
                                           const att_attention_in *in, size_t *bytes);
/* prepared = what additive attention first makes of its keys, e^(2 k) with marks where that would overflow. Keys that
 * many calls share, as those of a decoder's steps, are prepared once and given as k_prepared beside k; the results are
 * the same bits. float32, last dimensions dense; prepared must not overlap k. */
ATT_API att_status att_attention_prepare_keys(const att_exec *exec, const att_view *prepared, const att_view *k);
/* Which kernel serves these inputs: "ref", "avx2 additive", "avx512 fused", ... Static string. */
ATT_API const char *att_attention_path(const att_attention_desc *desc, const att_exec *exec,
                                       const att_attention_in *in);

ATT_END

#endif
