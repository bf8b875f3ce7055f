/* Automatic differentiation: a tape records operations on float32 tensors and replays their backwards in reverse.
 *
 *     att_tape_begin(tape, 1);
 *     att_node *x = att_tape_constant(tape, &batch);
 *     att_node *y = att_tape_linear(tape, x, att_tape_parameter(tape, w), NULL, ATT_ACT_TANH);
 *     att_tape_cross_entropy(tape, y, &target, 0.1, scale, &loss);
 *     status = att_tape_backward(tape);          // the gradients are in the parameters
 *
 * Nodes and their memory live until the next att_tape_begin and come from an arena that is reused: after the first step
 * of the largest size a training step allocates nothing. Errors are sticky: after the first failure every operation
 * does nothing and returns an inert node, and the check at the end (att_tape_status, att_tape_backward) reports the
 * first. A tape belongs to one thread at a time; its operations use the threads of its exec. */
#ifndef ATTEND_TAPE_H
#define ATTEND_TAPE_H

#include <attend/attention.h>
#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/ops.h>
#include <attend/view.h>

ATT_BEGIN

/* ---- parameters: named tensors in three flat arrays (values, gradients, and whatever an optimiser adds) ---- */

typedef struct att_params att_params;
typedef struct att_parameter att_parameter;

typedef enum att_init {
    ATT_INIT_ZERO = 0,
    ATT_INIT_ONE,
    ATT_INIT_UNIFORM,   /* in [-scale, scale) */
    ATT_INIT_NORMAL,    /* deviation `scale` */
    ATT_INIT_GLOROT,    /* uniform in +-sqrt(6 / (rows + columns))           (Glorot & Bengio 2010) */
    ATT_INIT_ORTHOGONAL /* blocks of rows x rows columns, each orthogonal: recurrent weights (Saxe et al. 2014) */
} att_init;

ATT_API att_status att_params_create(const att_allocator *allocator, att_params **out);
ATT_API void att_params_destroy(att_params *params);
/* Declare a tensor; all declarations come before att_params_allocate. `name` is copied. */
ATT_API att_status att_params_add(att_params *params, const char *name, int ndim, const int64_t *dim, att_init init,
                                  double scale, att_parameter **out);
/* Allocate and initialise from `seed`: a tensor's numbers depend on the seed and its name alone. `with_gradients` = 0
 * saves the gradients' memory in inference, ATT_PARAMS_ZERO the time for numbers that a file's will replace too: all
 * values are zero. ATT_PARAMS_LATER allocates nothing: loading a model file does, in the memory that the file was read
 * to, or another att_params_allocate. */
enum { ATT_PARAMS_ZERO = -1, ATT_PARAMS_LATER = -2 };
ATT_API att_status att_params_allocate(att_params *params, uint64_t seed, int with_gradients);
ATT_API int64_t att_params_count(const att_params *params);
ATT_API att_parameter *att_params_at(const att_params *params, int64_t i);
ATT_API att_parameter *att_params_find(const att_params *params, const char *name); /* NULL if absent */
/* The flat arrays, att_params_elements() floats each; tensors start at multiples of 16 floats, gaps are zero.
 * Values that were loaded from a file lie apart: the array is NULL. */
ATT_API int64_t att_params_elements(const att_params *params);
ATT_API float *att_params_values(const att_params *params);
ATT_API float *att_params_gradients(const att_params *params);
/* Say that values were written from outside (optimiser, loading), so that packed copies are made anew. */
ATT_API void att_params_changed(att_params *params);

/* What the products of tapes that do not record read weight matrices as: ATT_F32 (the default), or rounded to ATT_BF16
 * or ATT_I8 (see att_product_pack_as). Words' vectors that are also the output layer are looked up rounded too. Tapes
 * that record refuse rounded weights with ATT_E_VALUE. Fails with ATT_E_DTYPE.
 * Of a loaded model, a matrix that only such products read gives its float32 memory back when it is first used: its
 * att_parameter_value then has no data, and another rounding fails with ATT_E_VALUE. */
ATT_API att_status att_params_round_weights(att_params *params, att_dtype dtype);
/* Whether the products with ATT_I8 weights round what they multiply, row by row, to 8 bits as well (W8A8), instead of
 * the 12 to 16 bits that sums leave room for: see att_packed's a_bits. */
