/* Layers: named parameters and the tape operations that use them. `name` is the prefix of the parameters' names. */
#ifndef ATT_LAYERS_H
#define ATT_LAYERS_H

#include <attend/tape.h>

#include "base/base.h"

/* y = act(x w + b): name.kernel (K,N), name.bias (N). */
typedef struct att_linear {
    att_parameter *kernel, *bias; /* bias may be NULL */
} att_linear;
att_status att_linear_create(att_params *params, const char *name, int64_t K, int64_t N, bool with_bias,
                             att_linear *out);
/* The same with the kernel drawn from a normal distribution of this deviation; 0: Glorot. */
att_status att_linear_create_with(att_params *params, const char *name, int64_t K, int64_t N, bool with_bias,
                                  double deviation, att_linear *out);
att_node *att_linear_apply(att_tape *tape, const att_linear *layer, att_node *x, att_activation act);

/* A recurrent layer: name.kernel (K,G*U), name.recurrent (U,G*U), name.bias (G*U), and for the GRU with the reset gate
 * after the product name.recurrent_bias (G*U). An LSTM's forget gate starts with bias 1 (Jozefowicz et al. 2015). */
typedef struct att_recurrent {
    att_cell cell;
    int64_t units;
    att_linear input;
    att_parameter *recurrent, *recurrent_bias;
} att_recurrent;
att_status att_recurrent_create(att_params *params, const char *name, att_cell cell, int64_t K, int64_t U,
                                att_recurrent *out);
void att_recurrent_start(const att_recurrent *layer); /* after att_params_allocate: what the initialiser cannot say */
/* A state of the layer: h (B,U) and, for an LSTM, c (B,U); NULL means zeros. */
typedef struct att_recurrent_state {
    att_node *h, *c;
} att_recurrent_state;
/* Run over gates (T,B,G*U) = x W + b; returns h (T,B,U). `state`, if given, starts the run and receives its end. */
att_node *att_recurrent_run(att_tape *tape, const att_recurrent *layer, att_node *gates, int reverse,
                            const att_view *lengths, att_recurrent_state *state);
/* One step from gates (B,G*U): updates `state`. */
void att_recurrent_step(att_tape *tape, const att_recurrent *layer, att_node *gates, att_recurrent_state *state);

/* Attention of decoder states over encoder states (the 2015 models). */
typedef enum att_alignment {
    ATT_ALIGNMENT_ADDITIVE = 0, /* v . tanh(W q + U k)   (Bahdanau, Cho, Bengio 2015) */
    ATT_ALIGNMENT_DOT,          /* q . k                 (Luong, Pham, Manning 2015)  */
    ATT_ALIGNMENT_GENERAL,      /* q . W k                                            */
    ATT_ALIGNMENT_NONE          /* one fixed context vector: plain seq2seq            */
} att_alignment;

/* name.query (Q,D), name.key (K,D), name.score (D) as the kind needs. */
typedef struct att_aligner {
    att_alignment kind;
    att_linear query, key;
    att_parameter *score;
} att_aligner;
att_status att_aligner_create(att_params *params, const char *name, att_alignment kind, int64_t query_units,
                              int64_t key_units, int64_t units, att_aligner *out);
/* The part of the keys that does not depend on the query: memory (T,B,K) -> (T,B,D). */
att_node *att_aligner_keys(att_tape *tape, const att_aligner *layer, att_node *memory);
/* What every query of the same keys can share; an absent view where there is nothing to prepare. */
att_view att_aligner_prepare(att_tape *tape, const att_aligner *layer, att_node *keys);
/* Context (B*R,K) of queries (B*R,Q): R queries for each of B sentences; lengths (B). *weights (B,1,R,T) if not NULL.
 */
att_node *att_aligner_attend(att_tape *tape, const att_aligner *layer, att_node *query, att_node *keys,
                             const att_view *prepared, att_node *memory, const att_view *lengths, att_view *weights);

#endif
