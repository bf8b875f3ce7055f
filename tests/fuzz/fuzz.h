/* What every fuzz target includes. A target takes any bytes; it may refuse them but must not crash, leak or hang, and
 * calls abort() when a promise is broken. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <attend/status.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define PROMISE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "%s:%d: broken: %s (%s)\n", __FILE__, __LINE__, #cond, att_last_error());                  \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The bytes as a file, for functions that take a path; the same path each time. */
const char *fuzz_file(const uint8_t *data, size_t bytes);

#endif
