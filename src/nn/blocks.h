/* What Transformers are made of: norms and multi-head attention, on states (B,T,C). */
#ifndef ATT_BLOCKS_H
#define ATT_BLOCKS_H

#include "nn/layers.h"

/* name.gain (N), name.bias (N). */
typedef struct att_norm {
    att_parameter *gain, *bias; /* NULL: no such layer */
    double eps;
} att_norm;
att_status att_norm_create(att_params *params, const char *name, int64_t N, double eps, att_norm *out);
att_node *att_norm_apply(att_tape *tape, const att_norm *layer,
                         att_node *x); /* x itself where there is no such layer */

/* Multi-head attention (Vaswani 2017, section 3.2.2): Hq heads of width D, keys and values of Hkv heads. */
typedef struct att_multi_head {
    int64_t Hq, Hkv, D;
    att_linear qkv;              /* self-attention: name.qkv, queries | keys | values */
    att_linear query, key_value; /* cross-attention: name.query, name.key_value */
    att_linear output;           /* name.output (Hq D, C) */
} att_multi_head;

typedef struct att_multi_head_desc {
    int64_t width, heads, kv_heads;
    bool cross, with_bias;
    double init, output_init; /* deviations; 0: Glorot */
} att_multi_head_desc;
att_status att_multi_head_create(att_params *params, const char *name, const att_multi_head_desc *desc,
                                 att_multi_head *out);

/* How a call attends. */
typedef struct att_multi_head_call {
    att_attention_desc desc;
    att_view key_lengths;      /* (B), or absent */
    att_view cosine, sine;     /* (T,D/2) of rotary positions; absent: none */
    att_node *bias;            /* of scores, or NULL */
    att_view cache_k, cache_v; /* (B,Hkv,Tk,D), or absent: where keys and values are kept; the last T are this call's */
    att_view *weights;         /* NULL, or receives (B,Hq,Tq,Tk) */
} att_multi_head_call;

/* x (B,T,C) -> (B,T,C), attending to itself. */
att_node *att_multi_head_self(att_tape *tape, const att_multi_head *layer, att_node *x,
                              const att_multi_head_call *call);
/* The keys and values of a memory (B,Ts,C) -> (B,Ts,2 Hkv D). */
att_node *att_multi_head_remember(att_tape *tape, const att_multi_head *layer, att_node *memory);
/* x (B n,T,C) attends to the memory (B,Ts,2 Hkv D); n > 1 only with T = 1. */
att_node *att_multi_head_cross(att_tape *tape, const att_multi_head *layer, att_node *x, att_node *key_value,
                               const att_multi_head_call *call);

#endif
