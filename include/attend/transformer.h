/* The Transformer (Vaswani et al. 2017) in its three shapes: encoder and decoder (translation), decoder alone (GPT),
 * encoder alone (BERT). One configuration covers the paper's model, GPT-2, BERT and MiniLM, and Marian:
 *
 *                   vaswani   gpt-2      bert        marian
 *     shape         both      decoder    encoder     both
 *     norm          post      pre        post        post
 *     positions     sine      learned    learned     sine-halves
 *     activation    relu      gelu-tanh  gelu        silu
 *     eps           1e-5      1e-5       1e-12       1e-5
 *     scale         yes       no         no          yes
 *     tied          yes       yes        yes         yes
 *     others        shared               segments 2, shared,
 *                                        embedding_  output_bias
 *                                        norm, head,
 *                                        output_bias
 *
 * All tensors are batch-major: ids (B,T), states (B,T,C).
 *
 * Parameters, C = width, F = feed_forward, D = C / heads, S = "encoder" or "decoder", L = 0, 1, ...:
 *     words (V,C), or source.words and target.words when not shared
 *     S.positions (context,C)            learned positions
 *     S.segments (segments,C)            encoder alone
 *     S.embedding_norm.{gain,bias} (C)   with embedding_norm
 *     S.L.attention.qkv.{kernel,bias}    (C, (heads + 2 kv_heads) D): queries, keys, values of all heads side by side
 *     S.L.attention.output.{kernel,bias} (heads D, C)
 *     S.L.attention_norm.{gain,bias}     before the attention (pre) or after its residual sum (post)
 *     decoder.L.cross.query.{kernel,bias} (C, heads D)      decoder.L.cross.key_value.{kernel,bias} (C, 2 kv_heads D)
 *     decoder.L.cross.output.{kernel,bias}                  decoder.L.cross_norm.{gain,bias}
 *     S.L.feed_forward.up.{kernel,bias} (C,F)               S.L.feed_forward.down.{kernel,bias} (F,C)
 *     S.L.feed_forward_norm.{gain,bias}
 *     S.norm.{gain,bias}                 at the end of a stack: pre-norm, or final_norm
 *     output.kernel (C,V), output.bias (V)                  not tied; with output_bias
 *     head.dense.{kernel,bias} (C,C), head.norm.{gain,bias} with head
 *     pooler.{kernel,bias} (C,C)         with pooler
 *     classifier.{kernel,bias} (C,classes)                  with classes
 * A kernel is (inputs, outputs): x kernel + bias. */
#ifndef ATTEND_TRANSFORMER_H
#define ATTEND_TRANSFORMER_H

#include <attend/tape.h>

ATT_BEGIN

#define ATT_TRANSFORMER_MAX_LAYERS 64 /* of one stack */

enum { ATT_TRANSFORMER_ENCODER_DECODER, ATT_TRANSFORMER_DECODER, ATT_TRANSFORMER_ENCODER };
enum {
    ATT_POSITIONS_SINE,        /* p[t,2i] = sin(t / 10000^(2i/C)), p[t,2i+1] = cos of the same       (Vaswani 2017) */
    ATT_POSITIONS_SINE_HALVES, /* the same numbers, all sines before all cosines                           (Marian) */
    ATT_POSITIONS_LEARNED,     /* a table of `context` rows                                           (GPT-2, BERT) */
    ATT_POSITIONS_ROTARY,      /* queries and keys turned by angles t / theta^(2i/D), dimension i with i + D/2
                                  (Su et al. 2021, in the arrangement of GPT-NeoX and LLaMA) */
    ATT_POSITIONS_ALIBI, /* scores lowered by slope_h |i - j|                                  (Press et al. 2022) */
    ATT_POSITIONS_NONE
};
enum { ATT_NORM_POST, ATT_NORM_PRE };

