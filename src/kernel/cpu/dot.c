/* e[i,j] = scale q_i . k_j on tiles, and no score at all. */
#include "kernel/cpu/tile.h"

static int64_t no_scratch(const att_attention_problem *p)
{
    (void)p;
    return 0;
}

static void nothing(const att_score_tile *t)
{
    (void)t;
}

static void nothing_to_end(const att_score_tile *t, float *dscore_w)
{
    (void)t;
    (void)dscore_w;
}

static void dot_forward(const att_score_tile *t, float *s)
{
    const att_attention_problem *p = t->p;
    tile_dots(s, (float)p->scale, row_at(&p->q, t->b, t->h, t->i), p->q.t, t->n, row_at(&p->k, t->b, t->hkv, t->j),
              p->k.t, t->m, p->D);
}

/* dq_i += scale sum_j ds_ij k_j,   dk_j += scale sum_i ds_ij q_i. */
static void dot_backward(const att_score_tile *t, const float *ds)
{
    const att_attention_problem *p = t->p;
    float scale = (float)p->scale;
    if (p->dq.data)
        tile_mix(row_at(&p->dq, t->b, t->h, t->i), p->dq.t, t->n, ds, ATT_KEY_BLOCK, 1, scale,
                 row_at(&p->k, t->b, t->hkv, t->j), p->k.t, t->m, p->D);
    if (p->dk.data)
        tile_mix(row_at(&p->dk, t->b, t->hkv, t->j), p->dk.t, t->m, ds, 1, ATT_KEY_BLOCK, scale,
                 row_at(&p->q, t->b, t->h, t->i), p->q.t, t->n, p->D);
}

static void none_forward(const att_score_tile *t, float *s)
{
    for (int64_t r = 0; r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++) s[r * ATT_KEY_BLOCK + c] = 0;
}

static void none_backward(const att_score_tile *t, const float *ds)
{
    (void)t;
    (void)ds;
}

void ATT_VARIANT(att_register_dot)(att_attention_kernels *t);
void ATT_VARIANT(att_register_dot)(att_attention_kernels *t)
{
    t->score[ATT_SCORE_DOT] = (att_score_kernels){no_scratch,   nothing, nothing, nothing,       dot_forward,
                                                  dot_backward, nothing, nothing, nothing_to_end};
    t->score[ATT_SCORE_NONE] = (att_score_kernels){no_scratch,    nothing, nothing, nothing,       none_forward,
                                                   none_backward, nothing, nothing, nothing_to_end};
}
