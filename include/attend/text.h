/* Text as token numbers and back: UTF-8, normalisation, tokenisers, parallel corpora, synthetic corpora.
 * Text is UTF-8 with a length in bytes; it need not end in NUL, and a NUL inside is refused. A tokeniser never changes
 * after it was made: any number of threads may use one at the same time. */
#ifndef ATTEND_TEXT_H
#define ATTEND_TEXT_H

#include <attend/export.h>
#include <attend/memory.h>
#include <attend/random.h>
#include <attend/status.h>

ATT_BEGIN

/* A piece of text that somebody else owns. */
typedef struct att_text {
    const char *data;
    size_t bytes;
} att_text;

/* Gives back a string that a function of this header allocated with `allocator`; NULL is harmless. */
ATT_API void att_text_free(const att_allocator *allocator, char *text);

/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. Fails with ATT_E_FORMAT; *bad_byte (optional)
 * is then the offset of the first byte of the first bad sequence. */
ATT_API att_status att_utf8_check(const char *text, size_t bytes, size_t *bad_byte);

/* ---- Normalisation ---- */

typedef enum att_normalise {
    ATT_NORMALISE_PLAIN = 0,   /* NFKC; each run of white space becomes one blank; trimmed; case is kept */
    ATT_NORMALISE_NONE = 1,    /* the text as it is */
    ATT_NORMALISE_TUTORIAL = 2 /* tf_lower_and_split_punct of TensorFlow's translation tutorial: NFKD, lower case, keep
                                  only blanks, a-z and . ? ! , and inverted question mark; blanks around those five
                                  marks; runs of blanks become one (the tutorial splits there); trimmed */
} att_normalise;

ATT_API const char *att_normalise_name(att_normalise how); /* "plain", "none", "tutorial" */
ATT_API att_status att_normalise_parse(const char *name, att_normalise *how);

/* *out is new, ends in NUL (not counted in *out_bytes) and is given back with att_text_free.
 * Fails with ATT_E_VALUE (invalid UTF-8, a NUL inside), ATT_E_MEMORY. */
ATT_API att_status att_normalise_text(att_normalise how, const char *text, size_t bytes, const att_allocator *allocator,
                                      char **out, size_t *out_bytes);

/* ---- Tokenisers ---- */

enum {
    ATT_TOKEN_PAD = 0,     /* "<pad>" */
    ATT_TOKEN_UNK = 1,     /* "<unk>" */
    ATT_TOKEN_BOS = 2,     /* "<s>"   */
    ATT_TOKEN_EOS = 3,     /* "</s>"  */
    ATT_TOKEN_SPECIALS = 4 /* how many there are; every other token's number is at least this */
};

/* What a special token is for. A tokeniser that was learnt here has the first four as its tokens 0 to 3, as above; one
 * that was read from another program's files has them where those put them, or not at all. */
typedef enum att_token_role {
    ATT_ROLE_PAD = 0,
    ATT_ROLE_UNK = 1,
    ATT_ROLE_BOS = 2, /* begins a text: <s>, GPT-2's <|endoftext|>, BERT's [CLS] */
    ATT_ROLE_EOS = 3, /* ends it: </s>, GPT-2's <|endoftext|>, BERT's [SEP] */
    ATT_ROLE_MASK = 4,
    ATT_TOKEN_ROLES = 5
} att_token_role;