/* Zero means the default. ints are choices and flags. */
typedef struct att_transformer_config {
    int shape;                                    /* ATT_TRANSFORMER_ENCODER_DECODER, ... */
    int64_t source_vocabulary, target_vocabulary; /* one stack alone: both or either give the one vocabulary */
    int64_t width;                                /* C */
    int64_t feed_forward;                         /* F; 0: 4 C */
    int64_t encoder_layers, decoder_layers;       /* of the stacks that the shape has */
    int64_t heads;                                /* divides C */
    int64_t kv_heads;                             /* divides heads; 0: heads (Ainslie et al. 2023) */
    int positions;                                /* ATT_POSITIONS_SINE, ... */
    int64_t context;                              /* most positions; 0: 1024. Learned positions end there */
    double theta;                                 /* of rotary positions; 0: 10000 */
    int norm;                                     /* ATT_NORM_POST or ATT_NORM_PRE */
    int final_norm;                               /* a norm after a post-norm stack too; a pre-norm one always has it */
    int embedding_norm;                           /* a norm of the sum of embeddings */
    double eps;                                   /* of all norms; 0: 1e-5 */
    int activation;                               /* att_activation of the feed-forward layers; NONE: RELU */
    int scale_embedding;                          /* word vectors times sqrt(C) */
    int tied;                                     /* the output layer is the (target) word vectors */
    int shared;                                   /* source and target share word vectors: one vocabulary */
    int output_bias;                              /* the output layer has a bias */
    int without_bias;                             /* no bias in any other linear layer */
    int64_t segments;                             /* rows of the segment table of an encoder alone; 0: none */
    int head;                                     /* an encoder's output passes dense, activation, norm first (BERT) */
    int pooler;                                   /* tanh(dense) of the first position (BERT) */
    int64_t classes;                              /* of a classifier on the pooled position; 0: none */
    double dropout;                               /* of embeddings and of every sublayer's result before it is added */
    double attention_dropout;                     /* of attention weights */
    double inner_dropout;                         /* of the feed-forward layer's activations */
    double init; /* deviation of all matrices at the start, those that end a residual branch divided by
                    sqrt(2 layers) (GPT-2); 0: Glorot, and C^-1/2 for word vectors */
} att_transformer_config;

typedef struct att_transformer att_transformer;

/* Fails with ATT_E_VALUE for a configuration that cannot be, naming "model.FIELD". */
ATT_API att_status att_transformer_create(const att_transformer_config *config, uint64_t seed, int with_gradients,
                                          const att_allocator *allocator, att_transformer **out);
ATT_API void att_transformer_destroy(att_transformer *model); /* NULL is harmless */
ATT_API att_params *att_transformer_params(const att_transformer *model);
/* The configuration with all defaults filled in. */
ATT_API const att_transformer_config *att_transformer_configuration(const att_transformer *model);

/* ---- training ---- */

/* A padded batch; ids and lengths are int32. Which views count depends on the shape:
 *     encoder and decoder   source, source_lengths, target_in, target_out
 *     decoder alone         target_in, target_out
 *     encoder alone         source, source_lengths, segments (optional), target_out (words to predict) */
typedef struct att_transformer_batch {
    att_view source;         /* (B,Ts) */
    att_view source_lengths; /* (B), all >= 1; absent: all of Ts */
    att_view segments;       /* (B,Ts) */
    att_view target_in;      /* (B,Tt): <s> w1 ... wn       */
    att_view target_out;     /* (B,Tt): w1 ... wn </s>; < 0 does not count. Encoder alone: (B,Ts) */
} att_transformer_batch;

/* Record the forward of a batch. The gradient of `scale` times the sum of the losses is what a backward computes.
 * `seed` is the step's: it chooses the dropped units. Only positions that count reach the output layer of an encoder.
 * Fails with ATT_E_VALUE for ids outside the vocabulary and for more positions than a learned table has. */
ATT_API att_status att_transformer_loss(att_tape *tape, const att_transformer *model,
                                        const att_transformer_batch *batch, double smoothing, double scale,
                                        uint64_t seed, att_loss *loss);

