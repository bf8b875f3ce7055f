#include "fuzz.h"

#include <attend/text.h>

enum { MOST = 256 };

/* Encodes the JSON's own first bytes; every id must be a token and decode. */
static void use(const att_tokenizer *t, const char *text, size_t bytes)
{
    int32_t ids[MOST];
    char out[8 * MOST];
    int64_t n;
    size_t length;
    if (bytes > 64) bytes = 64;
    if (att_tokenizer_encode(t, text, bytes, ids, MOST, &n) != ATT_OK) return;
    for (int64_t i = 0; i < n; i++) PROMISE(att_tokenizer_piece(t, ids[i]) != NULL);
    if (att_tokenizer_decode(t, ids, n, out, sizeof out, &length) == ATT_OK)
        PROMISE(att_utf8_check(out, length, NULL) == ATT_OK && out[length] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    att_tokenizer *first, *second;
    char *json;
    const char *text = (const char *)data;
    if (att_tokenizer_from_json(text, bytes, NULL, &first) != ATT_OK) {
        PROMISE(first == NULL && *att_last_error());
        return 0;
    }
    use(first, text, bytes);
    PROMISE(att_tokenizer_to_json(first, &json) == ATT_OK);
    PROMISE(att_tokenizer_from_json(json, strlen(json), NULL, &second) == ATT_OK);
    PROMISE(att_tokenizer_size(first) == att_tokenizer_size(second));
    att_text_free(NULL, json);
    att_tokenizer_destroy(first);
    att_tokenizer_destroy(second);
    return 0;
}
