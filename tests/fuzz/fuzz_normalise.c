#include "fuzz.h"

#include <stdbool.h>

#include <attend/text.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;
    size_t bad = bytes;
    bool valid = att_utf8_check(text, bytes, &bad) == ATT_OK && !memchr(text, '\0', bytes);
    PROMISE(bad <= bytes);
    if (bad < bytes) PROMISE(att_utf8_check(text, bad, NULL) == ATT_OK);
    for (int how = ATT_NORMALISE_PLAIN; how <= ATT_NORMALISE_TUTORIAL; how++) {
        char *once, *twice;
        size_t once_bytes, twice_bytes;
        att_status st = att_normalise_text((att_normalise)how, text, bytes, NULL, &once, &once_bytes);
        PROMISE((st == ATT_OK) == valid);
        if (st != ATT_OK) continue;
        PROMISE(att_utf8_check(once, once_bytes, NULL) == ATT_OK && once[once_bytes] == '\0');
        PROMISE(att_normalise_text((att_normalise)how, once, once_bytes, NULL, &twice, &twice_bytes) == ATT_OK);
        PROMISE(once_bytes == twice_bytes && memcmp(once, twice, once_bytes) == 0);
        att_text_free(NULL, once);
        att_text_free(NULL, twice);
    }
    return 0;
}
