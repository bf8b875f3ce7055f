#include "task/coded.h"

#include <stdio.h>
#include <stdlib.h>

static att_status check_model(const att_model *m)
{
    ATT_REQUIRE(att_transformer_configuration(m->network)->shape != ATT_TRANSFORMER_DECODER, ATT_E_UNSUPPORTED,
                "the model is a decoder alone, expected one with an encoder: its states know what comes later");
    ATT_REQUIRE(m->source, ATT_E_UNSUPPORTED,
                "the model has no tokeniser, which text needs; convert a folder that has one");
    return ATT_OK;
}

static att_status encode(const att_model *m, const att_text *line, int32_t *ids, int64_t room, int64_t *n)
{
    if (att_transformer_configuration(m->network)->shape == ATT_TRANSFORMER_ENCODER)
        return att_tokenizer_encode_pair(m->source, line, NULL, m->most, ids, NULL, room, n);
    ATT_TRY(att_tokenizer_encode(m->source, line->data, line->bytes, ids, room - 1, n));
    *n = att_min64(*n, m->most - 1);
    ids[(*n)++] = att_tokenizer_role(m->source, ATT_ROLE_EOS);
    return ATT_OK;
}

static att_status code_line(const att_model *m, const att_text *line, att_coded *out)
{
    int64_t room = att_min64((int64_t)(line->bytes < INT32_MAX ? line->bytes : INT32_MAX - 16) + 16, m->most + 16);
    for (;;) {
        void *block;
        ATT_TRY(att_new_array(NULL, (size_t)room, sizeof(int32_t), &block));
        att_status status = encode(m, line, block, room, &out->n);
        if (status == ATT_OK) {
            out->ids = block;
            return ATT_OK;
        }
        att_free(NULL, block, 0);
        if (status != ATT_E_SHAPE) return status;
        room = out->n + 2;
    }
}

static int by_length(const void *pa, const void *pb)
{
    const att_coded *a = pa, *b = pb;
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Puts the number of the line in front of the message. */
static att_status in_line(att_status status, int64_t line)
{
    char reason[384];
    snprintf(reason, sizeof reason, "%s", att_last_error());
    return att_fail(status, "line %lld: %s", (long long)line + 1, reason);
}

void att_coded_sort(att_coded *list, int64_t n)
{
    qsort(list, (size_t)n, sizeof *list, by_length);
}

void att_coded_destroy(att_coded *list, int64_t n)
{
    for (int64_t i = 0; list && i < n; i++) att_free(NULL, list[i].ids, 0);
    att_free(NULL, list, 0);
}

att_status att_coded_create(const att_model *m, const att_text *lines, int64_t n, att_coded **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(check_model(m));
    ATT_TRY(att_new_array(NULL, (size_t)n + 1, sizeof **out, &block));
    att_coded *list = block;
    for (int64_t i = 0; i < n; i++) {
        list[i].line = i;
        att_status status = code_line(m, &lines[i], &list[i]);
        if (status == ATT_OK) continue;
        att_coded_destroy(list, i);
        return in_line(status, i);
    }
    *out = list;
    return ATT_OK;
}

att_node *att_coded_states(const att_model *m, att_tape *tape, const att_coded *batch, int64_t B, uint64_t seed)
{
    int64_t T = 0;
    for (int64_t b = 0; b < B; b++) T = att_max64(T, batch[b].n);
    int32_t *ids = att_tape_alloc(tape, (size_t)(B * T) * sizeof *ids);
    int32_t *lengths = att_tape_alloc(tape, (size_t)B * sizeof *lengths);
    if (!ids || !lengths) return NULL;
    for (int64_t b = 0; b < B; b++) {
        lengths[b] = (int32_t)batch[b].n;
        for (int64_t i = 0; i < T; i++) ids[b * T + i] = i < batch[b].n ? batch[b].ids[i] : 0;
    }
    att_view id_view = att_view_2d(ids, ATT_I32, B, T), length_view = att_view_1d(lengths, ATT_I32, B);
    return att_transformer_encode(tape, m->network, &id_view, &length_view, NULL, seed, NULL);
}
