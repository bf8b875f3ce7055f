/* A whole file in memory, decompressed. */
#ifndef ATT_TEXT_FILE_H
#define ATT_TEXT_FILE_H

#include "text/buffer.h"

/* Appends the content of the file to `out`: gzip, zstd and xz are unpacked, several members or frames one after the
 * other too. Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_FORMAT (damaged or cut compressed data). */
att_status att_file_read(const char *path, att_buffer *out);

#endif
