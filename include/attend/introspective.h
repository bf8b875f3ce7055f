/* Introspective attention: a recurrent network that looks back at its own recorded states. A plain one must carry all
 * it may ever need in one vector; this one asks at every step which of its earlier states matter now:
 *
 *     h_t = cell([x_t; c_{t-1}], h_{t-1}),   e_tj = (h_t W_q) . (h_j W_k) / sqrt(D),   j < t
 *     c_t = sum_j softmax(e_t)_j h_j,        c_0 = 0,        y_t = [h_t; c_t]
 *
 * (intra-attention: Cheng, Dong, Lapata 2016). Everything is on the tape and trains. */
#ifndef ATTEND_INTROSPECTIVE_H
#define ATTEND_INTROSPECTIVE_H

#include <attend/tape.h>

ATT_BEGIN

typedef struct att_introspective_desc {
    att_cell cell;
    int64_t inputs;    /* C: width of x_t */
    int64_t units;     /* U: width of h_t */
    int64_t key_units; /* D: width of what is compared; 0 = U */
    int blind;         /* non-zero: c_t is always 0, a plain recurrent network of the same sizes to compare with */
} att_introspective_desc;

typedef struct att_introspective att_introspective;
/* Declares name.kernel (C+U,G U), name.recurrent (U,G U), name.bias and name.recurrent_bias as the cell needs, and
 * name.query.kernel, name.key.kernel (U,D). Before att_params_allocate. */
ATT_API att_status att_introspective_create(att_params *params, const char *name, const att_introspective_desc *desc,
                                            att_introspective **out);
ATT_API void att_introspective_destroy(att_introspective *net);
/* After att_params_allocate: what the initialiser cannot say (an LSTM's forget gate begins open). */
ATT_API void att_introspective_start(const att_introspective *net);
/* x (B,T,C) -> y (B,T,2U). *weights, if not NULL, receives a (B,T,T): row t over the states j < t, zeros elsewhere;
 * it lives until the next att_tape_begin. */
ATT_API att_node *att_introspective_run(att_tape *tape, const att_introspective *net, att_node *x, att_view *weights);

ATT_END

#endif
