/* What the tests of tokenisers share: checks on pieces and text, and lines of a random language. */
#ifndef TEXT_LANGUAGE_H
#define TEXT_LANGUAGE_H

#include "harness.h"

#include <attend/text.h>

#define BLANK "\xE2\x96\x81" /* U+2581 */

enum { CAPACITY = 512 };

att_text text_of(const char *s);
att_tokenizer *train_on(const att_tokenizer_desc *desc, const char *const *lines, int64_t n);

/* Encoding `text` gives these pieces. */
void expect_pieces(const att_tokenizer *t, const char *text, const char *const *want, int64_t n);
#define EXPECT_PIECES(t, text, ...)                                                                                    \
    expect_pieces(t, text, (const char *const[]){__VA_ARGS__},                                                         \
                  (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* Encoding and decoding `text` gives `want`. */
void expect_decoded(const att_tokenizer *t, const char *text, const char *want);

/* Few letters, so that pairs repeat and tie; some of more than one byte. Free with free(). */
enum { LINES = 200, LINE_BYTES = 400 };

typedef struct language {
    char line[LINES][LINE_BYTES];
    att_text text[LINES];
} language;

language *make_language(uint64_t seed);

/* An allocator's context: call number fail_at (from 0) gives nothing; live_bytes is what has not been given back. */
typedef struct counting {
    int64_t calls, fail_at, live_bytes;
} counting;

void *counting_resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes);

#endif
