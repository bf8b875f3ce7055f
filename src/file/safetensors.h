/* What reader and writer of model files share. The format: include/attend/file.h.
 *
 * Checksums ride in "__metadata__": "attend.format" = "1" marks our files, "attend.checksum" is that of the first
 * 8 + N bytes with its own eight digits as zeros, "attend.checksum.NAME" that of a tensor's bytes. Two marks, because
 * one flipped bit could hide one. */
#ifndef ATT_SAFETENSORS_H
#define ATT_SAFETENSORS_H

#include <attend/file.h>

#include "base/base.h"

#define ATT_HEADER_MAX      ((size_t)100000000) /* bytes, the format's limit */
#define ATT_LENGTH_BYTES    8
#define ATT_METADATA_KEY    "__metadata__"
#define ATT_FORMAT_KEY      "attend.format"
#define ATT_FORMAT_VALUE    "1"
#define ATT_CHECKSUM_KEY    "attend.checksum"
#define ATT_CHECKSUM_PREFIX "attend.checksum."
#define ATT_CHECKSUM_MARK   "\"" ATT_CHECKSUM_KEY "\":\"" /* stands once in a header: quotes inside texts are escaped */
#define ATT_CHECKSUM_DIGITS 8

/* As att_file_open, reading and checking tensors on the threads of exec. */
att_status att_file_open_with(const char *path, const att_exec *exec, const att_allocator *allocator, att_file **out);
/* The block that holds all tensors: from now on the caller's, to be freed through the file's allocator. The file's
 * views are valid as long as the block is. */
att_span att_file_take_memory(att_file *file);
size_t att_file_memory(const att_file *file); /* its bytes */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they lie in memory");

/* CRC-32, which every flipped bit and every burst of up to 32 bits changes; the first `sum` is 0. zlib does 6.9 GB/s
 * (XXH64 in plain C 10, Adler-32 4 on the same core): 39 ms for 256 MiB, which take 104 ms to read. */
uint32_t att_checksum(uint32_t sum, const void *data, size_t bytes);
void att_checksum_text(uint32_t sum, char out[ATT_CHECKSUM_DIGITS + 1]);
/* Where the header's own digits stand, or NULL. */
char *att_checksum_place(char *header, size_t bytes);
/* Is this metadata key one of ours, and so no caller's? */
bool att_checksum_key(const char *key);

#endif
