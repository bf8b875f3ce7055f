/* What drawings for the terminal share. */
#ifndef ATT_TERMINAL_H
#define ATT_TERMINAL_H

#include <attend/plot.h>

#include "plot/buffer.h"

/* Escape sequences that set the background or the text colour; nothing for ATT_TERMINAL_PLAIN. */
void att_terminal_back(att_buffer *out, att_terminal_color mode, uint32_t color);
void att_terminal_ink(att_buffer *out, att_terminal_color mode, uint32_t color);
void att_terminal_reset(att_buffer *out, att_terminal_color mode);

/* text in exactly `columns`: cut with an ellipsis or filled with blanks on the right (align < 0), on both sides (0) or
 * on the left (> 0). */
void att_terminal_pad(att_buffer *out, const char *text, int columns, int align);

/* Hand the drawing over to the stream, or report the failure that stuck to it; frees it. */
att_status att_terminal_flush(att_buffer *out, FILE *stream);

#endif
