#include <stdio.h>
#include <string.h>

#include <attend/file.h>

#include "plot/draft.h"

static char *reserve(att_draft *b, size_t more)
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

void att_draft_add(att_draft *b, const void *data, size_t bytes)
{
    char *to = bytes ? reserve(b, bytes) : NULL;
    if (!to) return;
    memcpy(to, data, bytes);
    b->bytes += bytes;
}

void att_draft_text(att_draft *b, const char *s)
{
    att_draft_add(b, s, strlen(s));
}

void att_draft_format(att_draft *b, const char *fmt, ...)
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

void att_draft_number(att_draft *b, double x, int digits)
{
    char text[64];
    att_print_number(text, sizeof text, x, digits);
    att_draft_text(b, text);
}

void att_draft_xml(att_draft *b, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<': att_draft_text(b, "&lt;"); break;
        case '>': att_draft_text(b, "&gt;"); break;
        case '&': att_draft_text(b, "&amp;"); break;
        case '"': att_draft_text(b, "&quot;"); break;
        case '\'': att_draft_text(b, "&#39;"); break;
        default: att_draft_add(b, s, 1);
        }
    }
}

void att_draft_json(att_draft *b, const char *s)
{
    att_draft_text(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            att_draft_format(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&')
            att_draft_format(b, "\\u%04x", c);
        else
            att_draft_add(b, s, 1);
    }
    att_draft_text(b, "\"");
}

att_status att_draft_save(const att_draft *b, const char *path)
{
    return b->status == ATT_OK ? att_file_write_text(path, b->data, b->bytes) : b->status;
}

void att_draft_free(att_draft *b)
{
    att_free(NULL, b->data, b->capacity);
    *b = (att_draft){0};
}
