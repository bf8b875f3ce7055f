/* Looking at pictures from a test. */
#ifndef PICTURES_H
#define PICTURES_H

#include "harness.h"

/* A path under a fresh directory of this test program, which goes when it ends. The last four answers stay valid. */
const char *picture_path(const char *name);
/* The whole file and a NUL; fails the test when it cannot be read. Free with free. */
char *read_text(const char *path, size_t *bytes);

typedef struct picture {
    int w, h;
    unsigned char *rgb; /* (h, w, 3) */
} picture;

/* Decode with libpng; fails the test when it is no PNG. Free rgb with free. */
picture read_png(const char *path);
/* 0xRRGGBB at device pixel (x, y). */
uint32_t pixel(const picture *p, int x, int y);
/* How many pixels of [x0, x1) x [y0, y1) are not white. */
int64_t painted(const picture *p, int x0, int y0, int x1, int y1);

/* Whether tags nest and close, attributes are quoted once each, text has no bare < or &, and nothing but tabs and line
 * ends is a control character. <script> and <style> of HTML hold raw text. Prints what is wrong. */
int well_formed(const char *text);

#endif
