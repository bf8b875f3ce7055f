#include <attend/recipe.h>
#include <attend/text.h>

#define AT(field) offsetof(att_recipe, field)
#define UNBOUNDED 0, 0, NULL

static const char *const cells[] = {"gru", "gru-reset-before", "lstm", NULL};
static const char *const scores[] = {"additive", "dot", "general", "none", NULL};
static const char *const moments[] = {"before", "after", NULL};
static const char *const precisions[] = {"float32", "bfloat16", NULL};
static const char *const schedules[] = {"constant", "inverse-sqrt", "plateau", "cosine", NULL};
static const char *const metrics[] = {"loss", "bleu", "chrf", "exact", "accuracy", NULL};
static const char *const tasks[] = {"translation", "language-model", "masked-language-model", "classification", NULL};
static const char *const units[] = {"text", "lines", "entries", NULL};
static const char *const lengths[] = {"gnmt", "power", NULL};
static const char *const stops[] = {"full", "best", NULL};
static const char *const kinds[] = {"seq2seq", "transformer", NULL};
static const char *const positions[] = {"sine", "sine-halves", "learned", "rotary", "alibi", "none", NULL};
static const char *const norms[] = {"post", "pre", NULL};
static const char *const activations[] = {"relu", "tanh", "sigmoid", "gelu", "gelu-tanh", "silu", NULL};
static const char *const tokenizers[] = {"bpe", "word", "char", "byte-bpe", "wordpiece", "sentencepiece", NULL};
static const char *const normalisations[] = {"plain", "none", "tutorial", NULL};