/* What one token is. With the first three kinds text that spells a special token is never encoded as one, and invalid
 * UTF-8 and NUL are refused. The others follow other programs to the token: they take any bytes, each maximal invalid
 * part of UTF-8 as U+FFFD (as Python's errors="replace" does), and NUL as a character; and the tokens that the file of
 * such a tokeniser lists as added ones ("<|endoftext|>", "[MASK]") are found in text.
 *   WORD  what stands between blanks. Decoding joins with one blank.
 *   CHAR  one code point, the blank included.
 *   BPE   byte pair encoding of words (Sennrich 2016) over code points, in the manner of SentencePiece: a blank becomes
 *         U+2581, one more stands in front of the text, a piece never reaches over the start of the next word, nor is
 *         one learnt that mixes letters, digits and other characters, so that "end." costs no entry beside "end".
 *         Decoding gives the normalised text back, except that a U+2581 in it comes back as a blank. A run of unknown
 *         characters is one unknown token.
 *   BYTE_BPE   byte pair encoding of the bytes of words, in the manner of GPT-2 (Radford 2019, section 2.2): the same
 *              ids as PyPI's `tokenizers` gives. No text is unknown, and decoding gives it back.
 *   WORDPIECE  BERT's: cleaned, perhaps lower case without accents, cut at blanks and punctuation, then the longest
 *              piece first (Devlin 2019); the same ids as `tokenizers` gives. Learnt as its trainer does, by merging
 *              the most frequent pairs. First come [PAD] [UNK] [CLS] [SEP] [MASK], then the characters, then, behind
 *              "##", those that continue a word, each by code point. `tokenizers` numbers the last in an order that
 *              changes from run to run, and ties change with it; given this order it learns the same vocabulary.
 *   SENTENCEPIECE  a unigram (Kudo 2018) or BPE model of SentencePiece's, with the normalisation inside it; the same
 *                  pieces as PyPI's `sentencepiece` gives. Marian's vocab.json numbers them. Not learnt here. */
typedef enum att_token_unit {
    ATT_TOKENIZER_BPE = 0,
    ATT_TOKENIZER_WORD = 1,
    ATT_TOKENIZER_CHAR = 2,
    ATT_TOKENIZER_BYTE_BPE = 3,
    ATT_TOKENIZER_WORDPIECE = 4,
    ATT_TOKENIZER_SENTENCEPIECE = 5
} att_token_unit;

ATT_API const char *
att_token_unit_name(att_token_unit unit); /* "bpe", "word", "char", "byte-bpe", "wordpiece", "sentencepiece" */
ATT_API att_status att_token_unit_parse(const char *name, att_token_unit *unit);

typedef struct att_tokenizer_desc {
    att_token_unit kind;
    att_normalise normalise;
    int64_t vocabulary; /* number of tokens wanted, special ones included; 0 = all that the data gives */
    int64_t min_count;  /* words, characters or pairs of BPE seen less often are left out; 0 = 1 */
    double coverage;    /* BPE, WORDPIECE: share of the characters of the data that must be known; 0 = 0.9995 */
    int cased;          /* WORDPIECE: keep capitals and accents. `normalise` is not used, BERT has a way of its own */
} att_tokenizer_desc;

typedef struct att_tokenizer att_tokenizer;

/* Learns the vocabulary from n lines (texts that may hold line feeds, for BYTE_BPE). The result depends on the lines
 * alone: ties in counts are broken by the text; with BYTE_BPE and WORDPIECE by the tokens' numbers, as in `tokenizers`.
 * Fails with ATT_E_VALUE: a field out of range; a line that is not UTF-8; more vocabulary wanted than the data supports
 * (the message names the largest possible), or less than BPE's characters need. */
ATT_API att_status att_tokenizer_train(const att_tokenizer_desc *desc, const att_text *lines, int64_t n,
                                       const att_allocator *allocator, att_tokenizer **out);
ATT_API void att_tokenizer_destroy(att_tokenizer *tokenizer); /* NULL is harmless */

ATT_API att_token_unit att_tokenizer_kind(const att_tokenizer *tokenizer);
ATT_API att_normalise att_tokenizer_normalise(const att_tokenizer *tokenizer);
ATT_API int64_t att_tokenizer_size(const att_tokenizer *tokenizer);                      /* number of tokens */
ATT_API const char *att_tokenizer_piece(const att_tokenizer *tokenizer, int32_t id);     /* NULL: no such token */
ATT_API int32_t att_tokenizer_id(const att_tokenizer *tokenizer, const char *piece);     /* -1: no such piece */
ATT_API int32_t att_tokenizer_role(const att_tokenizer *tokenizer, att_token_role role); /* its token, or -1 */

/* Normalises and encodes; neither <s> nor </s> is added. *n is the number of tokens even when `capacity` is too small:
 * then the call fails with ATT_E_SHAPE (ids may be NULL when capacity is 0). A token needs at most as many slots as the
 * normalised text has bytes, plus one. Fails also with ATT_E_VALUE (text is not UTF-8, or has 2^31 bytes). */
