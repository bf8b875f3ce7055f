#include "file/builder.h"

#include <stdio.h>
#include <string.h>

#include <attend/option.h>

#define FIRST_BYTES ((size_t)256)

static bool make_room(att_builder *t, size_t more)
{
    size_t need;
    if (t->failed) return false;
    if (!att_add_size(t->bytes + 1, more, &need)) return !(t->failed = true);
    if (need <= t->room) return true;
    size_t room = need > FIRST_BYTES / 2 ? need * 2 : FIRST_BYTES;
    void *data = t->data;
    if (att_realloc(NULL, &data, t->room, room) != ATT_OK) return !(t->failed = true);
    t->data = data;
    t->room = room;
    return true;
}

void att_builder_append(att_builder *t, const char *s, size_t n)
{
    if (!make_room(t, n)) return;
    memcpy(t->data + t->bytes, s, n);
    t->bytes += n;
    t->data[t->bytes] = '\0';
}

void att_builder_format(att_builder *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && make_room(t, (size_t)n)) {
        vsnprintf(t->data + t->bytes, (size_t)n + 1, fmt, again);
        t->bytes += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

att_status att_builder_take(att_builder *t, char **out)
{
    *out = NULL;
    att_builder_append(t, "", 0);
    if (t->failed) {
        att_builder_free(t);
        return att_fail(ATT_E_MEMORY, "out of memory: building a text");
    }
    *out = t->data;
    *t = (att_builder){0};
    return ATT_OK;
}

void att_builder_free(att_builder *t)
{
    att_free(NULL, t->data, t->room);
    *t = (att_builder){0};
}

void att_string_free(char *text)
{
    if (text) att_free(NULL, text, strlen(text) + 1);
}