/* clang-format off */
static const att_option options[] = {
    {"task", ATT_OPTION_CHOICE, AT(task), "translation", 0, 0, tasks, "what is to be learnt"},

    {"data.folder", ATT_OPTION_STRING, AT(data.folder), "", UNBOUNDED, "folder of the files below"},
    {"data.train", ATT_OPTION_STRING, AT(data.train), "", UNBOUNDED, "file of tab-separated pairs, or SOURCE,TARGET: two line-aligned files; plain, gzip, zstd or xz"},
    {"data.valid", ATT_OPTION_STRING, AT(data.valid), "", UNBOUNDED, "the same, for validation"},
    {"data.test", ATT_OPTION_STRING, AT(data.test), "", UNBOUNDED, "the same, what `attend evaluate` uses by default"},
    {"data.source_column", ATT_OPTION_INT, AT(data.source_column), "1", 1, 1000, NULL, "column to translate from, or of the text to classify"},
    {"data.target_column", ATT_OPTION_INT, AT(data.target_column), "2", 1, 1000, NULL, "column to translate to, or of the class"},
    {"data.synthetic", ATT_OPTION_STRING, AT(data.synthetic), "", UNBOUNDED, "instead of files: dates, copy or reverse"},
    {"data.synthetic_train", ATT_OPTION_INT, AT(data.synthetic_train), "20000", 1, 1e9, NULL, "synthetic training pairs"},
    {"data.synthetic_valid", ATT_OPTION_INT, AT(data.synthetic_valid), "1000", 1, 1e9, NULL, "synthetic validation pairs"},
    {"data.max_length", ATT_OPTION_INT, AT(data.max_length), "60", 1, 100000, NULL, "longer training pairs (tokens, either side) are left out"},

    {"data.unit", ATT_OPTION_CHOICE, AT(data.unit), "text", 0, 0, units, "language models: a file is one text, or each of its lines is one, or a row of a dictionary (word, part of speech, sense, definition, examples)"},
    {"data.valid_share", ATT_OPTION_REAL, AT(data.valid_share), "0.1", 0, 0.9, NULL, "language models without data.valid: share of data.train, at its end, kept for it"},

    {"text.tokenizer", ATT_OPTION_CHOICE, AT(text.tokenizer), "bpe", 0, 0, tokenizers, "what a token is"},
    {"text.normalise", ATT_OPTION_CHOICE, AT(text.normalise), "plain", 0, 0, normalisations, "plain: NFKC, case kept; tutorial: lower case, a-z, punctuation apart"},
    {"text.vocabulary", ATT_OPTION_INT, AT(text.vocabulary), "0", 0, 10000000, NULL, "tokens in a vocabulary; 0: all that the data gives"},
    {"text.min_count", ATT_OPTION_INT, AT(text.min_count), "1", 1, 1e9, NULL, "rarer words, characters or pairs are left out"},
    {"text.shared", ATT_OPTION_BOOL, AT(text.shared), "false", UNBOUNDED, "one vocabulary for both sides"},
    {"text.coverage", ATT_OPTION_REAL, AT(text.coverage), "0.9995", 0, 1, NULL, "BPE, WordPiece: share of the characters that must be known"},
    {"text.cased", ATT_OPTION_BOOL, AT(text.cased), "false", UNBOUNDED, "WordPiece: capitals and accents are kept; it does not use text.normalise"},
    {"text.dropout", ATT_OPTION_REAL, AT(text.dropout), "0", 0, 1, NULL, "BPE-dropout: share of the merges left out, anew in every epoch"},

    {"model.from", ATT_OPTION_STRING, AT(from), "", UNBOUNDED, "a model file to begin with: its weights, vocabulary and sizes"},
    {"model.kind", ATT_OPTION_CHOICE, AT(kind), "seq2seq", 0, 0, kinds, "recurrent encoder and decoder, or Transformer"},
    {"model.cell", ATT_OPTION_CHOICE, AT(model.cell), "gru", 0, 0, cells, "recurrent cell"},
    {"model.embedding", ATT_OPTION_INT, AT(model.embedding), "256", 1, 65536, NULL, "width of word vectors and readout"},
    {"model.encoder_units", ATT_OPTION_INT, AT(model.encoder_units), "256", 1, 65536, NULL, "of each direction"},
    {"model.decoder_units", ATT_OPTION_INT, AT(model.decoder_units), "512", 1, 65536, NULL, "of the decoder's state"},
    {"model.encoder_layers", ATT_OPTION_INT, AT(model.encoder_layers), "1", 1, ATT_TRANSFORMER_MAX_LAYERS, NULL, "layers of the encoder (at most 8 bidirectional ones)"},
    {"model.decoder_layers", ATT_OPTION_INT, AT(model.decoder_layers), "1", 1, ATT_TRANSFORMER_MAX_LAYERS, NULL, "layers of the decoder (at most 8 recurrent ones)"},
    {"model.attention", ATT_OPTION_CHOICE, AT(model.attention), "additive", 0, 0, scores, "score; none: one fixed context vector"},
    {"model.attention_units", ATT_OPTION_INT, AT(model.attention_units), "0", 0, 65536, NULL, "of the additive score; 0: decoder_units"},
    {"model.attend", ATT_OPTION_CHOICE, AT(model.attend), "before", 0, 0, moments, "before the decoder's step (Bahdanau) or after it (Luong)"},
    {"model.input_feeding", ATT_OPTION_BOOL, AT(model.input_feeding), "false", UNBOUNDED, "the readout enters the next step (with attend: after)"},
    {"model.dropout", ATT_OPTION_REAL, AT(model.dropout), "0", 0, 0.99, NULL, "on word vectors, between layers and on the readout; Transformer: on each sublayer's result"},
    {"model.tied", ATT_OPTION_BOOL, AT(model.tied), "false", UNBOUNDED, "the output layer is the target's word vectors"},
    {"model.shared", ATT_OPTION_BOOL, AT(model.shared), "false", UNBOUNDED, "source and target share word vectors (needs text.shared)"},
    {"model.width", ATT_OPTION_INT, AT(transformer.width), "256", 1, 65536, NULL, "Transformer: of its states"},
    {"model.feed_forward", ATT_OPTION_INT, AT(transformer.feed_forward), "0", 0, 1048576, NULL, "Transformer: units of the feed-forward layers; 0: 4 width"},
    {"model.heads", ATT_OPTION_INT, AT(transformer.heads), "4", 1, 1024, NULL, "Transformer: attention heads"},
    {"model.kv_heads", ATT_OPTION_INT, AT(transformer.kv_heads), "0", 0, 1024, NULL, "Transformer: heads of keys and values; 0: heads"},
    {"model.positions", ATT_OPTION_CHOICE, AT(transformer.positions), "sine", 0, 0, positions, "Transformer: how it knows where a word stands"},
    {"model.context", ATT_OPTION_INT, AT(transformer.context), "1024", 1, 16777216, NULL, "Transformer: most positions; of a language model also what it is trained on"},
    {"model.theta", ATT_OPTION_REAL, AT(transformer.theta), "10000", 1, 1e12, NULL, "Transformer: base of rotary positions"},
    {"model.norm", ATT_OPTION_CHOICE, AT(transformer.norm), "pre", 0, 0, norms, "Transformer: norms before each sublayer (pre) or after its sum (post, as in 2017)"},
    {"model.final_norm", ATT_OPTION_BOOL, AT(transformer.final_norm), "false", UNBOUNDED, "Transformer: a norm after a post-norm stack (pre-norm always has it)"},
    {"model.embedding_norm", ATT_OPTION_BOOL, AT(transformer.embedding_norm), "false", UNBOUNDED, "Transformer: a norm of the embeddings"},
    {"model.eps", ATT_OPTION_REAL, AT(transformer.eps), "1e-5", 1e-15, 1, NULL, "Transformer: of the norms"},
    {"model.activation", ATT_OPTION_CHOICE, AT(transformer.activation), "relu", 0, 0, activations, "Transformer: of the feed-forward layers"},
    {"model.scale_embedding", ATT_OPTION_BOOL, AT(transformer.scale_embedding), "false", UNBOUNDED, "Transformer: word vectors times the root of the width"},
    {"model.output_bias", ATT_OPTION_BOOL, AT(transformer.output_bias), "false", UNBOUNDED, "Transformer: the output layer has a bias"},
    {"model.without_bias", ATT_OPTION_BOOL, AT(transformer.without_bias), "false", UNBOUNDED, "Transformer: no bias in the other linear layers"},
    {"model.segments", ATT_OPTION_INT, AT(transformer.segments), "0", 0, 65536, NULL, "encoder alone: segment embeddings"},
    {"model.head", ATT_OPTION_BOOL, AT(transformer.head), "false", UNBOUNDED, "encoder alone: a dense layer and a norm before the output (BERT)"},
    {"model.pooler", ATT_OPTION_BOOL, AT(transformer.pooler), "false", UNBOUNDED, "encoder alone: tanh(dense) of the first position (BERT)"},
    {"model.attention_dropout", ATT_OPTION_REAL, AT(transformer.attention_dropout), "0", 0, 0.99, NULL, "Transformer: of attention weights"},
    {"model.inner_dropout", ATT_OPTION_REAL, AT(transformer.inner_dropout), "0", 0, 0.99, NULL, "Transformer: inside the feed-forward layers"},
    {"model.init", ATT_OPTION_REAL, AT(transformer.init), "0", 0, 10, NULL, "Transformer: deviation of the first weights; 0: Glorot"},

    {"train.folder", ATT_OPTION_STRING, AT(run.folder), "", UNBOUNDED, "where the run is kept; empty: runs/ and the recipe's name"},
    {"train.seed", ATT_OPTION_INT, AT(train.seed), "1", 0, 9e15, NULL, "where all random numbers start"},
    {"train.steps", ATT_OPTION_INT, AT(train.steps), "10000", 1, 1e12, NULL, "optimiser steps"},
    {"train.batch_tokens", ATT_OPTION_INT, AT(run.batch_tokens), "2048", 1, 1e9, NULL, "most target tokens of a batch, padding counted"},
    {"train.batch_sentences", ATT_OPTION_INT, AT(run.batch_sentences), "256", 1, 1e6, NULL, "most pairs of a batch; of a language model windows of model.context tokens"},
    {"train.precision", ATT_OPTION_CHOICE, AT(train.bfloat16), "float32", 0, 0, precisions, "bfloat16: mixed, the large products of linear layers round to it where the machine has instructions for it, the rest stays float32"},
    {"train.accumulate", ATT_OPTION_INT, AT(train.accumulate), "1", 1, 10000, NULL, "batches summed for one step"},
    {"train.lr", ATT_OPTION_REAL, AT(train.lr), "1e-3", 1e-12, 100, NULL, "largest learning rate"},
    {"train.schedule", ATT_OPTION_CHOICE, AT(train.schedule), "constant", 0, 0, schedules, "of the learning rate after the warm-up"},
    {"train.warmup", ATT_OPTION_INT, AT(train.warmup), "0", 0, 1e9, NULL, "steps of linear rise"},
    {"train.lr_min", ATT_OPTION_REAL, AT(train.lr_min), "0", 0, 100, NULL, "plateau and cosine do not go below"},
    {"train.factor", ATT_OPTION_REAL, AT(train.factor), "0.5", 0.001, 1, NULL, "of each reduction on a plateau"},
    {"train.plateau", ATT_OPTION_INT, AT(train.plateau), "2", 1, 1000, NULL, "validations without a new best before a reduction"},
    {"train.beta1", ATT_OPTION_REAL, AT(train.beta1), "0.9", 0, 0.999999, NULL, "of Adam"},
    {"train.beta2", ATT_OPTION_REAL, AT(train.beta2), "0.98", 0, 0.999999, NULL, "of Adam"},
    {"train.eps", ATT_OPTION_REAL, AT(train.eps), "1e-9", 1e-20, 1, NULL, "of Adam"},
    {"train.decay", ATT_OPTION_REAL, AT(train.decay), "0", 0, 1, NULL, "decoupled weight decay"},
    {"train.clip", ATT_OPTION_REAL, AT(train.clip), "1", 0, 1e9, NULL, "largest norm of the gradient; 0: any"},
    {"train.average", ATT_OPTION_REAL, AT(train.average), "0", 0, 0.9999999, NULL, "decay of the moving average of the weights that is validated and kept; 0: none"},
    {"train.smoothing", ATT_OPTION_REAL, AT(run.smoothing), "0", 0, 0.99, NULL, "of labels"},
    {"train.validate_every", ATT_OPTION_INT, AT(train.validate_every), "1000", 1, 1e12, NULL, "steps"},
    {"train.valid_sentences", ATT_OPTION_INT, AT(run.valid_sentences), "500", 1, 1e9, NULL, "translated at a validation, from the start of the set; of a language model windows"},
    {"train.metric", ATT_OPTION_CHOICE, AT(run.metric), "bleu", 0, 0, metrics, "chooses the best checkpoint and stops early"},
    {"train.patience", ATT_OPTION_INT, AT(train.patience), "0", 0, 1e9, NULL, "validations without a new best before stopping; 0: never"},
    {"train.save_every", ATT_OPTION_INT, AT(train.save_every), "500", 0, 1e12, NULL, "steps between writes of last.att, besides validations"},
    {"train.keep_every", ATT_OPTION_INT, AT(train.keep_every), "0", 0, 1e12, NULL, "steps between checkpoints kept for good; 0: none"},

    {"decode.beam", ATT_OPTION_INT, AT(decode.beam), "5", 1, 1000, NULL, "hypotheses kept; 1: greedy"},
    {"decode.max_length", ATT_OPTION_INT, AT(decode.max_length), "0", 0, 100000, NULL, "tokens of a translation; 0: twice the source and 10"},
    {"decode.length_penalty", ATT_OPTION_REAL, AT(decode.length_penalty), "0.6", 0, 10, NULL, "alpha of ((5 + n) / 6)^alpha (Wu 2016)"},
    {"decode.length_form", ATT_OPTION_CHOICE, AT(decode.length_form), "gnmt", 0, 0, lengths, "power: n^alpha instead"},
    {"decode.stop", ATT_OPTION_CHOICE, AT(decode.stop), "full", 0, 0, stops, "full: at `beam` finished translations; best: when none that runs would be among them"},
    {"decode.renormalise", ATT_OPTION_BOOL, AT(decode.renormalise), "false", UNBOUNDED, "probabilities are of the tokens that may come alone"},
    {"decode.coverage_penalty", ATT_OPTION_REAL, AT(decode.coverage_penalty), "0", 0, 10, NULL, "beta of source words not attended to (Wu 2016)"},
};
/* clang-format on */

const att_options *att_recipe_options(void)
{
    static const att_options table = {options, sizeof options / sizeof *options, sizeof(att_recipe), 0};
    return &table;
}