/* ---- parts, for inference and for losses of one's own ---- */

/* Attention weights of every layer, filled in where a pointer to this is given: (B,heads,Tq,Tk), tape memory. */
typedef struct att_transformer_look {
    att_view encoder[ATT_TRANSFORMER_MAX_LAYERS], decoder[ATT_TRANSFORMER_MAX_LAYERS],
        cross[ATT_TRANSFORMER_MAX_LAYERS];
} att_transformer_look;

/* ids (B,T), lengths (B) or NULL, segments (B,T) or NULL (all 0) -> states (B,T,C). */
ATT_API att_node *att_transformer_encode(att_tape *tape, const att_transformer *model, const att_view *ids,
                                         const att_view *lengths, const att_view *segments, uint64_t seed,
                                         att_transformer_look *look);

/* What a decoder reads of the encoder: keys and values of every layer, nodes of the tape they were made on. */
typedef struct att_transformer_memory {
    att_node *key_value[ATT_TRANSFORMER_MAX_LAYERS]; /* (B,Ts,2 kv_heads D) */
    att_view lengths;                                /* (B), or absent */
} att_transformer_memory;
ATT_API void att_transformer_remember(att_tape *tape, const att_transformer *model, att_node *states,
                                      const att_view *lengths, att_transformer_memory *memory);

/* Keys and values of the positions a decoder has seen, for R rows of at most `capacity` positions. Only for a tape that
 * does not record. The position of the next id is the cache's length. */
typedef struct att_transformer_cache att_transformer_cache;
ATT_API att_status att_transformer_cache_create(const att_transformer *model, int64_t rows, int64_t capacity,
                                                const att_allocator *allocator, att_transformer_cache **out);
ATT_API void att_transformer_cache_destroy(att_transformer_cache *cache); /* NULL is harmless */
/* Empty it, for so many rows and positions from now on; memory that is large enough stays. After a failure it has none.
 */
ATT_API att_status att_transformer_cache_reserve(att_transformer_cache *cache, int64_t rows, int64_t capacity);
ATT_API int64_t att_transformer_cache_length(const att_transformer_cache *cache);
/* Forget all positions from `length` on. */
ATT_API void att_transformer_cache_cut(att_transformer_cache *cache, int64_t length);
/* Row r becomes what row parent[r] was. */
ATT_API void att_transformer_cache_reorder(att_transformer_cache *cache, const att_exec *exec, const int32_t *parent);
/* Only n rows stay, row r what row[r] >= r was; row[r] ascends. */
ATT_API void att_transformer_cache_keep(att_transformer_cache *cache, const att_exec *exec, const int32_t *row,
                                        int64_t n);

/* ids (R,T) at the positions 0 .. T-1, or with a cache at those behind it, which then holds them too; -> states
 * (R,T,C). Every position sees itself and those before it. The same bits whether ids come one by one, in pieces or all
 * at once, and alone or in a batch. `memory` (NULL for a decoder alone) is of B sentences; R = B n, and rows b n ..
 * b n + n-1 belong to sentence b. With more than one row a sentence, T is 1. */
ATT_API att_node *att_transformer_decode(att_tape *tape, const att_transformer *model,
                                         const att_transformer_memory *memory, att_transformer_cache *cache,
                                         const att_view *ids, uint64_t seed, att_transformer_look *look);

/* states (...,C) -> logits (...,V), through the head where there is one. */
ATT_API att_node *att_transformer_logits(att_tape *tape, const att_transformer *model, att_node *states);
/* states (B,T,C) -> (B,C) of the first position; needs `pooler`. */
ATT_API att_node *att_transformer_pool(att_tape *tape, const att_transformer *model, att_node *states);
/* states (B,T,C) -> (B,classes); needs `classes`. */
ATT_API att_node *att_transformer_classify(att_tape *tape, const att_transformer *model, att_node *states);

ATT_END

#endif