ATT_API att_status att_tokenizer_encode(const att_tokenizer *tokenizer, const char *text, size_t bytes, int32_t *ids,
                                        int64_t capacity, int64_t *n);

/* What BERT reads: [CLS] first [SEP], or [CLS] first [SEP] second [SEP] when `second` is not NULL; for any tokeniser
 * that has the roles BOS and EOS. segments (optional) is 0 up to the first [SEP] and 1 behind it. When there would be
 * more than `most` tokens (0: no bound) the ends of the texts are left out, of the longer one first, as `tokenizers`
 * does it ("longest_first"). Fails as above, and with ATT_E_UNSUPPORTED without those roles. */
ATT_API att_status att_tokenizer_encode_pair(const att_tokenizer *tokenizer, const att_text *first,
                                             const att_text *second, int64_t most, int32_t *ids, int32_t *segments,
                                             int64_t capacity, int64_t *n);

/* BPE-dropout (Provilkov 2020, section 3): before every merge each possible one is dropped with probability `dropout`.
 * 0 is att_tokenizer_encode, 1 gives single characters or bytes; kinds without merges have nothing to drop. */
ATT_API att_status att_tokenizer_encode_sampled(const att_tokenizer *tokenizer, const char *text, size_t bytes,
                                                double dropout, att_random *random, int32_t *ids, int64_t capacity,
                                                int64_t *n);

/* Encodes and says where every token stands. surface[i] is the part of *normalised that token i covers, without the
 * blank that its U+2581 stands for, so it may be empty; word[i] is the blank-separated word it belongs to, counted from
 * 0 (a blank that is a token belongs to the word after it). Both are optional. *normalised is new, allocated with the
 * tokeniser's allocator, and given back with att_text_free after the surfaces were used; NULL after a failure.
 * A NUL is refused. */
ATT_API att_status att_tokenizer_encode_surfaces(const att_tokenizer *tokenizer, const char *text, size_t bytes,
                                                 int32_t *ids, att_text *surface, int64_t *word, int64_t capacity,
                                                 int64_t *n, char **normalised);

/* Text of n tokens. Special tokens are skipped, but <unk> becomes U+2047 between blanks, as in SentencePiece; BYTE_BPE
 * and WORDPIECE skip it too, and the latter moves punctuation to the word before it, as `tokenizers` does. The text is
 * UTF-8: what is not (the bytes of half a character) comes out as U+FFFD. Writes
 * *bytes bytes and a NUL. When capacity < *bytes + 1 nothing is written and the call fails with ATT_E_SHAPE (out may
 * be NULL when capacity is 0). Fails with ATT_E_VALUE when an id is no token's. */
ATT_API att_status att_tokenizer_decode(const att_tokenizer *tokenizer, const int32_t *ids, int64_t n, char *out,
                                        size_t capacity, size_t *bytes);

/* The whole tokeniser as one line of JSON, allocated with its allocator, given back with att_text_free. */
ATT_API att_status att_tokenizer_to_json(const att_tokenizer *tokenizer, char **json);
/* Reads that, and the tokenizer.json of `tokenizers` where its model is byte-level BPE or WordPiece. Any input is safe;
 * what is not a tokeniser's JSON fails with ATT_E_FORMAT, naming the field, and what is not supported with
 * ATT_E_UNSUPPORTED, naming what was found and expected. */
ATT_API att_status att_tokenizer_from_json(const char *json, size_t bytes, const att_allocator *allocator,
                                           att_tokenizer **out);

/* ---- Tokenisers of Hugging Face's models ---- */

/* Reads what a folder has: tokenizer.json, or source.spm and vocab.json (Marian), or vocab.json and merges.txt (GPT-2),
 * or vocab.txt (BERT). Switches and the
 * names of special tokens come from tokenizer_config.json and special_tokens_map.json where they are there; a file as
 * `path` is read as tokenizer.json or, when it is no JSON, as SentencePiece's model. Fails with ATT_E_MISSING (naming
 * the files that were looked for), ATT_E_IO, and as att_tokenizer_from_json, with the file in front. */
