/* Text as pictures: fonts found with fontconfig, lines shaped with raqm (right-to-left, joining, reordering), outlines
 * drawn with FreeType. A character that the first font lacks is taken from the next that has it. */
#ifndef ATT_FONT_H
#define ATT_FONT_H

#include "base/base.h"

typedef struct att_fonts att_fonts;

/* ATT_E_MISSING when no font is installed at all. */
att_status att_fonts_create(att_fonts **out);
void att_fonts_destroy(att_fonts *fonts);

/* Width of `text` (clean) set in `size` pixels. fonts NULL: an estimate that needs no font. */
double att_fonts_width(att_fonts *fonts, const char *text, double size, bool bold);

/* Receives a glyph: `coverage` is h rows of w bytes, `pitch` bytes apart, its left upper corner at (x, y). */
typedef void (*att_glyph_fn)(void *ctx, int x, int y, int w, int h, const unsigned char *coverage, int pitch);

/* The glyphs of `text` with its baseline starting at (x, y), turned by `angle` degrees clockwise. */
att_status att_fonts_draw(att_fonts *fonts, const char *text, double size, bool bold, double x, double y, double angle,
                          att_glyph_fn draw, void *ctx);

#endif
