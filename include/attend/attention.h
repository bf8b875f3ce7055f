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
    ATT_SCORE_NONE,     /* e[i,j] = 0 (+ bias)                             (location-based: scores come as bias) */
    ATT_SCORE_CUSTOM    /* e[i,j] = scale times what desc->function says */
} att_score;

/* x_i is the position of query i, i + q_offset or in->q_positions; y_j that of key j, j or in->k_positions. */
typedef enum att_window {
    ATT_WINDOW_ALL = 0,
    ATT_WINDOW_CAUSAL, /* y_j <= x_i */
    ATT_WINDOW_BAND,   /* x_i - left <= y_j <= x_i + right                 (sliding window; local-m of Luong 2015) */
    ATT_WINDOW_GAUSS   /* |j - centre_i| <= half_width, and the weight times exp(-(j - centre_i)^2 / (2 sigma^2))
                          after the softmax, which is not normalised again (local-p, Luong 2015, eq. 9-10) */
} att_window;

/* How a row of scores e becomes weights, after e <- e / temperature. */
typedef enum att_align {
    ATT_ALIGN_SOFTMAX = 0,
    ATT_ALIGN_ARGMAX,    /* hard: the first largest score gets weight 1 */
    ATT_ALIGN_SAMPLE,    /* hard: key j gets weight 1 with probability softmax(e)_j, drawn from seed (Xu et al. 2015) */
    ATT_ALIGN_SPARSEMAX, /* max(e_j - tau, 0)                               (Martins & Astudillo 2016) */
    ATT_ALIGN_ENTMAX15   /* max(e_j/2 - tau, 0)^2                           (Peters, Niculae, Martins 2019) */
} att_align;

/* What a hard alignment (ARGMAX, SAMPLE) sends back into the scores. p = softmax(e / temperature). */
typedef enum att_estimator {
    ATT_ESTIMATOR_NONE = 0,         /* nothing: no gradient reaches q, k */
    ATT_ESTIMATOR_STRAIGHT_THROUGH, /* the gradient as if the weights had been p     (Bengio, Leonard, Courville 2013)
                                     */
    ATT_ESTIMATOR_REINFORCE         /* SAMPLE only: de_j = (d_log_prob_i ([j = sampled] - p_j)
                                       + d_entropy_i dH(p)/d(e_j / temperature)) / temperature   (Xu et al. 2015, eq. 12) */
} att_estimator;

typedef enum att_masked {
    ATT_MASKED_ZERO = 0, /* a row that sees no key gives o = 0     */
    ATT_MASKED_UNIFORM   /* ... gives the mean of all Tk values    */
} att_masked;

/* What becomes of a score on its way to a weight. */
typedef enum att_stage {
    ATT_STAGE_RAW = 0, /* scale * score                                                               */
    ATT_STAGE_MASKED,  /* what is aligned: softcap, biases and temperature applied, -inf where hidden */
    ATT_STAGE_WEIGHTS, /* the weights, before dropout                                                 */
    ATT_STAGE_DROPPED  /* the weights by which o was made: after dropout                              */
} att_stage;

/* Which entry of in->relative is added to score (i,j), from n = y_j - x_i and R entries. */
typedef enum att_relative {
    ATT_RELATIVE_CLIP = 0,        /* R = 2 m + 1: entry m + n, n clipped to -m .. m           (Shaw et al. 2018) */
    ATT_RELATIVE_BUCKETS,         /* T5's buckets, both directions: half of them for n > 0    (Raffel et al. 2020) */
    ATT_RELATIVE_BUCKETS_BACKWARD /* T5's buckets of max(-n, 0), for causal attention */
} att_relative;

/* A tile of scores as a custom score function sees it: n queries i0.. and m keys j0.. of head h of batch entry b.
 * Queries and keys are rows of D floats, q_step and k_step apart; scores and their gradients are rows of m, s_step
 * apart. Everything is float32, or float64 when the inputs are (dtype); 16-bit inputs arrive as float32. */
