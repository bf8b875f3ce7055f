/* Views, and the two operations that copy: concat and stack. */
#include "tape/tape.h"

#include <string.h>

static att_node *view_of(att_tape *tape, att_node *x, const att_view *view)
{
    att_node *node;
    TAPE_TRY(tape, att_tape_new_view(tape, x, view, &node));
    return node;
}

static int axis_of(const att_node *x, int axis)
{
    return axis < 0 ? axis + x->value.ndim : axis;
}

att_node *att_tape_slice(att_tape *tape, att_node *x, int axis, int64_t lo, int64_t hi)
{
    if (tape->status != ATT_OK) return &tape->dead;
    int a = axis_of(x, axis);
    TAPE_REQUIRE(tape, a >= 0 && a < x->value.ndim, ATT_E_SHAPE, "slice: axis %d of %d dimensions", axis,
                 x->value.ndim);
    TAPE_REQUIRE(tape, 0 <= lo && lo <= hi && hi <= x->value.dim[a], ATT_E_SHAPE,
                 "slice: %lld to %lld of %lld elements", (long long)lo, (long long)hi, (long long)x->value.dim[a]);
    att_view v = att_view_slice(&x->value, a, lo, hi);
    return view_of(tape, x, &v);
}

att_node *att_tape_at(att_tape *tape, att_node *x, int axis, int64_t i)
{
    if (tape->status != ATT_OK) return &tape->dead;
    int a = axis_of(x, axis);
    TAPE_REQUIRE(tape, a >= 0 && a < x->value.ndim, ATT_E_SHAPE, "at: axis %d of %d dimensions", axis, x->value.ndim);
    TAPE_REQUIRE(tape, 0 <= i && i < x->value.dim[a], ATT_E_SHAPE, "at: index %lld of %lld elements", (long long)i,
                 (long long)x->value.dim[a]);
    att_view v = att_view_at(&x->value, a, i);
    return view_of(tape, x, &v);
}

att_node *att_tape_transpose(att_tape *tape, att_node *x, int axis_a, int axis_b)
{
    if (tape->status != ATT_OK) return &tape->dead;
    int a = axis_of(x, axis_a), b = axis_of(x, axis_b), n = x->value.ndim;
    TAPE_REQUIRE(tape, a >= 0 && a < n && b >= 0 && b < n, ATT_E_SHAPE, "transpose: axes %d and %d of %d dimensions",
                 axis_a, axis_b, n);
    att_view v = att_view_transpose(&x->value, a, b);
    return view_of(tape, x, &v);
}

typedef struct copy_record {
    att_record record;
    att_node *y, *x;
} copy_record;

static att_status copy_backward(att_tape *tape, att_record *record)
{
    copy_record *r = (copy_record *)record;
    att_view dy, dx;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    return att_copy(&tape->exec, &dx, &dy, !fresh);
}

static att_status dense_copy(att_tape *tape, att_node *x, att_node **out)
{
    copy_record *r;
    ATT_TRY(att_tape_new_node(tape, x->value.ndim, x->value.dim, NULL, x->needs_gradient, out));
    ATT_TRY(att_copy(&tape->exec, &(*out)->value, &x->value, 0));
    if (!att_tape_follows(tape, x)) return ATT_OK;
    ATT_TRY(att_tape_new_record(tape, *out, sizeof *r, copy_backward, &r));
    r->y = *out;
    r->x = x;
    return ATT_OK;
}

att_node *att_tape_reshape(att_tape *tape, att_node *x, int ndim, const int64_t *dim)
{
    att_view v;
    if (tape->status != ATT_OK) return &tape->dead;
    att_view wanted = att_view_dense(NULL, ATT_F32, ndim, dim);
    TAPE_REQUIRE(tape, att_view_count(&wanted) == att_view_count(&x->value), ATT_E_SHAPE,
                 "reshape: %lld elements into a shape of %lld", (long long)att_view_count(&x->value),
                 (long long)att_view_count(&wanted));
    if (att_view_reshape(&x->value, ndim, dim, &v) != ATT_OK) {
        TAPE_TRY(tape, dense_copy(tape, x, &x));
        TAPE_TRY(tape, att_view_reshape(&x->value, ndim, dim, &v));
    }
    return view_of(tape, x, &v);
}

att_status att_tape_rows(att_tape *tape, att_node *x, att_node **dense, att_view *rows)
{
    int64_t cols = x->value.ndim ? x->value.dim[x->value.ndim - 1] : 1;
    int64_t dim[2] = {cols ? att_view_count(&x->value) / cols : 0, cols};
    *dense = x;
    if (att_view_reshape(&x->value, 2, dim, rows) == ATT_OK && (cols <= 1 || rows->stride[1] == 1)) return ATT_OK;
    ATT_TRY(dense_copy(tape, x, dense));
    return att_view_reshape(&(*dense)->value, 2, dim, rows);
}

typedef struct join_record {
    att_record record;
    att_node *y;
    int64_t n;
    bool stacked;
    att_node *x[];
} join_record;

