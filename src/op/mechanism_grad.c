/* Where the gradients of a named mechanism go: validated, and handed to the side they belong to. */
#include "op/mechanism.h"

/* A gradient beside its input: of the same type and shape, and only where there is one. */
typedef struct pair {
    const char *name;
    const att_view *d, *of;
} pair;

static att_status check_pairs(const pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!pairs[i].d->data) continue;
        ATT_REQUIRE(pairs[i].of->data, ATT_E_VALUE, "%s: given, expected none: its input is absent", pairs[i].name);
        ATT_TRY(att_require_like(pairs[i].name, pairs[i].d, pairs[i].of));
    }
    return ATT_OK;
}

static att_status check_all(const att_mechanism_call *m, const att_mechanism_grad *g)
{
    const att_mechanism_in *in = m->in;
    const pair pairs[] = {
        {"dq", &g->core.dq, &in->core.q},
        {"dk", &g->core.dk, &in->core.k},
        {"dv", &g->core.dv, &in->core.v},
        {"dscore_w", &g->core.dscore_w, &in->core.score_w},
        {"dcentre", &g->core.dcentre, &in->core.centre},
        {"dw_score", &g->dw_score, &in->w_score},
        {"dw_query", &g->dw_query, &in->w_query},
        {"db_query", &g->db_query, &in->b_query},
        {"dw_key", &g->dw_key, &in->w_key},
        {"db_key", &g->db_key, &in->b_key},
        {"dw_value", &g->dw_value, &in->w_value},
        {"db_value", &g->db_value, &in->b_value},
        {"dw_output", &g->dw_output, &in->w_output},
        {"db_output", &g->db_output, &in->b_output},
        {"dgain", &g->dgain, &in->gain},
        {"dconcat_weight", &g->dconcat_weight, &in->concat_weight},
        {"dstrength", &g->dstrength, &in->strength},
        {"dw_centre", &g->dw_centre, &in->w_centre},
        {"dv_centre", &g->dv_centre, &in->v_centre},
        {"dcoverage", &g->dcoverage, &in->coverage},
        {"dw_coverage", &g->dw_coverage, &in->w_coverage},
    };
    ATT_TRY(check_pairs(pairs, sizeof pairs / sizeof *pairs));
    const att_view *rows[] = {&g->core.dq, &g->core.dk, &g->core.dv, &g->dw_coverage};
    const char *names[] = {"dq", "dk", "dv", "dw_coverage"};
    for (int i = 0; i < 4; i++)
        if (rows[i]->data) ATT_TRY(att_require_unit(names[i], rows[i]));
    return ATT_OK;
}

static att_view as_rows(const att_mechanism_call *m, const att_view *d, const att_mechanism_side *s)
{
    att_view v = *d;
    if (!d->data || !m->split) return v;
    v.ndim = 4;
    v.dim[3] = d->dim[2], v.stride[3] = d->stride[2];
    v.dim[2] = d->dim[1], v.stride[2] = d->stride[1];
    v.dim[1] = 1, v.stride[1] = d->dim[1] * d->stride[1];
    assert(v.dim[3] == s->rows.dim[3]);
    return v;
}

att_status att_mechanism_grad_check(att_mechanism_call *m, const att_mechanism_grad *g)
{
    ATT_REQUIRE(g, ATT_E_VALUE, "grad: NULL, expected the gradients");
    ATT_TRY(check_all(m, g));
    m->q.d_rows = as_rows(m, &g->core.dq, &m->q);
    m->v.d_rows = as_rows(m, &g->core.dv, &m->v);
    m->k.d_rows = m->shared ? m->v.d_rows : as_rows(m, &g->core.dk, &m->k);
    m->q.dw = g->dw_query, m->q.dbias = g->db_query;
    m->k.dw = g->dw_key, m->k.dbias = g->db_key;
    m->v.dw = g->dw_value, m->v.dbias = g->db_value;
    if (!g->dw_score.data) return ATT_OK;
    if (m->desc.kind == ATT_MECHANISM_GENERAL) m->q.dw = g->dw_score;
    if (m->desc.kind == ATT_MECHANISM_CONCAT) {
        int64_t Cq = m->q.rows.dim[3];
        m->q.dw = att_view_slice(&g->dw_score, 0, 0, Cq);
        m->k.dw = att_view_slice(&g->dw_score, 0, Cq, g->dw_score.dim[0]);
    }
    return ATT_OK;
}