ATT_API void att_params_round_inputs(att_params *params, int to_8_bits);

ATT_API const char *att_parameter_name(const att_parameter *p);
ATT_API const att_view *att_parameter_value(const att_parameter *p);
ATT_API const att_view *att_parameter_gradient(const att_parameter *p);

/* ---- the tape ---- */

typedef struct att_tape att_tape;
typedef struct att_node att_node;

ATT_API att_status att_tape_create(const att_exec *exec, const att_allocator *allocator, att_tape **out);
ATT_API void att_tape_destroy(att_tape *tape);
/* Forget everything recorded. With `record` = 0 nothing is kept for a backward (inference). */
ATT_API void att_tape_begin(att_tape *tape, int record);
/* From now on the large products of linear layers, forward and backward, may round their operands to bfloat16 where the
 * machine has units for that (ATT_BF16, see att_product_desc), or not (ATT_F32, as after att_tape_create): mixed
 * precision, in which weights, sums, gradients and everything else stay float32 (Micikevicius et al. 2018). Fails with
 * ATT_E_DTYPE. */
ATT_API att_status att_tape_precision(att_tape *tape, att_dtype dtype);
ATT_API att_status att_tape_status(const att_tape *tape);
/* Run the backwards. Gradients of parameters are ADDED to what their arrays hold (gradient accumulation is just calling
 * this for several batches); att_params_zero_gradients begins a new sum. */
ATT_API att_status att_tape_backward(att_tape *tape);
/* Begin a new sum. The arrays are not written: each tensor's first gradient replaces its old content. Gradients of
 * tensors that no backward reached are set to zero by att_params_settle_gradients. */
ATT_API void att_params_zero_gradients(att_params *params);
ATT_API void att_params_settle_gradients(att_params *params);
/* Bytes held, and how many times the arena had to grow: it stands still once the largest step was seen. */
ATT_API size_t att_tape_bytes(const att_tape *tape);
ATT_API int64_t att_tape_grown(const att_tape *tape);

ATT_API const att_view *att_node_value(const att_node *node);
/* The gradient after the backward; an absent view if none reached the node. Of leaves: the memory of other nodes'
 * gradients is used again as the backward goes on. */
ATT_API att_view att_node_gradient(const att_node *node);

/* ---- leaves ---- */
ATT_API att_node *att_tape_parameter(att_tape *tape, att_parameter *p);
ATT_API att_node *att_tape_constant(att_tape *tape, const att_view *value); /* no gradient; memory stays the caller's */
ATT_API att_node *att_tape_variable(att_tape *tape, const att_view *value); /* with gradient; dense */
ATT_API att_node *att_tape_zeros(att_tape *tape, int ndim, const int64_t *dim);
/* Scratch memory with the life of the tape's nodes: for ids, lengths and masks of a step. */
ATT_API void *att_tape_alloc(att_tape *tape, size_t bytes);

/* ---- shape: views, no copies (but concat and stack) ---- */
ATT_API att_node *att_tape_slice(att_tape *tape, att_node *x, int axis, int64_t lo, int64_t hi);
ATT_API att_node *att_tape_at(att_tape *tape, att_node *x, int axis, int64_t i);
ATT_API att_node *att_tape_transpose(att_tape *tape, att_node *x, int axis_a, int axis_b);
ATT_API att_node *att_tape_reshape(att_tape *tape, att_node *x, int ndim, const int64_t *dim);
ATT_API att_node *att_tape_concat(att_tape *tape, int64_t n, att_node *const *x); /* along the last axis */
ATT_API att_node *att_tape_stack(att_tape *tape, int64_t n, att_node *const *x);  /* a new first axis */

/* ---- arithmetic ---- */
ATT_API att_node *att_tape_add(att_tape *tape, att_node *a, att_node *b);
ATT_API att_node *att_tape_multiply(att_tape *tape, att_node *a, att_node *b);
ATT_API att_node *att_tape_scale(att_tape *tape, att_node *x, double factor);
ATT_API att_node *att_tape_activation(att_tape *tape, att_activation act, att_node *x);
/* Identity when p = 0 or the tape does not record. `stream` keeps the uses of one step apart. */
ATT_API att_node *att_tape_dropout(att_tape *tape, att_node *x, double p, uint64_t seed, uint64_t stream);
/* act(x w + b): x (..., K) whose leading dimensions are evenly spaced, w (K,N), b (N) or NULL -> (..., N). With
 * `transposed`, w is (N,K): the tied output layer. Weights are packed once per change of the parameters. */
