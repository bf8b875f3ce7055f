/* The named mechanisms of the field, each as one small descriptor: what happens to queries, keys and values before
 * attention.h's descriptor (projections, unit rows, a predicted centre, coverage), that descriptor itself, and the
 * gradients of all of it. docs/mechanisms.md lists them with formula, paper and cost.
 *
 *     att_mechanism_desc bahdanau = {.kind = ATT_MECHANISM_ADDITIVE};
 *     att_mechanism_in in = {.core = {.q = q, .v = h, .score_w = v}, .w_query = W, .w_key = U};    // k absent: k = v
 *     att_mechanism_workspace(&bahdanau, NULL, &in, &bytes);
 *     att_mechanism_forward(&bahdanau, NULL, &(att_mechanism_out){.core = {.o = o}}, &in, workspace);
 *
 * With projections of all four and `heads`, the same descriptor is multi-head attention. */
#ifndef ATTEND_MECHANISM_H
#define ATTEND_MECHANISM_H

#include <attend/attention.h>
#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/view.h>

ATT_BEGIN

/* How the score of query q and key k comes about; q and k are what the projections, if given, make of the rows. */
typedef enum att_mechanism {
    ATT_MECHANISM_SCALED_DOT = 0, /* q . k / sqrt(D)                                       (Vaswani 2017)            */
    ATT_MECHANISM_DOT,            /* q . k                                                 (Luong 2015)              */
    ATT_MECHANISM_GENERAL,        /* (q W) . k,            W = w_score (Dq,Dk)             (Luong 2015)              */
    ATT_MECHANISM_ADDITIVE,       /* score_w . tanh(q + k), score_w absent: ones           (Bahdanau 2015)           */
    ATT_MECHANISM_CONCAT,         /* score_w . tanh([q; k] W), W = w_score (Dq+Dk,D)       (Luong 2015)              */
    ATT_MECHANISM_KERAS_CONCAT,   /* w sum_d tanh(g (q_d + k_d)), w = concat_weight, g = gain  (Keras 3's "concat")  */
    ATT_MECHANISM_COSINE,         /* beta_i q . k / (|q| |k|), beta = scale or strength    (Graves 2014, eq. 5-6)    */
    ATT_MECHANISM_LOCATION,       /* q . W[:,j],            W = w_score (D,Tk or more); no keys   (Luong 2015)       */
    ATT_MECHANISM_RELATIVE,       /* core.relative[h, j - i]: a learned distribution over offsets; no keys           */
    ATT_MECHANISM_NONE,           /* 0 (+ core.bias); no keys                                                        */
    ATT_MECHANISM_CUSTOM          /* core.function                                                                   */
} att_mechanism;

/* Luong 2015, section 3.2. D = core.half_width. */
typedef enum att_local {
    ATT_LOCAL_NONE = 0,
    ATT_LOCAL_MONOTONIC, /* keys within D of p_i = i + core.q_offset, or of in->core.centre; weights do not fall off */
    ATT_LOCAL_PREDICTIVE /* p_i = S sigmoid(v_centre . tanh(q_i w_centre)), S the number of keys; weights times
                            exp(-(j - p_i)^2 / (2 sigma^2)), within D of p_i, or all with core.untruncated */
} att_local;

typedef struct att_mechanism_desc { /* {0} = scaled dot-product attention with one head */
    att_mechanism kind;
    att_local local;         /* sets core.window, which must be ALL otherwise */
    int64_t heads, kv_heads; /* of three-dimensional inputs, whose width they split; 0 = 1, 0 = heads */
    att_attention_desc core; /* the rest. core.score must be left 0: `kind` sets it. core.scale 0 = 1, or 1/sqrt(D) for
                                SCALED_DOT */
} att_mechanism_desc;

/* q, k, v are float32 or float64, all alike, everything floating with them, and either (B,T,C), which `heads` splits
 * after the projections, or (B,H,T,D), where heads are already apart and a projection is the same for each of them.
 * Last dimensions of q, k, v are dense. k absent: k = v, and its gradient goes to dv. Everything may be absent but q, v
 * and what the kind names. */
