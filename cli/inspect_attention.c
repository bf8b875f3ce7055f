/* attend inspect, of attention files. */
#include "inspect.h"

#include <attend/plot.h>

#define KINDS 3

typedef struct tally {
    int64_t records, layers, heads, rows, cols; /* the largest of each size */
} tally;

static void note(int64_t *most, int64_t n)
{
    if (n > *most) *most = n;
}

static att_status count(att_attention_reader *reader, tally of[KINDS])
{
    const att_attention_record *r;
    for (;;) {
        att_status st = att_attention_reader_next(reader, &r);
        if (st != ATT_OK || !r) return st;
        tally *t = &of[r->kind];
        t->records++;
        note(&t->layers, r->layers);
        note(&t->heads, r->heads);
        note(&t->rows, r->rows);
        note(&t->cols, r->cols);
    }
}

/* A sentence has at most one record of each kind. */
static int64_t sentences(const tally of[KINDS])
{
    int64_t n = 0;
    for (int k = 0; k < KINDS; k++) note(&n, of[k].records);
    return n;
}

static int print(const char *path, const tally of[KINDS])
{
    printf("%s: attention of %lld sentences\n", path, (long long)sentences(of));
    for (int k = 0; k < KINDS; k++)
        if (of[k].records > 0)
            printf("  %-8s %lld records, up to %lld layers x %lld heads x %lld rows x %lld columns\n",
                   att_attention_kind_name((att_attention_kind)k), (long long)of[k].records, (long long)of[k].layers,
                   (long long)of[k].heads, (long long)of[k].rows, (long long)of[k].cols);
    return CLI_DONE;
}

static int print_json(const char *path, const tally of[KINDS])
{
    json_t *kinds = json_object();
    for (int k = 0; k < KINDS; k++)
        if (of[k].records > 0)
            json_object_set_new(kinds, att_attention_kind_name((att_attention_kind)k),
                                json_pack("{s:I, s:I, s:I, s:I, s:I}", "records", (json_int_t)of[k].records, "layers",
                                          (json_int_t)of[k].layers, "heads", (json_int_t)of[k].heads, "rows",
                                          (json_int_t)of[k].rows, "columns", (json_int_t)of[k].cols));
    return cli_print_json(json_pack("{s:s, s:s, s:I, s:o}", "file", path, "kind", "attention", "sentences",
                                    (json_int_t)sentences(of), "kinds", kinds));
}

int inspect_attention(const char *path)
{
    tally of[KINDS] = {{0}};
    att_attention_reader *reader;
    att_status st = att_attention_reader_open(path, NULL, &reader);
    if (st != ATT_OK) return cli_fail(st);
    st = count(reader, of);
    att_attention_reader_destroy(reader);
    if (st != ATT_OK) return cli_fail(st);
    return cli.json ? print_json(path, of) : print(path, of);
}
