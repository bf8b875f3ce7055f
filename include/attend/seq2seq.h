/* Sequence to sequence with attention: a bidirectional recurrent encoder, a recurrent decoder that at every step
 * attends over all encoder states, a readout, a softmax (Bahdanau, Cho, Bengio 2015; Luong, Pham, Manning 2015; without
 * attention: Cho et al. 2014). All tensors are time-major: (T,B,...). */
#ifndef ATTEND_SEQ2SEQ_H
#define ATTEND_SEQ2SEQ_H

#include <attend/tape.h>

ATT_BEGIN

#define ATT_SEQ2SEQ_MAX_LAYERS 8

enum { ATT_SEQ2SEQ_ADDITIVE, ATT_SEQ2SEQ_DOT, ATT_SEQ2SEQ_GENERAL, ATT_SEQ2SEQ_NO_ATTENTION };
enum { ATT_SEQ2SEQ_ATTEND_BEFORE, ATT_SEQ2SEQ_ATTEND_AFTER };

/* Every field is an option of a recipe's `model` section; ints are choices and flags. */
typedef struct att_seq2seq_config {
    int64_t source_vocabulary, target_vocabulary;
    int cell;              /* att_cell */
    int64_t embedding;     /* E: width of word vectors, and of the readout */
    int64_t encoder_units; /* U: of each direction */
    int64_t decoder_units; /* D */
    int64_t encoder_layers, decoder_layers;
    int attention;           /* ATT_SEQ2SEQ_ADDITIVE, ... */
    int64_t attention_units; /* of the additive score; 0: decoder_units */
    int attend;              /* BEFORE the step, from the previous state, the context entering it (Bahdanau), or AFTER
                                the step, from the new state (Luong) */
    int input_feeding;       /* with AFTER: the readout enters the next step (Luong 3.3) */
    double dropout;          /* on word vectors, between layers and on the readout */
    int tied;                /* the output layer is the target's word vectors */
    int shared;              /* source and target share word vectors (needs one vocabulary) */
} att_seq2seq_config;

typedef struct att_seq2seq att_seq2seq;

ATT_API att_status att_seq2seq_create(const att_seq2seq_config *config, uint64_t seed, int with_gradients,
                                      const att_allocator *allocator, att_seq2seq **out);
ATT_API void att_seq2seq_destroy(att_seq2seq *model);
ATT_API att_params *att_seq2seq_params(const att_seq2seq *model);
ATT_API const att_seq2seq_config *att_seq2seq_configuration(const att_seq2seq *model);

/* A batch of B sentence pairs, padded; ids are int32. */
typedef struct att_seq2seq_batch {
    att_view source;         /* (Ts,B) */
    att_view source_lengths; /* (B) int32, all >= 1 */
    att_view target_in;      /* (Tt,B): <s> w1 ... wn       */
    att_view target_out;     /* (Tt,B): w1 ... wn </s>, padding < 0 */
} att_seq2seq_batch;

/* Record the forward of a batch. The gradient of `scale` times the sum of the losses is what a backward computes.
 * `seed` is the step's: it chooses the dropped units. */
ATT_API att_status att_seq2seq_loss(att_tape *tape, const att_seq2seq *model, const att_seq2seq_batch *batch,
                                    double smoothing, double scale, uint64_t seed, att_loss *loss);

/* What the encoder leaves for the decoder: nodes of the tape it was recorded on. */
typedef struct att_seq2seq_memory {
    att_node *states;  /* (Ts,B,2U) */
    att_node *keys;    /* (Ts,B,A), with attention */
    att_node *context; /* (B,2U), without attention: the fixed context */
    att_view prepared; /* the keys prepared for all steps, with additive attention */
    att_view lengths;  /* (B) */
} att_seq2seq_memory;

/* The decoder's state for R rows; every layer's h (R,D), an LSTM's c (R,D), and with input feeding the readout (R,E).
 */
typedef struct att_seq2seq_state {
    att_node *h[ATT_SEQ2SEQ_MAX_LAYERS], *c[ATT_SEQ2SEQ_MAX_LAYERS], *feed;
} att_seq2seq_state;

/* Encode; `state` receives the decoder's first state (B rows). */
ATT_API void att_seq2seq_encode(att_tape *tape, const att_seq2seq *model, const att_view *source,
                                const att_view *lengths, uint64_t seed, att_seq2seq_memory *memory,
                                att_seq2seq_state *state);
/* One step for R = B * n rows (rows b*n .. b*n+n-1 belong to sentence b) from the previous words `ids` (R) int32:
 * updates the state and returns logits (R,V). *weights, if not NULL, receives (B,1,n,Ts); absent without attention. */
ATT_API att_node *att_seq2seq_step(att_tape *tape, const att_seq2seq *model, const att_seq2seq_memory *memory,
                                   const att_view *ids, att_seq2seq_state *state, att_view *weights);

ATT_END

#endif
