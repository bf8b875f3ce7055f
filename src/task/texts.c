/* The texts of a language model's sets. */
#include <stdio.h>
#include <string.h>

#include "task/entries.h"
#include "task/language.h"
#include "text/file.h"

void att_texts_free(att_texts *t)
{
    att_free(NULL, t->text, (size_t)t->count * sizeof *t->text);
    att_free(NULL, t->content, t->content_bytes + 1);
    att_words_destroy(t->words);
    *t = (att_texts){0};
}

/* Calls `visit` for every line that is not empty; returns how many there are. */
static int64_t each_line(const char *content, size_t bytes, att_text *out)
{
    int64_t n = 0;
    for (size_t at = 0; at < bytes;) {
        const char *lf = memchr(content + at, '\n', bytes - at);
        size_t end = lf ? (size_t)(lf - content) : bytes, stop = end;
        while (stop > at && content[stop - 1] == '\r') stop--;
        if (stop > at) {
            if (out) out[n] = (att_text){content + at, stop - at};
            n++;
        }
        at = end + 1;
    }
    return n;
}

/* content[lo, hi) becomes the set. */
static att_status take(const att_recipe *recipe, const char *name, const char *content, size_t lo, size_t hi,
                       att_texts *out)
{
    void *block;
    size_t bad;
    *out = (att_texts){.bytes = hi - lo, .content_bytes = hi - lo};
    ATT_REQUIRE(hi > lo, ATT_E_VALUE, "%s: no text", name);
    ATT_REQUIRE(att_utf8_check(content + lo, hi - lo, &bad) == ATT_OK, ATT_E_FORMAT, "%s: invalid UTF-8 at byte %zu",
                name, lo + bad + 1);
    ATT_TRY(att_copy_string(NULL, content + lo, hi - lo, &out->content));
    bool lines = recipe->data.unit != ATT_UNIT_TEXT;
    int64_t n = lines ? each_line(out->content, hi - lo, NULL) : 1;
    att_status status = n > 0 ? att_new_array(NULL, (size_t)n, sizeof *out->text, &block)
                              : att_fail(ATT_E_VALUE, "%s: no line that is not empty", name);
    if (status != ATT_OK) {
        att_texts_free(out);
        return status;
    }
    out->text = block;
    out->count = n;
    if (lines)
        each_line(out->content, hi - lo, out->text);
    else
        out->text[0] = (att_text){out->content, hi - lo};
    return ATT_OK;
}

/* Where the last `share` of the content begins: behind an end of line, if there is one near. */
static size_t split_at(const char *content, size_t bytes, double share)
{
    size_t at = (size_t)((double)bytes * (1.0 - share));
    const char *lf = at < bytes ? memchr(content + at, '\n', bytes - at < 4096 ? bytes - at : 4096) : NULL;
    if (lf) return (size_t)(lf - content) + 1;
    while (at < bytes && ((unsigned char)content[at] & 0xC0) == 0x80) at++; /* not inside a character */
    return at;
}

static att_status read_part(const att_recipe *recipe, const char *path, double from, double to, att_texts *out)
{
    att_buffer content = {0}, rows = {0};
    att_words *words = NULL;
    bool entries = recipe->data.unit == ATT_UNIT_ENTRIES;
    att_status status = att_file_read(path, entries ? &rows : &content);
    if (status == ATT_OK && entries) status = att_entries_from_rows(path, &rows, &content, &words);
    att_buffer_release(&rows);
    if (status == ATT_OK) {
        size_t lo = from > 0 ? split_at(content.data, content.bytes, 1.0 - from) : 0;
        size_t hi = to < 1 ? split_at(content.data, content.bytes, 1.0 - to) : content.bytes;
        status = take(recipe, path, content.data, lo, hi, out);
    }
    if (status == ATT_OK)
        out->words = words;
    else
        att_words_destroy(words);
    att_buffer_release(&content);
    return status;
}

att_status att_texts_read(const att_recipe *recipe, const char *path, att_texts *out)
{
    *out = (att_texts){0};
    return read_part(recipe, path, 0, 1, out);
}

att_status att_texts_of_recipe(const att_recipe *recipe, const char *which, att_texts *out)
{
    char path[4096];
    bool train = strcmp(which, "train") == 0, test = strcmp(which, "test") == 0;
    const char *name = train ? recipe->data.train : test && *recipe->data.test ? recipe->data.test : recipe->data.valid;
    bool share = !*recipe->data.valid && (train || !*name);
    if (!*name) name = recipe->data.train;
    *out = (att_texts){0};
    ATT_REQUIRE(*name, ATT_E_VALUE, "data.train: not given, expected a file of text");
    const char *folder = *name == '/' ? "" : recipe->data.folder;
    int n = snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
    ATT_REQUIRE(n > 0 && (size_t)n < sizeof path, ATT_E_VALUE, "data: a file name is too long");
    double part = 1.0 - recipe->data.valid_share;
    ATT_REQUIRE(!share || train || part < 1, ATT_E_VALUE,
                "data.valid: not given and data.valid_share is 0, expected text to measure on");
    return read_part(recipe, path, share && !train ? part : 0, share && train ? part : 1, out);
}
