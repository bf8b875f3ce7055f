#include "task/entries.h"

#include "text/table.h"

#define ROW_COLUMNS 5

enum { COLUMN_WORD, COLUMN_PART, COLUMN_SENSE, COLUMN_DEFINITION, COLUMN_EXAMPLES };
enum { STREAM_ENTRIES = 0x656e7472 };

typedef struct reader {
    const char *path;
    att_buffer lines; /* of the entries, in the order of the rows */
    att_intern words;
    int64_t entries;
} reader;

static int64_t cut(att_text line, att_text *column, int64_t most)
{
    int64_t n = 0;
    for (const char *at = line.data, *end = line.data + line.bytes, *stop; n < most; at = stop + 1) {
        stop = memchr(at, '\t', (size_t)(end - at));
        if (!stop) stop = end;
        column[n++] = (att_text){at, (size_t)(stop - at)};
        if (stop == end) break;
    }
    return n;
}

static bool is_part(att_text t)
{
    return t.bytes == 1 && *t.data && strchr(ATT_ENTRY_PARTS, *t.data);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Words to learn from: one, without capitals, digits and marks. */
static bool is_plain(att_text word)
{
    for (size_t i = 0; i < word.bytes; i++)
        if (word.data[i] < 'a' || word.data[i] > 'z') return false;
    return word.bytes >= 3;
}

/* Where the word begins a word of the example, or NULL. */
static const char *find_word(att_text example, att_text word)
{
    for (size_t i = 0; i + word.bytes <= example.bytes; i++)
        if ((i == 0 || !is_letter(example.data[i - 1])) && memcmp(example.data + i, word.data, word.bytes) == 0)
            return example.data + i;
    return NULL;
}

/* Bytes of the first of the examples. */
static size_t first_example(att_text examples)
{
    for (size_t i = 0; i + 3 <= examples.bytes; i++)
        if (memcmp(examples.data + i, " | ", 3) == 0) return i;
    return examples.bytes;
}

static att_status append_example(att_buffer *out, att_text examples, att_text word)
{
    static const char dash = ATT_ENTRY_DASH;
    while (examples.bytes > 0) {
        att_text one = {examples.data, first_example(examples)};
        const char *at = memchr(one.data, dash, one.bytes) ? NULL : find_word(one, word);
        if (at) {
            const char *rest = at + word.bytes;
            ATT_TRY(att_buffer_append(out, one.data, (size_t)(at - one.data)));
            ATT_TRY(att_buffer_append(out, &dash, 1));
            return att_buffer_append(out, rest, (size_t)(one.data + one.bytes - rest));
        }
        size_t used = one.bytes + 3 < examples.bytes ? one.bytes + 3 : examples.bytes;
        examples = (att_text){examples.data + used, examples.bytes - used};
    }
    return ATT_OK;
}

static att_status append_entry(reader *r, const att_text *column)
{
    const att_text *word = &column[COLUMN_WORD];
    ATT_TRY(att_buffer_append(&r->lines, word->data, word->bytes));
    ATT_TRY(att_buffer_append(&r->lines, "\t", 1));
    ATT_TRY(att_buffer_append(&r->lines, column[COLUMN_PART].data, 1));
    ATT_TRY(att_buffer_append(&r->lines, "\t", 1));
    ATT_TRY(att_buffer_append(&r->lines, column[COLUMN_DEFINITION].data, column[COLUMN_DEFINITION].bytes));
    ATT_TRY(att_buffer_append(&r->lines, "\t", 1));
    ATT_TRY(append_example(&r->lines, column[COLUMN_EXAMPLES], *word));
    r->entries++;
    return att_buffer_append(&r->lines, "\n", 1);
}

static att_status take_row(reader *r, att_text row, int64_t number)
{
    att_text column[ROW_COLUMNS];
    int32_t index;
    int64_t n = cut(row, column, ROW_COLUMNS);
    ATT_REQUIRE(n == ROW_COLUMNS, ATT_E_FORMAT,
                "%s:%lld: %lld columns, expected at least %d separated by tabs: word, part of speech, sense, "
                "definition, examples",
                r->path, (long long)number, (long long)n, ROW_COLUMNS);
    ATT_REQUIRE(!memchr(row.data, '\0', row.bytes), ATT_E_FORMAT, "%s:%lld: a NUL", r->path, (long long)number);
    ATT_REQUIRE(column[COLUMN_WORD].bytes > 0, ATT_E_FORMAT, "%s:%lld: the word (column 1) is empty", r->path,
                (long long)number);
    ATT_REQUIRE(is_part(column[COLUMN_PART]), ATT_E_FORMAT,
                "%s:%lld: the part of speech (column 2) is \"%.*s\", expected n, v, a or r", r->path, (long long)number,
                (int)(column[COLUMN_PART].bytes % 32), column[COLUMN_PART].data);
    ATT_REQUIRE(column[COLUMN_DEFINITION].bytes > 0, ATT_E_FORMAT, "%s:%lld: the definition (column 4) is empty",
                r->path, (long long)number);
    ATT_TRY(att_intern_add(&r->words, column[COLUMN_WORD].data, column[COLUMN_WORD].bytes, &index));
    return is_plain(column[COLUMN_WORD]) ? append_entry(r, column) : ATT_OK;
}

static att_status take_rows(reader *r, const att_buffer *rows)
{
    int64_t number = 1;
    for (size_t at = 0; at < rows->bytes; number++) {
        const char *lf = memchr(rows->data + at, '\n', rows->bytes - at);
        size_t end = lf ? (size_t)(lf - rows->data) : rows->bytes, stop = end;
        while (stop > at && rows->data[stop - 1] == '\r') stop--;
        if (stop > at) ATT_TRY(take_row(r, (att_text){rows->data + at, stop - at}, number));
        at = end + 1;
    }
    ATT_REQUIRE(r->entries > 0, ATT_E_FORMAT, "%s: no row with a word of three or more letters a-z", r->path);
    return ATT_OK;
}

/* The lines in random order. start (entries) and order (entries) are scratch. */
static att_status append_shuffled(const reader *r, att_buffer *out, int64_t *start, int64_t *order)
{
    att_random random = {.seed = 0, .stream = STREAM_ENTRIES};
    const char *end = r->lines.data + r->lines.bytes;
    int64_t n = 0;
    for (const char *at = r->lines.data; at < end; at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1)
        start[n++] = at - r->lines.data;
    att_random_shuffle(&random, order, n);
    for (int64_t i = 0; i < n; i++) {
        const char *line = r->lines.data + start[order[i]];
        size_t bytes = (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) - line) + 1;
        ATT_TRY(att_buffer_append(out, line, bytes));
    }
    return ATT_OK;
}

