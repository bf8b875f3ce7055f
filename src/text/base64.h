/* Bytes as text (RFC 4648), for binary files inside JSON. */
#ifndef ATT_TEXT_BASE64_H
#define ATT_TEXT_BASE64_H

#include "text/buffer.h"

att_status att_base64_write(const char *bytes, size_t n, att_buffer *out);
/* Fails with ATT_E_FORMAT. */
att_status att_base64_read(const char *text, size_t n, att_buffer *out);

#endif
