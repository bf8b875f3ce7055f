#include <attend/text.h>

#include "text/file.h"

struct att_corpus {
    const att_allocator *allocator;
    att_buffer content[2]; /* what source and target point into */
    att_text *source, *target;
    size_t source_capacity, target_capacity;
    int64_t count;
    bool pairs;
};

/* Lines of a file, one after the other. */
typedef struct reader {
    const char *path;
    const char *at, *end;
    int64_t line; /* number of the latest, from 1 */
} reader;

static void open_lines(reader *r, const char *path, const att_buffer *content)
{
    *r = (reader){.path = path, .at = content->data, .end = content->data + content->bytes};
    if (content->bytes >= 3 && memcmp(r->at, "\xEF\xBB\xBF", 3) == 0) r->at += 3;
}

static bool next_line(reader *r, att_text *line)
{
    if (r->at == r->end) return false;
    const char *lf = memchr(r->at, '\n', (size_t)(r->end - r->at)), *stop = lf ? lf : r->end;
    *line = (att_text){r->at, (size_t)(stop - r->at)};
    if (lf && line->bytes > 0 && line->data[line->bytes - 1] == '\r') line->bytes--;
    r->at = lf ? lf + 1 : r->end;
    r->line++;
    return true;
}

static att_status check_line(const reader *r, att_text line)
{
    size_t bad;
    if (att_utf8_check(line.data, line.bytes, &bad) != ATT_OK)
        return att_fail(ATT_E_FORMAT, "%s:%lld: invalid UTF-8 at byte %zu of the line: 0x%02x", r->path,
                        (long long)r->line, bad + 1, (unsigned char)line.data[bad]);
    const char *nul = memchr(line.data, '\0', line.bytes);
    ATT_REQUIRE(!nul, ATT_E_FORMAT, "%s:%lld: a NUL at byte %zu of the line", r->path, (long long)r->line,
                (size_t)(nul - line.data) + 1);
    return ATT_OK;
}

static bool is_empty(att_text s)
{
    for (size_t i = 0; i < s.bytes; i++)
        if (!strchr(" \t\r\f\v", s.data[i])) return false;
    return true;
}

static att_status add(const att_allocator *a, att_text **list, size_t *capacity, int64_t at, att_text s)
{
    void *block = *list;
    ATT_TRY(att_grow(a, &block, capacity, (size_t)at + 1, sizeof **list));
    *list = block;
    (*list)[at] = s;
    return ATT_OK;
}

/* Column number `column` of the line; false when it has fewer. */
static bool column_of(att_text line, int column, att_text *out)
{
    const char *at = line.data, *end = line.data + line.bytes;
    for (int passed = 0;; passed++) {
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        if (passed == column) {
            *out = (att_text){at, (size_t)((tab ? tab : end) - at)};
            return true;
        }
        if (!tab) return false;
        at = tab + 1;
    }
}

static att_status too_few_columns(const reader *r, att_text line, int expected)
{
    int columns = 1;
    for (size_t i = 0; i < line.bytes; i++) columns += line.data[i] == '\t';
    return att_fail(ATT_E_FORMAT, "%s:%lld: %d column%s, expected at least %d separated by tabs", r->path,
                    (long long)r->line, columns, columns == 1 ? "" : "s", expected);
}

static att_status add_columns(att_corpus *c, const reader *r, att_text line, int source_column, int target_column)
{
    att_text source, target = {0};
    int last = source_column > target_column ? source_column : target_column;
    if (!column_of(line, source_column, &source) || (c->pairs && !column_of(line, target_column, &target)))
        return too_few_columns(r, line, last + 1);
    ATT_REQUIRE(!is_empty(source), ATT_E_FORMAT, "%s:%lld: the source (column %d) is empty", r->path,
                (long long)r->line, source_column + 1);
    ATT_REQUIRE(!c->pairs || !is_empty(target), ATT_E_FORMAT, "%s:%lld: the target (column %d) is empty", r->path,
                (long long)r->line, target_column + 1);
    ATT_TRY(add(c->allocator, &c->source, &c->source_capacity, c->count, source));
    return c->pairs ? add(c->allocator, &c->target, &c->target_capacity, c->count, target) : ATT_OK;
}

