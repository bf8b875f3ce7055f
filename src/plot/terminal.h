/* What drawings for the terminal share. */
#ifndef ATT_TERMINAL_H
#define ATT_TERMINAL_H

#include "plot/draft.h"
#include "plot/heatmap.h"

/* Escape sequences that set the background or the text colour; nothing for ATT_TERMINAL_PLAIN. */
void att_terminal_back(att_draft *out, att_terminal_color mode, uint32_t color);
void att_terminal_ink(att_draft *out, att_terminal_color mode, uint32_t color);
void att_terminal_reset(att_draft *out, att_terminal_color mode);

/* text in exactly `columns`: cut with an ellipsis or filled with blanks on the right (align < 0), on both sides (0) or
 * on the left (> 0). */
void att_terminal_pad(att_draft *out, const char *text, int columns, int align);

/* One map, or curves, as text at the end of `out`. */
att_status att_terminal_heatmap(const att_terminal_desc *terminal, const att_heatmap_desc *desc, const att_heatmap *map,
                                att_draft *out);
att_status att_terminal_curves(const att_terminal_desc *terminal, const att_curves_desc *desc, const att_series *series,
                               int64_t n, att_draft *out);

/* Hand the drawing over to the stream unless something failed so far; frees it. */
att_status att_terminal_flush(att_draft *out, att_status so_far, FILE *stream);

#endif