ATT_API att_status att_tokenizer_read(const char *path, const att_allocator *allocator, att_tokenizer **out);
/* The same of the language that is translated into: target.spm in place of source.spm. */
ATT_API att_status att_tokenizer_read_target(const char *path, const att_allocator *allocator, att_tokenizer **out);

/* Writes these files into a folder that exists: vocab.json, merges.txt and tokenizer.json, or vocab.txt and
 * tokenizer.json, or source.spm and vocab.json, so that `tokenizers` and `transformers` read them. ATT_E_UNSUPPORTED
 * for a kind without such files.
 */
ATT_API att_status att_tokenizer_write(const att_tokenizer *tokenizer, const char *folder);
/* The same of the language that is translated into: target.spm in place of source.spm. */
ATT_API att_status att_tokenizer_write_target(const att_tokenizer *tokenizer, const char *folder);

/* ---- Corpora ---- */

/* Lines of text, or line-aligned pairs. Files are UTF-8, plain, gzip, zstd or xz (told apart by their first bytes); a
 * byte order mark at the start and CR before LF are skipped. */
typedef struct att_corpus att_corpus;

/* Tab-separated columns, counted from 0; other columns are ignored. target_column -1: no target.
 * Fails with ATT_E_MISSING (no such file), ATT_E_IO (unreadable), ATT_E_VALUE (a column that cannot be), ATT_E_FORMAT:
 * "FILE:LINE: ..." for a missing column, an empty source or target, a NUL, invalid UTF-8 (bytes of the line counted
 * from 1); "FILE: ..." for no lines at all and for compressed data that is damaged or ends too early. */
ATT_API att_status att_corpus_read_tsv(const char *path, int source_column, int target_column,
                                       const att_allocator *allocator, att_corpus **out);
/* Two files of as many lines; target_path NULL: one file of lines. Fails as above, and when the counts differ. */
ATT_API att_status att_corpus_read_pair(const char *source_path, const char *target_path,
                                        const att_allocator *allocator, att_corpus **out);
ATT_API void att_corpus_destroy(att_corpus *corpus); /* NULL is harmless */

ATT_API int64_t att_corpus_count(const att_corpus *corpus);          /* number of lines or pairs, at least 1 */
ATT_API const att_text *att_corpus_source(const att_corpus *corpus); /* valid as long as the corpus */
ATT_API const att_text *att_corpus_target(const att_corpus *corpus); /* NULL when there is none */

/* ---- Sets of words ---- */

/* A set of words in 14.4 bits each (Bloom 1970): a word of the set is always found, and so is one in 1,024 of all
 * others. Letters A-Z count as a-z. */
typedef struct att_words att_words;

/* The first of each line's tab-separated columns: a list of words, or a table that begins with them. A file as
 * att_corpus_read_pair reads it. Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_FORMAT. */
ATT_API att_status att_words_read(const char *path, const att_allocator *allocator, att_words **out);
ATT_API void att_words_destroy(att_words *words); /* NULL is harmless */
ATT_API int att_words_has(const att_words *words, att_text word);

/* ---- Synthetic corpora ---- */

/* Pair number `index` (>= 0) of an endless corpus: the same (seed, index) always gives the same pair, and any index can
 * be made without the ones before it. Both strings end in NUL. Fails with ATT_E_VALUE when a size is smaller than
 * ATT_SYNTHETIC_BYTES or index is negative. */
#define ATT_SYNTHETIC_BYTES 64

typedef att_status att_synthetic(uint64_t seed, int64_t index, char *source, size_t source_size, char *target,
                                 size_t target_size);

/* A date of 1950-2049 as people write it ("2nd of March, 1987", "Mon 2 Mar 1987", "march 2 '87", "25/12/1987") and in
 * ISO 8601 ("1987-03-02"). Every source has one target: '87 is the year of that century, and of all-number forms only
 * those are made whose day and month cannot be confused. */
ATT_API att_synthetic att_synthetic_dates;
/* 1 to 20 random letters with blanks between; the target is the same, or the letters in reverse order. */
ATT_API att_synthetic att_synthetic_copy;
ATT_API att_synthetic att_synthetic_reverse;

/* "dates", "copy" or "reverse". Fails with ATT_E_VALUE, listing them. */
ATT_API att_status att_synthetic_find(const char *name, att_synthetic **make);

ATT_END

#endif
