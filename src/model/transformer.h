/* Inside of the Transformer: its layers, shared by the files that build and run it. */
#ifndef ATT_MODEL_TRANSFORMER_H
#define ATT_MODEL_TRANSFORMER_H

#include <attend/transformer.h>

#include "base/base.h"
#include "nn/blocks.h"

typedef struct att_stack_layer {
    att_multi_head self, cross;
    att_norm self_norm, cross_norm, feed_norm;
    att_linear up, down;
} att_stack_layer;

/* An encoder or a decoder. */
typedef struct att_stack {
    att_stack_layer *layer;
    int64_t layers;
    bool causal, cross;
    att_parameter *words, *positions, *segments; /* positions, segments: NULL where there are none */
    att_norm embedding_norm, final_norm;
} att_stack;

struct att_transformer {
    att_transformer_config config; /* defaults filled in */
    const att_allocator *allocator;
    att_params *params;
    att_stack encoder, decoder;
    att_linear dense; /* of the head */
    att_norm head_norm;
    att_linear output; /* kernel NULL when tied, bias NULL without output_bias */
    att_linear pooler, classifier;
    float
        *table; /* of the first positions, where they are computed: sine (rows,C), rotary cosines, sines (2,rows,D/2) */
    int64_t table_rows;
    size_t table_bytes;
};

/* Elements of `table` a position has in one row: C, D/2, or 0 where positions need no table. */
int64_t att_position_width(const att_transformer *m);
/* Rows from .. from+n-1 of computed positions; `second` receives the sines of rotary ones. Past the end of the table
 * they are made in the tape's memory. */
void att_position_rows(att_tape *tape, const att_transformer *m, int64_t from, int64_t n, att_view *first,
                       att_view *second);
/* Fill n rows from position `from` on. */
void att_position_fill(const att_transformer *m, int64_t from, int64_t n, float *first, float *second);
/* The bias -slope_h |i - j| of ALiBi, (1,Hq,Tq,Tk), for queries from position q_offset on. */
att_node *att_position_bias(att_tape *tape, const att_transformer *m, int64_t Tq, int64_t Tk, int64_t q_offset);

#endif