/* The part of `whole` that input i of a concat or stack occupies, starting at *at of the last axis. */
static att_view part_of(const att_view *whole, bool stacked, int64_t i, int64_t *at, const att_node *x)
{
    if (stacked) return att_view_at(whole, 0, i);
    int64_t from = *at;
    *at += x->value.dim[x->value.ndim - 1];
    return att_view_slice(whole, -1, from, *at);
}

static att_status join_backward(att_tape *tape, att_record *record)
{
    join_record *r = (join_record *)record;
    att_view dy, dx;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    for (int64_t i = 0, at = 0; i < r->n; i++) {
        att_view part = part_of(&dy, r->stacked, i, &at, r->x[i]);
        if (!r->x[i]->needs_gradient) continue;
        ATT_TRY(att_tape_gradient(tape, r->x[i], &fresh, &dx));
        ATT_TRY(att_copy(&tape->exec, &dx, &part, !fresh));
    }
    return ATT_OK;
}

static att_node *join(att_tape *tape, int64_t n, att_node *const *x, bool stacked, int ndim, const int64_t *dim)
{
    att_node *y;
    join_record *r;
    bool follow = false;
    for (int64_t i = 0; i < n; i++) follow = follow || x[i]->needs_gradient;
    TAPE_TRY(tape, att_tape_new_node(tape, ndim, dim, NULL, follow, &y));
    for (int64_t i = 0, at = 0; i < n; i++) {
        att_view part = part_of(&y->value, stacked, i, &at, x[i]);
        TAPE_TRY(tape, att_copy(&tape->exec, &part, &x[i]->value, 0));
    }
    if (!y->needs_gradient) return y;
    TAPE_TRY(tape, att_tape_new_record(tape, y, sizeof *r + (size_t)n * sizeof *x, join_backward, &r));
    r->y = y;
    r->n = n;
    r->stacked = stacked;
    memcpy(r->x, x, (size_t)n * sizeof *x);
    return y;
}

static bool same_but_last(const att_view *a, const att_view *b, int last)
{
    bool same = a->ndim == b->ndim;
    for (int i = 0; same && i < a->ndim - last; i++) same = a->dim[i] == b->dim[i];
    return same;
}

att_node *att_tape_concat(att_tape *tape, int64_t n, att_node *const *x)
{
    int64_t dim[ATT_MAX_DIMS], last = 0;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_REQUIRE(tape, n > 0 && x[0]->value.ndim > 0, ATT_E_SHAPE, "concat: nothing to join");
    for (int64_t i = 0; i < n; i++) {
        TAPE_REQUIRE(tape, same_but_last(&x[0]->value, &x[i]->value, 1), ATT_E_SHAPE,
                     "concat: input %lld differs from the first in more than its last dimension", (long long)i);
        last += x[i]->value.dim[x[i]->value.ndim - 1];
    }
    memcpy(dim, x[0]->value.dim, sizeof dim);
    dim[x[0]->value.ndim - 1] = last;
    return join(tape, n, x, false, x[0]->value.ndim, dim);
}

att_node *att_tape_stack(att_tape *tape, int64_t n, att_node *const *x)
{
    int64_t dim[ATT_MAX_DIMS];
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_REQUIRE(tape, n > 0 && x[0]->value.ndim < ATT_MAX_DIMS, ATT_E_SHAPE,
                 "stack: nothing to join, or too many axes");
    for (int64_t i = 0; i < n; i++)
        TAPE_REQUIRE(tape, same_but_last(&x[0]->value, &x[i]->value, 0), ATT_E_SHAPE,
                     "stack: input %lld differs from the first in shape", (long long)i);
    dim[0] = n;
    for (int a = 0; a < x[0]->value.ndim; a++) dim[a + 1] = x[0]->value.dim[a];
    return join(tape, n, x, true, x[0]->value.ndim + 1, dim);
}

/* ---- what is not a view and not arithmetic ---- */

typedef struct rotary_record {
    att_record record;
    att_node *y, *x;
    att_view cosine, sine;
} rotary_record;

static att_status rotary_backward(att_tape *tape, att_record *record)
{
    rotary_record *r = (rotary_record *)record;
    att_view dy, dx;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    return att_rotary(&tape->exec, &dx, &dy, &r->cosine, &r->sine, 1, !fresh);
}

att_node *att_tape_rotary(att_tape *tape, att_node *x, const att_view *cosine, const att_view *sine)
{
    att_node *y;
    rotary_record *r;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_new_node(tape, x->value.ndim, x->value.dim, NULL, x->needs_gradient, &y));
    TAPE_TRY(tape, att_rotary(&tape->exec, &y->value, &x->value, cosine, sine, 0, 0));
    if (!att_tape_follows(tape, x)) return y;
    TAPE_TRY(tape, att_tape_new_record(tape, y, sizeof *r, rotary_backward, &r));
    *r = (rotary_record){.record = r->record, .y = y, .x = x, .cosine = *cosine, .sine = *sine};
    return y;
}

void att_tape_store(att_tape *tape, const att_node *x, const att_view *to)
{
    if (tape->status != ATT_OK) return;
    att_status status = att_copy(&tape->exec, to, &x->value, 0);
    if (status != ATT_OK) att_tape_fail(tape, status);
}