static att_status fill_tsv(att_corpus *c, const char *path, int source_column, int target_column)
{
    att_text line;
    reader r;
    ATT_TRY(att_file_read(path, &c->content[0]));
    for (open_lines(&r, path, &c->content[0]); next_line(&r, &line); c->count++) {
        ATT_TRY(check_line(&r, line));
        ATT_TRY(add_columns(c, &r, line, source_column, target_column));
    }
    ATT_REQUIRE(c->count > 0, ATT_E_FORMAT, "%s: no lines, expected at least 1", path);
    return ATT_OK;
}

static att_status fill_side(att_corpus *c, const char *path, att_buffer *content, const char *what, att_text **list,
                            size_t *capacity, int64_t *count)
{
    att_text line;
    reader r;
    ATT_TRY(att_file_read(path, content));
    for (open_lines(&r, path, content); next_line(&r, &line); ++*count) {
        ATT_TRY(check_line(&r, line));
        ATT_REQUIRE(!is_empty(line), ATT_E_FORMAT, "%s:%lld: the %s is empty", path, (long long)r.line, what);
        ATT_TRY(add(c->allocator, list, capacity, *count, line));
    }
    ATT_REQUIRE(*count > 0, ATT_E_FORMAT, "%s: no lines, expected at least 1", path);
    return ATT_OK;
}

static att_status fill_pair(att_corpus *c, const char *source_path, const char *target_path)
{
    int64_t targets = 0;
    ATT_TRY(fill_side(c, source_path, &c->content[0], "source", &c->source, &c->source_capacity, &c->count));
    if (!c->pairs) return ATT_OK;
    ATT_TRY(fill_side(c, target_path, &c->content[1], "target", &c->target, &c->target_capacity, &targets));
    ATT_REQUIRE(targets == c->count, ATT_E_FORMAT, "%s has %lld lines and %s has %lld, expected as many", source_path,
                (long long)c->count, target_path, (long long)targets);
    return ATT_OK;
}

static att_status create(const att_allocator *allocator, bool pairs, att_corpus **out)
{
    void *block;
    ATT_TRY(att_alloc_zero(allocator, sizeof(att_corpus), &block));
    *out = block;
    **out = (att_corpus){.allocator = allocator, .pairs = pairs};
    (*out)->content[0].allocator = (*out)->content[1].allocator = allocator;
    return ATT_OK;
}

static att_status finish(att_corpus *c, att_status status, att_corpus **out)
{
    if (status == ATT_OK)
        *out = c;
    else
        att_corpus_destroy(c);
    return status;
}

att_status att_corpus_read_tsv(const char *path, int source_column, int target_column, const att_allocator *allocator,
                               att_corpus **out)
{
    *out = NULL;
    ATT_REQUIRE(source_column >= 0 && source_column < INT16_MAX, ATT_E_VALUE, "source_column is %d, expected 0 to %d",
                source_column, INT16_MAX - 1);
    ATT_REQUIRE(target_column >= -1 && target_column < INT16_MAX, ATT_E_VALUE,
                "target_column is %d, expected -1 (none) to %d", target_column, INT16_MAX - 1);
    att_corpus *c;
    ATT_TRY(create(allocator, target_column >= 0, &c));
    return finish(c, fill_tsv(c, path, source_column, target_column), out);
}

att_status att_corpus_read_pair(const char *source_path, const char *target_path, const att_allocator *allocator,
                                att_corpus **out)
{
    *out = NULL;
    att_corpus *c;
    ATT_TRY(create(allocator, target_path != NULL, &c));
    return finish(c, fill_pair(c, source_path, target_path), out);
}

void att_corpus_destroy(att_corpus *c)
{
    if (!c) return;
    att_free(c->allocator, c->source, c->source_capacity * sizeof *c->source);
    att_free(c->allocator, c->target, c->target_capacity * sizeof *c->target);
    att_buffer_release(&c->content[0]);
    att_buffer_release(&c->content[1]);
    att_free(c->allocator, c, sizeof *c);
}

int64_t att_corpus_count(const att_corpus *c)
{
    return c->count;
}

const att_text *att_corpus_source(const att_corpus *c)
{
    return c->source;
}

const att_text *att_corpus_target(const att_corpus *c)
{
    return c->target;
}
