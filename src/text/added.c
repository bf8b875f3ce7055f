#include "text/added.h"
#include "text/unicode.h"
#include "text/utf8.h"

void att_added_init(att_added *a, const att_allocator *allocator)
{
    *a = (att_added){0};
    att_intern_init(&a->content, allocator);
}

void att_added_release(att_added *a)
{
    const att_allocator *allocator = a->content.text.allocator;
    att_free(allocator, a->token, a->capacity * sizeof *a->token);
    att_intern_release(&a->content);
    att_added_init(a, allocator);
}

att_status att_added_add(att_added *a, const char *content, size_t bytes, att_added_token token)
{
    int32_t index;
    int64_t n = a->content.count;
    ATT_REQUIRE(bytes > 0 && bytes <= ATT_ADDED_BYTES, ATT_E_FORMAT,
                "tokenizer: added token %d has %zu bytes, expected 1 to %d", token.id, bytes, ATT_ADDED_BYTES);
    void *list = a->token;
    ATT_TRY(att_grow(a->content.text.allocator, &list, &a->capacity, (size_t)n + 1, sizeof *a->token));
    a->token = list;
    ATT_TRY(att_intern_add(&a->content, content, bytes, &index));
    ATT_REQUIRE(index == n, ATT_E_FORMAT, "tokenizer: added token %d repeats an earlier one", token.id);
    a->token[n] = token;
    a->longest = att_max64(a->longest, (int64_t)bytes);
    a->first[(unsigned char)content[0]] = true;
    a->later |= token.normalized;
    return ATT_OK;
}

int64_t att_added_find(const att_added *a, int32_t id)
{
    for (int64_t i = 0; i < a->content.count; i++)
        if (a->token[i].id == id) return i;
    return -1;
}

att_status att_part_add(const att_allocator *allocator, att_parts *parts, att_part part)
{
    void *list = parts->list;
    if (part.bytes == 0 && part.token < 0) return ATT_OK;
    ATT_TRY(att_grow(allocator, &list, &parts->capacity, parts->n + 1, sizeof *parts->list));
    parts->list = list;
    parts->list[parts->n++] = part;
    return ATT_OK;
}

/* The longest token that the text spells here, or -1. */
static int32_t longest_at(const att_added *a, const char *s, size_t left, bool normalized)
{
    size_t most = left < (size_t)a->longest ? left : (size_t)a->longest;
    if (!a->first[(unsigned char)s[0]]) return -1;
    for (size_t n = most; n > 0; n--) {
        int32_t i = att_intern_find(&a->content, s, n);
        if (i >= 0 && a->token[i].normalized == normalized) return i;
    }
    return -1;
}

static bool is_space(const uint8_t *sorts, const char *s)
{
    return att_sorts_of(sorts, att_utf8_get(s)) & ATT_CODE_SPACE;
}

/* Start of the white space that ends at `end`, not before `from`. */
static size_t space_before(const uint8_t *sorts, const char *text, size_t from, size_t end)
{
    while (end > from) {
        size_t i = end - 1;
        while (i > from && ((unsigned char)text[i] & 0xC0) == 0x80) i--;
        if (!is_space(sorts, text + i)) break;
        end = i;
    }
    return end;
}

static size_t space_behind(const uint8_t *sorts, const char *text, size_t at, size_t end)
{
    while (at < end && is_space(sorts, text + at)) at += att_utf8_length(text[at]);
    return at;
}

att_status att_added_cut(const att_added *a, const uint8_t *sorts, const char *text, size_t start, size_t bytes,
                         bool normalized, att_parts *parts)
{
    const att_allocator *allocator = a->content.text.allocator;
    size_t end = start + bytes, done = start;
    if (a->content.count == 0 || (normalized && !a->later))
        return att_part_add(allocator, parts, (att_part){start, bytes, -1});
    for (size_t i = start; i < end;) {
        int32_t found = longest_at(a, text + i, end - i, normalized);
        if (found < 0) {
            i++;
            continue;
        }
        const att_added_token *token = &a->token[found];
        size_t from = token->lstrip ? space_before(sorts, text, done, i) : i;
        i += att_intern_get(&a->content, found).bytes;
        if (token->rstrip) i = space_behind(sorts, text, i, end);
        ATT_TRY(att_part_add(allocator, parts, (att_part){done, from - done, -1}));
        ATT_TRY(att_part_add(allocator, parts, (att_part){from, i - from, token->id}));
        done = i;
    }
    return att_part_add(allocator, parts, (att_part){done, end - done, -1});
}
