#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "plot/buffer.h"

static char *reserve(att_buffer *b, size_t more)
{
    size_t need;
    if (b->status != ATT_OK) return NULL;
    if (!att_add_size(b->bytes, more, &need) || need > SIZE_MAX / 4) {
        b->status = att_fail(ATT_E_MEMORY, "out of memory: a text of %zu bytes and %zu more", b->bytes, more);
        return NULL;
    }
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 256;
        while (capacity < need) capacity *= 2;
        void *block = b->data;
        b->status = att_realloc(NULL, &block, b->capacity, capacity);
        if (b->status != ATT_OK) return NULL;
        b->data = block;
        b->capacity = capacity;
    }
    return b->data + b->bytes;
}

void att_buffer_add(att_buffer *b, const void *data, size_t bytes)
{
    char *to = bytes ? reserve(b, bytes) : NULL;
    if (!to) return;
    memcpy(to, data, bytes);
    b->bytes += bytes;
}

void att_buffer_text(att_buffer *b, const char *s)
{
    att_buffer_add(b, s, strlen(s));
}

void att_buffer_format(att_buffer *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *to = n > 0 ? reserve(b, (size_t)n + 1) : NULL;
    if (!to) return;
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->bytes += (size_t)n;
}

void att_print_number(char *out, size_t bytes, double x, int digits)
{
    snprintf(out, bytes, "%.*g", digits, x == 0 ? 0.0 : x);
    for (char *c = out; *c; c++)
        if (!strchr("+-0123456789.aefin", *c)) *c = '.';
}

void att_buffer_number(att_buffer *b, double x, int digits)
{
    char text[64];
    att_print_number(text, sizeof text, x, digits);
    att_buffer_text(b, text);
}

void att_buffer_xml(att_buffer *b, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<': att_buffer_text(b, "&lt;"); break;
        case '>': att_buffer_text(b, "&gt;"); break;
        case '&': att_buffer_text(b, "&amp;"); break;
        case '"': att_buffer_text(b, "&quot;"); break;
        case '\'': att_buffer_text(b, "&#39;"); break;
        default: att_buffer_add(b, s, 1);
        }
    }
}

void att_buffer_json(att_buffer *b, const char *s)
{
    att_buffer_text(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            att_buffer_format(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&')
            att_buffer_format(b, "\\u%04x", c);
        else
            att_buffer_add(b, s, 1);
    }
    att_buffer_text(b, "\"");
}

att_status att_file_create(const char *path, FILE **out)
{
    *out = fopen(path, "wb");
    ATT_REQUIRE(*out, ATT_E_IO, "%s: cannot be written: %s", path, strerror(errno));
    return ATT_OK;
}

att_status att_file_close(FILE *f, const char *path, att_status so_far)
{
    errno = 0;
    bool broken = ferror(f) != 0;
    broken |= fclose(f) != 0;
    if (broken && (so_far == ATT_OK || so_far == ATT_E_IO))
        so_far = att_fail(ATT_E_IO, "%s: writing failed: %s", path, errno ? strerror(errno) : "the data was not taken");
    struct stat info;
    if (so_far != ATT_OK && stat(path, &info) == 0 && S_ISREG(info.st_mode)) remove(path);
    return so_far;
}

att_status att_buffer_save(const att_buffer *b, const char *path)
{
    FILE *f;
    if (b->status != ATT_OK) return b->status;
    ATT_TRY(att_file_create(path, &f));
    fwrite(b->data, 1, b->bytes, f);
    return att_file_close(f, path, ATT_OK);
}

void att_buffer_free(att_buffer *b)
{
    att_free(NULL, b->data, b->capacity);
    *b = (att_buffer){0};
}