static att_status shuffle(const reader *r, att_buffer *out)
{
    void *block;
    size_t n = 2 * (size_t)r->entries;
    ATT_TRY(att_new_array(NULL, n, sizeof(int64_t), &block));
    att_status status = append_shuffled(r, out, block, (int64_t *)block + r->entries);
    att_free(NULL, block, n * sizeof(int64_t));
    return status;
}

att_status att_entries_from_rows(const char *path, const att_buffer *rows, att_buffer *out, att_words **words)
{
    reader r = {.path = path};
    *words = NULL;
    att_intern_init(&r.words, NULL);
    att_status status = take_rows(&r, rows);
    if (status == ATT_OK) status = shuffle(&r, out);
    if (status == ATT_OK) status = att_words_create(r.words.count, NULL, words);
    for (int64_t i = 0; status == ATT_OK && i < r.words.count; i++) att_words_add(*words, att_intern_get(&r.words, i));
    att_intern_release(&r.words);
    att_buffer_release(&r.lines);
    return status;
}

/* ---- back ---- */

static bool has_letter(att_text t)
{
    for (size_t i = 0; i < t.bytes; i++)
        if (is_letter(t.data[i]) || (t.data[i] & 0x80)) return true;
    return false;
}

static bool is_trimmed(att_text t)
{
    return t.bytes > 0 && t.data[0] != ' ' && t.data[t.bytes - 1] != ' ';
}

bool att_entry_cut(const char *line, att_text field[ATT_ENTRY_FIELDS])
{
    att_text all[ATT_ENTRY_FIELDS + 1];
    int64_t n = cut((att_text){line, strlen(line)}, all, ATT_ENTRY_FIELDS + 1);
    for (int64_t i = 0; i < ATT_ENTRY_FIELDS; i++) field[i] = i < n ? all[i] : (att_text){"", 0};
    att_text word = field[ATT_ENTRY_WORD], example = field[ATT_ENTRY_EXAMPLE];
    bool shown = example.bytes == 0 || memchr(example.data, ATT_ENTRY_DASH, example.bytes);
    return n == ATT_ENTRY_FIELDS && is_trimmed(word) && has_letter(word) && is_part(field[ATT_ENTRY_PART]) &&
           is_trimmed(field[ATT_ENTRY_DEFINITION]) && has_letter(field[ATT_ENTRY_DEFINITION]) && shown;
}