ATT_API att_node *att_tape_linear(att_tape *tape, att_node *x, att_node *w, att_node *b, att_activation act);
ATT_API att_node *att_tape_linear_transposed(att_tape *tape, att_node *x, att_node *w, att_node *b);
/* table (V,C), ids int32 of any shape -> (shape, C) */
ATT_API att_node *att_tape_embedding(att_tape *tape, att_node *table, const att_view *ids);
ATT_API att_node *att_tape_softmax(att_tape *tape, att_node *x);
ATT_API att_node *att_tape_layer_norm(att_tape *tape, att_node *x, att_node *gain, att_node *bias, double eps);

/* x (B,T,H,D) with its pairs turned by the angles of cosine and sine (T,D/2): see att_rotary. */
ATT_API att_node *att_tape_rotary(att_tape *tape, att_node *x, const att_view *cosine, const att_view *sine);
/* Copy x's value into memory of the caller, of the same shape: for what outlives the tape's nodes. No gradient. */
ATT_API void att_tape_store(att_tape *tape, const att_node *x, const att_view *to);

/* ---- recurrent and attention: shapes as in ops.h and attention.h ---- */
typedef struct att_tape_rnn_in {
    att_node *gates_x, *w, *bias_h, *h0, *c0; /* bias_h, h0, c0 may be NULL */
    att_view lengths;                         /* absent: all steps count */
} att_tape_rnn_in;
/* h (B,T,U); for an LSTM *c receives the cell states (only the last step's gradient is followed). Memory is time-major.
 */
ATT_API att_node *att_tape_rnn(att_tape *tape, const att_rnn_desc *desc, const att_tape_rnn_in *in, att_node **c);

typedef struct att_tape_attention_in {
    att_node *q, *k, *v, *score_w, *bias; /* score_w, bias may be NULL */
    att_view mask, key_lengths;           /* may be absent */
    att_view k_prepared; /* of att_tape_prepare_keys(k), for keys that many calls share; may be absent */
    att_node *sinks, *relative, *centre;                                             /* may be NULL */
    att_view query_mask, q_positions, k_positions, slopes, block_starts, block_keys; /* may be absent */
    att_view d_log_prob, d_entropy; /* REINFORCE: the backward reads them, so the reward may come after the forward */
} att_tape_attention_in;
/* What additive attention first makes of its keys (B,Hkv,Tk,D), see att_attention_prepare_keys; gradients still go to
 * k. */
ATT_API att_view att_tape_prepare_keys(att_tape *tape, att_node *k);
/* As att_attention_forward; views, and desc->function, must live until the backward.
 * o (B,Hq,Tq,Dv); *weights, if not NULL, receives the weights (B,Hq,Tq,Tk) (no gradient flows through them). */
ATT_API att_node *att_tape_attention(att_tape *tape, const att_attention_desc *desc, const att_tape_attention_in *in,
                                     att_view *weights);

/* ---- ends ---- */
typedef struct att_loss {
    double sum;      /* of the losses of all rows that count, in nats */
    int64_t count;   /* rows that count */
    int64_t correct; /* of them, how many were predicted */
} att_loss;
/* Cross-entropy of logits (..., V) against int32 targets (...; < 0 does not count), see ops.h. Its gradient, times
 * `scale`, starts the backward and REPLACES the logits: they must have no other use, and come from an operation whose
 * backward does not read its result (a linear one without activation). */
ATT_API void att_tape_cross_entropy(att_tape *tape, att_node *logits, const att_view *target, double smoothing,
                                    double scale, att_loss *loss);
/* The same of the logits x w + b, or x w^T + b when `transposed` (b may be NULL), which are made, read and forgotten
 * some rows at a time: their (..., V) array, the largest of a language model, never exists. x, w and b may have other
 * uses. */
ATT_API void att_tape_linear_cross_entropy(att_tape *tape, att_node *x, att_node *w, att_node *b, int transposed,
                                           const att_view *target, double smoothing, double scale, att_loss *loss);
/* Start the backward at `x` with the given gradient (same shape). */
ATT_API void att_tape_seed(att_tape *tape, att_node *x, const att_view *gradient);

ATT_END

#endif
