#include "task/steps.h"

#include "harness.h"

double steps_log_softmax(const float *x, int64_t n, int64_t i)
{
    double sum = 0;
    for (int64_t v = 0; v < n; v++) sum += exp((double)x[v]);
    return (double)x[i] - log(sum);
}

bool steps_may_come(int64_t token)
{
    return token != ATT_TOKEN_PAD && token != ATT_TOKEN_BOS;
}

void steps_encode(const att_translator *t, const char *text, att_seq2seq_memory *memory, att_seq2seq_state *s)
{
    static int32_t ids[64], length;
    int64_t n;
    assert_ok(att_tokenizer_encode(t->source, text, strlen(text), ids, 63, &n));
    ids[n++] = ATT_TOKEN_EOS;
    length = (int32_t)n;
    att_view source = att_view_2d(ids, ATT_I32, n, 1), lengths = att_view_1d(&length, ATT_I32, 1);
    att_seq2seq_encode(t->encoder, t->model.recurrent, &source, &lengths, 0, memory, s);
    assert_ok(att_tape_status(t->encoder));
}

const float *steps_next(const att_translator *t, const att_seq2seq_memory *memory, int32_t word, att_seq2seq_state *s)
{
    static int32_t id;
    id = word;
    att_view ids = att_view_1d(&id, ATT_I32, 1);
    att_node *y = att_seq2seq_step(t->encoder, t->model.recurrent, memory, &ids, s, NULL);
    assert_ok(att_tape_status(t->encoder));
    return att_node_value(y)->data;
}