typedef struct att_tile {
    att_dtype dtype;
    int64_t b, h, i0, n, j0, m, D;
    const void *q, *k;
    int64_t q_step, k_step, s_step;
} att_tile;

/* Called once a tile, from several threads at a time, each with its own tile. Keys that a mask hides may lie in a tile:
 * their scores are ignored, and their ds is 0. A score depends on its own query and key alone, never on where tiles
 * end.
 */
typedef struct att_score_function {
    void (*forward)(void *ctx, const att_tile *tile,
                    void *s); /* s[r * s_step + c] = score of query i0 + r, key j0 + c */
    /* dq[r * q_step + d] and dk[c * k_step + d] += gradients of sum(s ds). dq or dk may be NULL; a key whose ds are all
     * 0 must not be touched. NULL where no backward exists: then the backward is ATT_E_UNSUPPORTED. */
    void (*backward)(void *ctx, const att_tile *tile, void *dq, void *dk, const void *ds);
    void *ctx;
} att_score_function;

typedef struct att_attention_desc { /* {0} = scaled dot-product, softmax, every key visible */
    att_score score;
    att_window window;
    att_align align;
    float scale;            /* 0 = 1/sqrt(D) for DOT, 1 otherwise */
    int64_t left, right;    /* BAND */
    int64_t q_offset;       /* key position of query 0: 0 top-left, Tk-Tq bottom-right */
    att_masked masked_rows; /* a row that sees no key */
    float softcap, dropout; /* 0 = off. softcap c: e -> c tanh(e/c), after scale, before bias and mask */
    uint64_t seed;          /* of dropout and SAMPLE: counter-based, the same seed draws the same in any tiling */
    float temperature;      /* 0 = 1. e / temperature is aligned: bias and sinks are divided too */
    float half_width;       /* GAUSS: of the window, > 0 */
    float sigma;            /* GAUSS: 0 = half_width / 2, as Luong has it */
    int untruncated;        /* GAUSS: non-zero = all keys stay visible, only the weights fall off */
    att_relative relative;
    int64_t relative_distance; /* of T5's buckets: from here on all share the last one; 0 = 128 */
    att_estimator estimator;
    int64_t block;                      /* side of the blocks of in->block_keys; > 0 exactly when they are given */
    const att_score_function *function; /* CUSTOM */
} att_attention_desc;

/* Shapes as (B,H,T,D); any strides, but the last dimension of q, k, v, o is dense. Hq % Hkv == 0. q, k, v are float32,
 * float64, bfloat16 or float16, all three the same, and o with them; scores, lse, weights and all other floating inputs
 * and outputs are float64 for float64 and float32 otherwise. With float32 or 16-bit q, k and v may both be int8, with
 * k_scale and v_scale, or both bfloat16 or float16: a key/value cache; that has no backward. */
typedef struct att_attention_in {
    att_view q;           /* (B,Hq,Tq,D)   */
    att_view k;           /* (B,Hkv,Tk,D)  */
    att_view v;           /* (B,Hkv,Tk,Dv) */
    att_view score_w;     /* (D), ADDITIVE only, optional: ones */
    att_view mask;        /* uint8, optional, broadcastable to (B,Hq,Tq,Tk): non-zero = may attend */
    att_view bias;        /* optional, broadcastable to (B,Hq,Tq,Tk): added to the score; -inf hides */
    att_view key_lengths; /* (B) int32, optional: keys j >= length are hidden */
    att_view k_prepared;  /* (B,Hkv,Tk,D), optional: k through att_attention_prepare_keys */
    att_view query_mask;  /* (B,Tq) uint8, optional: 0 = o is 0 there, whatever the weights, and no gradient leaves */
    att_view q_positions, k_positions; /* (B,Tq), (B,Tk) int32, optional, first size may be 1: positions for window,
                                          relative and slopes instead of i + q_offset and j */
    att_view slopes;   /* (Hq), optional: - slope |y_j - x_i| is added to the score (ALiBi: Press 2022) */
    att_view relative; /* (Hq,R) or (1,R), optional: entry of y_j - x_i is added, see desc->relative */
    att_view sinks;    /* (Hq), optional, SOFTMAX: one more score in each row, whose value is zero */
    att_view centre;   /* (B,Hq,Tq), GAUSS: in keys */
    att_view block_starts, block_keys; /* int32, optional, both: the blocks of queries n see the blocks of keys
                                          block_keys[block_starts[n] .. block_starts[n+1]-1], ascending.
                                          (ceil(Tq/block)+1) and (count) */
    att_view k_scale, v_scale;         /* (B,Hkv,Tk) float32, for int8 k and v: what a row's integers are times */
} att_attention_in;

