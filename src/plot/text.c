#include <math.h>
#include <string.h>

#include "plot/text.h"

#define ELLIPSIS "\xe2\x80\xa6"

/* The first `clusters` characters of text and an ellipsis. */
static att_status cut(const char *text, int64_t clusters, char **out)
{
    void *block;
    size_t n = 0;
    while (clusters-- > 0) n += att_label_cluster(text + n);
    while (n > 0 && text[n - 1] == ' ') n--;
    ATT_TRY(att_alloc(NULL, n + sizeof ELLIPSIS, &block));
    *out = block;
    memcpy(*out, text, n);
    memcpy(*out + n, ELLIPSIS, sizeof ELLIPSIS);
    return ATT_OK;
}

att_status att_text_fit(att_fonts *fonts, double size, bool bold, double width, char **text)
{
    /* A byte is never narrower than a hundredth of the size, so a very long text is not measured whole. */
    size_t bytes = strlen(*text), most = (size_t)fmax(100 * width / size, 4);
    if (bytes <= most && att_fonts_width(fonts, *text, size, bold) <= width) return ATT_OK;
    int64_t lo = 0, hi = 0;
    for (size_t n = 0; n < bytes && n < most; hi++) n += att_label_cluster(*text + n);
    char *best = NULL;
    ATT_TRY(cut(*text, 0, &best));
    while (lo + 1 < hi) { /* lo clusters fit, hi do not */
        int64_t middle = (lo + hi) / 2;
        char *trial;
        att_status st = cut(*text, middle, &trial);
        if (st != ATT_OK) {
            att_label_free(best);
            return st;
        }
        bool fits = att_fonts_width(fonts, trial, size, bold) <= width;
        *(fits ? &lo : &hi) = middle;
        att_label_free(fits ? best : trial);
        if (fits) best = trial;
    }
    att_label_free(*text);
    *text = best;
    return ATT_OK;
}

att_status att_labels_fit(att_fonts *fonts, double size, double width, int64_t step, att_labels *labels, double *widest)
{
    *widest = 0;
    for (int64_t i = 0; i < labels->n; i += step) {
        ATT_TRY(att_text_fit(fonts, size, false, width, &labels->text[i]));
        *widest = fmax(*widest, att_fonts_width(fonts, labels->text[i], size, false));
    }
    return ATT_OK;
}
