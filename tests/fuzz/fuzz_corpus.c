#include "fuzz.h"

#include <attend/text.h>

static void check(const att_text *text)
{
    PROMISE(text->bytes > 0 && att_utf8_check(text->data, text->bytes, NULL) == ATT_OK);
    PROMISE(!memchr(text->data, '\n', text->bytes) && !memchr(text->data, '\0', text->bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    att_corpus *corpus;
    const char *path = fuzz_file(data, bytes);
    for (int target = -1; target < 3; target += 2) {
        if (att_corpus_read_tsv(path, 0, target, NULL, &corpus) != ATT_OK) {
            PROMISE(corpus == NULL && *att_last_error());
            continue;
        }
        int64_t n = att_corpus_count(corpus);
        PROMISE(n >= 1 && (att_corpus_target(corpus) == NULL) == (target < 0));
        for (int64_t i = 0; i < n; i++) {
            check(att_corpus_source(corpus) + i);
            if (target >= 0) check(att_corpus_target(corpus) + i);
        }
        att_corpus_destroy(corpus);
    }
    return 0;
}
