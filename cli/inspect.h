/* What the parts of `attend inspect` share. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "common.h"

/* Text from a file, with control characters as \xNN so that it cannot command a terminal, cut after `most` bytes. */
void inspect_put_text(const char *text, size_t most);
/* A JSON value in the manner of YAML, `depth` levels in; long lists and tables as their size and first entries. */
void inspect_put_value(const json_t *value, int depth);

/* Both return the exit status. */
int inspect_model(const char *path);
int inspect_attention(const char *path);

#endif