typedef struct att_attention_out {
    att_view o;   /* (B,Hq,Tq,Dv) */
    att_view lse; /* (B,Hq,Tq), optional in inference, needed by the backward: log sum_j exp(e[i,j]/temperature), sink
                     included; -inf if there is nothing to sum. SPARSEMAX, ENTMAX15: tau */
    att_view weights; /* (B,Hq,Tq,Tk), optional: the weights before dropout; hidden keys get exactly 0 */
    /* Optional, gathered without a Tq x Tk array, of the weights before dropout: */
    att_view entropy;               /* (B,Hq,Tq): - sum_j w log w, in nats */
    att_view top_keys, top_weights; /* (B,Hq,Tq,n) int32 and floating, both: the n largest weights, descending, the
                                       lower key first among equals; -1 and 0 where fewer are visible */
    att_view column_sums;           /* (B,Hq,Tk): sum_i w[i,j], what each key received */
} att_attention_out;

/* float64 for float64 and float32 otherwise, so that sums over 16-bit inputs keep their digits. */
typedef struct att_attention_grad {
    att_view d_o;             /* (B,Hq,Tq,Dv) in */
    att_view dq, dk, dv;      /* out, ADDED into; an absent one is not computed. They may share their memory */
    att_view dscore_w, dbias; /* out, ADDED into (dbias: summed over its broadcast dimensions); optional */
    att_view dsinks;          /* (Hq), drelative as in->relative, dcentre (B,Hq,Tq): out, ADDED into; optional */
    att_view drelative, dcentre;
    att_view
        d_log_prob; /* (B,Hq,Tq) in, REINFORCE: factor of the gradient of log p(sampled key), say -(reward - base) */
    att_view d_entropy; /* (B,Hq,Tq) in, REINFORCE, optional: factor of the gradient of the entropy of p */
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
/* Rows of the Tq x Tk array that the fused forward never made, recomputed: out[b,a,c,:] (B,nh,nq,Tk) is row queries[c]
 * of head heads[a]. heads (nh) and queries (nq) are int32; absent: all. lse is the forward's, or absent: then it is
 * computed again. RAW reads every key, hidden ones too. Fails with ATT_E_VALUE for a head or query out of range. */
ATT_API att_status att_attention_weights(const att_attention_desc *desc, const att_exec *exec, att_stage stage,
                                         const att_view *out, const att_attention_in *in, const att_view *heads,
                                         const att_view *queries, const att_view *lse, att_span workspace);
/* Scratch bytes that any of these calls needs for these inputs. What grows with the lengths are sums of gradients, O(Tq
 * + Tk) a head and thread, and a row of scores for att_attention_weights. */
ATT_API att_status att_attention_workspace(const att_attention_desc *desc, const att_exec *exec,
                                           const att_attention_in *in, size_t *bytes);
/* The same for att_attention_forward and att_attention_weights alone: without the backward's sums. */
ATT_API att_status att_attention_forward_workspace(const att_attention_desc *desc, const att_exec *exec,
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