typedef struct att_mechanism_in {
    att_attention_in core;     /* q, k, v as above; the rest as in attention.h, with Hq = heads and Hkv = kv_heads */
    att_view w_score;          /* GENERAL, CONCAT, LOCATION: the matrix of the formula */
    att_view w_query, b_query; /* (Cq, Hq D), (Hq D):   q <- q w_query + b_query */
    att_view w_key, b_key;     /* (Ck, Hkv D), (Hkv D)   */
    att_view w_value, b_value; /* (Cv, Hkv Dv), (Hkv Dv) */
    att_view w_output;         /* (Hq Dv, C): o <- [all heads side by side] w_output + b_output; of (B,T,C) only */
    att_view b_output;         /* (C) */
    att_view gain;             /* (1): q <- g q, for KERAS_CONCAT also k <- g k; not beside w_query, nor for COSINE */
    att_view concat_weight;    /* (1), KERAS_CONCAT; absent: 1 */
    att_view strength;         /* (B,Hq,Tq), COSINE: beta of each query; times scale */
    att_view w_centre;         /* (Cq,P), PREDICTIVE; acts on q as given, before its projection */
    att_view v_centre;         /* (P), PREDICTIVE */
    att_view coverage; /* (B,Hkv,Tk), ADDITIVE and CONCAT, with w_coverage (D): k_j <- k_j + c_j w_coverage, after
                          the projection    (Tu 2016; See 2017, eq. 11) */
    att_view w_coverage;
} att_mechanism_in;

typedef struct att_mechanism_out {
    att_attention_out core; /* o is (B,Tq,Hq Dv), (B,Tq,C) with w_output, or (B,Hq,Tq,Dv) as q; the rest as there */
    att_view context;       /* (B,Hq,Tq,Dv): o before w_output; needed by the backward then, optional otherwise */
    att_view centre;        /* (B,Hq,Tq), optional, PREDICTIVE: p */
} att_mechanism_out;

/* Shapes as in att_mechanism_in. Every gradient is ADDED into; an absent one is not computed. */
typedef struct att_mechanism_grad {
    att_attention_grad core; /* d_o in, as o; dq, dk, dv as q, k, v. dcentre: of a centre that was given */
    att_view dw_score, dw_query, db_query, dw_key, db_key, dw_value, db_value, dw_output, db_output;
    att_view dgain, dconcat_weight, dstrength, dw_centre, dv_centre, dcoverage, dw_coverage;
} att_mechanism_grad;

/* No allocation, thread-safe, the same bits for any number of threads. Nothing is computed when anything is mis-shaped,
 * of another type, or contradictory: an input that the kind has no use for is refused, not ignored.
 * Fails with ATT_E_SHAPE, ATT_E_DTYPE, ATT_E_VALUE, ATT_E_UNSUPPORTED, ATT_E_WORKSPACE. */
ATT_API att_status att_mechanism_forward(const att_mechanism_desc *desc, const att_exec *exec,
                                         const att_mechanism_out *out, const att_mechanism_in *in, att_span workspace);
/* Gradients of sum(o * d_o). Needs the forward's out->core.o and lse, and with w_output its context. */
ATT_API att_status att_mechanism_backward(const att_mechanism_desc *desc, const att_exec *exec,
                                          const att_mechanism_grad *grad, const att_mechanism_out *out,
                                          const att_mechanism_in *in, att_span workspace);
/* Scratch bytes that either call needs for these inputs. */
ATT_API att_status att_mechanism_workspace(const att_mechanism_desc *desc, const att_exec *exec,
                                           const att_mechanism_in *in, size_t *bytes);

/* As att_attention_weights: rows of scores or weights at any stage, out (B,nh,nq,Tk), of these heads and queries. */
ATT_API att_status att_mechanism_weights(const att_mechanism_desc *desc, const att_exec *exec, att_stage stage,
                                         const att_view *out, const att_mechanism_in *in, const att_view *heads,
                                         const att_view *queries, const att_view *lse, att_span workspace);

/* What the outputs are to be: o is (o_dim[0 .. o_ndim-1]), lse (B,Hq,Tq), weights (B,Hq,Tq,Tk), context (B,Hq,Tq,Dv).
 */
typedef struct att_mechanism_shape {
    int64_t B, Hq, Hkv, Tq, Tk, D, Dv;
    int o_ndim;
    int64_t o_dim[4];
} att_mechanism_shape;
ATT_API att_status att_mechanism_shape_of(const att_mechanism_desc *desc, const att_mechanism_in *in,
                                          att_mechanism_shape *shape);

/* "scaled-dot", "keras-concat", ...; NULL for no kind of these. */
ATT_API const char *att_mechanism_name(att_mechanism kind);
/* ATT_E_VALUE for a name that none has, with all of them in the message. */
ATT_API att_status att_mechanism_parse(const char *name, att_mechanism *kind);
/* As att_attention_path, for what reaches the descriptor. */
ATT_API const char *att_mechanism_path(const att_mechanism_desc *desc, const att_exec *exec,
                                       const att_mechanism_in *in);

/* coverage (B,Hkv,Tk) += weights (B,Hq,Tq,Tk) summed over the queries and over the query heads of each key head: what
 * each key has received so far, the coverage of the next call. */
ATT_API att_status att_coverage_update(const att_exec *exec, const att_view *coverage, const att_view *weights);

ATT_END

#endif
