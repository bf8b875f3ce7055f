/* Labels measured for drawing. */
#ifndef ATT_PLOT_TEXT_H
#define ATT_PLOT_TEXT_H

#include "plot/font.h"
#include "plot/label.h"

/* Cut *text to `width` pixels, an ellipsis at its end; unchanged when it fits. */
att_status att_text_fit(att_fonts *fonts, double size, bool bold, double width, char **text);
/* att_text_fit for every `step`-th; *widest is the width of the widest of them then. */
att_status att_labels_fit(att_fonts *fonts, double size, double width, int64_t step, att_labels *labels,
                          double *widest);

#endif
