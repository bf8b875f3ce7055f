#include "plot/pictures.h"

#include "scratch.h"

#include <ctype.h>
#include <png.h>

static void remove_pictures(void)
{
    scratch_destroy();
}

const char *picture_path(const char *name)
{
    static int made;
    if (!made && scratch_create() != 0) fail_msg("no folder for pictures");
    if (!made) atexit(remove_pictures);
    made = 1;
    return scratch_path(name);
}

char *read_text(const char *path, size_t *bytes)
{
    size_t n;
    return scratch_read(path, bytes ? bytes : &n);
}

picture read_png(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path)) fail_msg("%s: %s", path, image.message);
    image.format = PNG_FORMAT_RGB;
    picture p = {(int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image))};
    if (!png_image_finish_read(&image, NULL, p.rgb, 0, NULL)) fail_msg("%s: %s", path, image.message);
    return p;
}

uint32_t pixel(const picture *p, int x, int y)
{
    assert_in_range(x, 0, p->w - 1);
    assert_in_range(y, 0, p->h - 1);
    const unsigned char *c = p->rgb + 3 * ((size_t)y * (size_t)p->w + (size_t)x);
    return (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
}

int64_t painted(const picture *p, int x0, int y0, int x1, int y1)
{
    int64_t n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) n += pixel(p, x, y) != 0xffffff;
    return n;
}

static int wrong(const char *text, const char *at, const char *what)
{
    print_error("not well-formed: %s at byte %td: %.60s\n", what, at - text, at);
    return 0;
}

/* &lt; and the like at s: its length, or 0. */
static size_t entity(const char *s)
{
    size_t n = 1;
    while (isalnum((unsigned char)s[n]) || s[n] == '#') n++;
    return n > 1 && s[n] == ';' ? n + 1 : 0;
}

/* Past the attributes to '>' or '/'; NULL when they are malformed. */
static const char *attributes(const char *s)
{
    char seen[16][32];
    int n = 0;
    for (;;) {
        s += strspn(s, " \n");
        if (*s == '>' || *s == '/') return s;
        size_t length = strcspn(s, "=\"'<> \n/");
        if (length == 0 || length >= sizeof seen[0] || n == 16) return NULL;
        snprintf(seen[n], sizeof seen[n], "%.*s", (int)length, s);
        for (int i = 0; i < n; i++)
            if (strcmp(seen[i], seen[n]) == 0) return NULL;
        n++;
        s += length;
        if (s[0] != '=' || s[1] != '"') return NULL;
        for (s += 2; *s != '"'; s++) {
            if (!*s || *s == '<') return NULL;
            if (*s == '&' && !entity(s)) return NULL;
        }
        s++;
    }
}

int well_formed(const char *text)
{
    char open[64][16];
    int depth = 0;
    const char *s = text;
    if (strncmp(s, "<!DOCTYPE html>", 15) == 0) s += 15;
    while (*s) {
        if ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') return wrong(text, s, "a control character");
        if (*s == '&') {
            if (!entity(s)) return wrong(text, s, "a bare &");
            s += entity(s);
        } else if (*s == '>') {
            return wrong(text, s, "a bare >");
        } else if (*s != '<') {
            s++;
        } else if (s[1] == '/') {
            size_t n = strcspn(s + 2, ">");
            if (depth == 0 || strlen(open[depth - 1]) != n || strncmp(open[depth - 1], s + 2, n) != 0)
                return wrong(text, s, "an end tag without its start");
            depth--;
            s += n + 3;
        } else {
            size_t n = strcspn(s + 1, " \n/>");
            if (n == 0 || n >= sizeof open[0] || depth == 64) return wrong(text, s, "a tag's name");
            snprintf(open[depth], sizeof open[depth], "%.*s", (int)n, s + 1);
            const char *end = attributes(s + 1 + n);
            if (!end) return wrong(text, s, "attributes");
            bool empty = *end == '/';
            bool raw = strcmp(open[depth], "script") == 0 || strcmp(open[depth], "style") == 0;
            s = end + (empty ? 2 : 1);
            if (!empty) depth++;
            if (raw && !empty) {
                s = strstr(s, "</");
                if (!s) return wrong(text, end, "a script without end");
            }
        }
    }
    return depth == 0 ? 1 : wrong(text, s, "an element without end");
}
