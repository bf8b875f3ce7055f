/* Elementwise operations, products, lookups and row operations. Each struct keeps what its backward reads. */
#include "tape/tape.h"

#include <string.h>

typedef struct unary_record {
    att_record record;
    att_node *y, *x;
    double factor;
    att_activation act;
    uint64_t seed, stream;
} unary_record;

/* y shaped and laid out (row-major) like x, and a record for it if x is followed. */
static att_status new_unary(att_tape *tape, att_node *x, att_status (*backward)(att_tape *, att_record *), att_node **y,
                            unary_record **r)
{
    *r = NULL;
    ATT_TRY(att_tape_new_node(tape, x->value.ndim, x->value.dim, NULL, x->needs_gradient, y));
    if (!att_tape_follows(tape, x)) return ATT_OK;
    ATT_TRY(att_tape_new_record(tape, *y, sizeof **r, backward, r));
    (*r)->y = *y;
    (*r)->x = x;
    return ATT_OK;
}

static att_status scale_backward(att_tape *tape, att_record *record)
{
    unary_record *r = (unary_record *)record;
    att_view dy, dx;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    bool fresh;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    return att_axpby(&tape->exec, &dx, r->factor, &dy, fresh ? 0.0 : 1.0);
}

att_node *att_tape_scale(att_tape *tape, att_node *x, double factor)
{
    att_node *y;
    unary_record *r;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, new_unary(tape, x, scale_backward, &y, &r));
    TAPE_TRY(tape, att_axpby(&tape->exec, &y->value, factor, &x->value, 0.0));
    if (r) r->factor = factor;
    return y;
}

static att_status activation_backward(att_tape *tape, att_record *record)
{
    unary_record *r = (unary_record *)record;
    att_view dy, dx;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    bool fresh;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    return att_activation_backward(&tape->exec, r->act, &dx, &dy, &r->y->value, &r->x->value, !fresh);
}

att_node *att_tape_activation(att_tape *tape, att_activation act, att_node *x)
{
    att_node *y;
    unary_record *r;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, new_unary(tape, x, activation_backward, &y, &r));
    TAPE_TRY(tape, att_activation_forward(&tape->exec, act, &y->value, &x->value));
    if (r) r->act = act;
    return y;
}

static att_status dropout_backward(att_tape *tape, att_record *record)
{
    unary_record *r = (unary_record *)record;
    att_view dy, dx;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    bool fresh;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    return att_dropout(&tape->exec, &dx, &dy, r->factor, r->seed, r->stream, !fresh);
}

att_node *att_tape_dropout(att_tape *tape, att_node *x, double p, uint64_t seed, uint64_t stream)
{
    att_node *y;
    unary_record *r;
    if (tape->status != ATT_OK) return &tape->dead;
    if (p == 0.0 || !tape->recording) return x;
    TAPE_TRY(tape, new_unary(tape, x, dropout_backward, &y, &r));
    TAPE_TRY(tape, att_dropout(&tape->exec, &y->value, &x->value, p, seed, stream, 0));
    if (!r) return y;
    r->factor = p;
    r->seed = seed;
    r->stream = stream;
    return y;
}

static att_status softmax_backward(att_tape *tape, att_record *record)
{
    unary_record *r = (unary_record *)record;
    att_view dy, dx, dx_rows, dy_rows, y_rows;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    ATT_TRY(att_tape_gradient(tape, r->x, NULL, &dx));
    int64_t cols = dx.dim[dx.ndim - 1], dim[2] = {cols ? att_view_count(&dx) / cols : 0, cols};
    ATT_TRY(att_view_reshape(&dx, 2, dim, &dx_rows));
    ATT_TRY(att_view_reshape(&dy, 2, dim, &dy_rows));
    ATT_TRY(att_view_reshape(&r->y->value, 2, dim, &y_rows));
    return att_softmax_backward(&tape->exec, &dx_rows, &dy_rows, &y_rows);
}

att_node *att_tape_softmax(att_tape *tape, att_node *x)
{
    att_node *y;
    unary_record *r;
    att_view x_rows, y_rows;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_rows(tape, x, &x, &x_rows));
    TAPE_TRY(tape, new_unary(tape, x, softmax_backward, &y, &r));
    TAPE_TRY(tape, att_view_reshape(&y->value, 2, x_rows.dim, &y_rows));
    TAPE_TRY(tape, att_softmax_forward(&tape->exec, &y_rows, &x_rows));
    return y;
}

typedef struct binary_record {
    att_record record;
    att_node *y, *a, *b;
} binary_record;

/* y's gradient is read for the last time in y's own backward. An input without a gradient so far that lies in memory
 * as y does takes that memory over instead of copying it. */
static bool takes_over(const att_node *x, const att_node *y)
{
    return x->root == x && y->root == y && !x->parameter && !x->leaf && !x->gradient && att_view_is_dense(&x->value) &&
           att_view_is_dense(&y->value);
}

static att_status add_backward(att_tape *tape, att_record *record)
{
    binary_record *r = (binary_record *)record;
    att_view dy, dx;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    if (r->a != r->b && r->a->needs_gradient && r->b->needs_gradient && takes_over(r->b, r->y)) {
        ATT_TRY(att_tape_gradient(tape, r->a, &fresh, &dx));
        ATT_TRY(att_copy(&tape->exec, &dx, &dy, !fresh));
        r->b->gradient = r->y->gradient;
        r->y->gradient = NULL;
        return ATT_OK;
    }
    for (int i = 0; i < 2; i++) {
        att_node *x = i ? r->b : r->a;
        if (!x->needs_gradient) continue;
        ATT_TRY(att_tape_gradient(tape, x, &fresh, &dx));
        ATT_TRY(att_copy(&tape->exec, &dx, &dy, !fresh));
    }
    return ATT_OK;
}

static att_status multiply_backward(att_tape *tape, att_record *record)
{
    binary_record *r = (binary_record *)record;
    att_view dy, dx;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    for (int i = 0; i < 2; i++) {
        att_node *x = i ? r->b : r->a, *other = i ? r->a : r->b;
        if (!x->needs_gradient) continue;
        ATT_TRY(att_tape_gradient(tape, x, &fresh, &dx));
        ATT_TRY(att_multiply(&tape->exec, &dx, &dy, &other->value, !fresh));
    }
    return ATT_OK;
}

static att_status new_binary(att_tape *tape, att_node *a, att_node *b, att_status (*backward)(att_tape *, att_record *),
                             att_node **y)
{
    binary_record *r;
    ATT_REQUIRE(a->value.ndim == b->value.ndim &&
                    memcmp(a->value.dim, b->value.dim, sizeof(int64_t) * (size_t)a->value.ndim) == 0,
                ATT_E_SHAPE, "elementwise operation: the two inputs differ in shape");
    bool follow = att_tape_follows(tape, a) || att_tape_follows(tape, b);
    ATT_TRY(att_tape_new_node(tape, a->value.ndim, a->value.dim, NULL, follow, y));
    if (!follow) return ATT_OK;
    ATT_TRY(att_tape_new_record(tape, *y, sizeof *r, backward, &r));
    r->y = *y;
    r->a = a;
    r->b = b;
    return ATT_OK;
}

att_node *att_tape_add(att_tape *tape, att_node *a, att_node *b)
{
    att_node *y;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, new_binary(tape, a, b, add_backward, &y));
    TAPE_TRY(tape, att_add(&tape->exec, &y->value, &a->value, &b->value));
    return y;
}

att_node *att_tape_multiply(att_tape *tape, att_node *a, att_node *b)
{
    att_node *y;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, new_binary(tape, a, b, multiply_backward, &y));
    TAPE_TRY(tape, att_multiply(&tape->exec, &y->value, &a->value, &b->value, 0));
    return y;
}

/* ---- products ---- */

enum { MANY_ROWS = 256 }; /* for which rounding the weights anew costs little */

typedef struct linear_record {
    att_record record;
    att_node *y, *x, *w, *b;
    att_view x_rows, z; /* z: before the activation, where its backward reads that */
    att_activation act;
    bool transposed; /* w is (N,K) */
} linear_record;

att_status att_tape_product(att_tape *tape, att_product_desc desc, const att_view *c, const att_view *a,
                            const att_node *w, bool transposed, const att_view *bias)
{
    att_span scratch;
    size_t bytes;
    const att_packed *packed;
    att_view b = transposed ? att_view_transpose(&w->value, 0, 1) : w->value;
    ATT_TRY(att_product_workspace(&tape->exec, c->dim[0], c->dim[1], b.dim[0], &bytes));
    ATT_TRY(att_tape_scratch(tape, bytes, &scratch));
    desc.bfloat16 = tape->bfloat16 && c->dim[0] >= MANY_ROWS;
    if (!w->parameter || desc.bfloat16) return att_product(&desc, &tape->exec, c, a, &b, bias, scratch);
    ATT_TRY(att_tape_packed(tape, w->parameter, transposed, &packed));
    return att_product_packed(&desc, &tape->exec, c, a, packed, bias, scratch);
}

att_status att_tape_weight_gradient(att_tape *tape, const att_view *dw, bool add, const att_view *x, const att_view *dy,
                                    bool transposed)
{
    att_span scratch;
    size_t bytes;
    const att_view left = att_view_transpose(transposed ? dy : x, 0, 1), *right = transposed ? x : dy;
    ATT_TRY(att_product_workspace(&tape->exec, dw->dim[0], dw->dim[1], left.dim[1], &bytes));
    ATT_TRY(att_tape_scratch(tape, bytes, &scratch));
    const att_product_desc desc = {.accumulate = add, .bfloat16 = tape->bfloat16};
    return att_product(&desc, &tape->exec, dw, &left, right, NULL, scratch);
}

/* y = act(x w + b):  dz = dy act'(z);  dx = dz w^T;  dw = x^T dz;  db = sum of dz's rows. */
static att_status linear_backward(att_tape *tape, att_record *record)
{
    linear_record *r = (linear_record *)record;
    att_view dy, dx, dw, db, dx_rows, dy_rows, y_rows;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    int64_t dim[2] = {r->x_rows.dim[0], dy.dim[dy.ndim - 1]};
    ATT_TRY(att_view_reshape(&dy, 2, dim, &dy_rows));
    if (r->act != ATT_ACT_NONE) { /* dz takes dy's place */
        ATT_TRY(att_view_reshape(&r->y->value, 2, dim, &y_rows));
        ATT_TRY(att_activation_backward(&tape->exec, r->act, &dy_rows, &dy_rows, &y_rows, &r->z, 0));
    }
    if (r->x->needs_gradient) {
        ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
        ATT_TRY(att_view_reshape(&dx, 2, r->x_rows.dim, &dx_rows));
        ATT_TRY(att_tape_product(tape, (att_product_desc){.accumulate = !fresh}, &dx_rows, &dy_rows, r->w,
                                 !r->transposed, NULL));
    }
    if (r->w->needs_gradient) {
        ATT_TRY(att_tape_gradient(tape, r->w, &fresh, &dw));
        ATT_TRY(att_tape_weight_gradient(tape, &dw, !fresh, &r->x_rows, &dy_rows, r->transposed));
    }
    if (!r->b || !r->b->needs_gradient) return ATT_OK;
    ATT_TRY(att_tape_gradient(tape, r->b, NULL, &db));
    return att_sum_rows(&tape->exec, &db, &dy_rows);
}

/* Whether act's backward reads its input rather than its result. */
static bool reads_input(att_activation act)
{
    return act == ATT_ACT_GELU || act == ATT_ACT_GELU_TANH || act == ATT_ACT_SILU;
}

/* y = act(x w + b); *z receives x w + b if the backward needs it. */
static att_status linear_forward(att_tape *tape, const linear_record *r, bool follow, att_view *z)
{
    att_view y;
    int64_t dim[2] = {r->x_rows.dim[0], r->w->value.dim[!r->transposed]};
    const att_view *bias = r->b ? &r->b->value : NULL;
    *z = (att_view){0};
    ATT_TRY(att_view_reshape(&r->y->value, 2, dim, &y));
    if (!follow || !reads_input(r->act))
        return att_tape_product(tape, (att_product_desc){.activation = r->act}, &y, &r->x_rows, r->w, r->transposed,
                                bias);
    att_node *before;
    ATT_TRY(att_tape_new_node(tape, 2, dim, NULL, false, &before));
    *z = before->value;
    ATT_TRY(att_tape_product(tape, (att_product_desc){0}, z, &r->x_rows, r->w, r->transposed, bias));
    return att_activation_forward(&tape->exec, r->act, &y, z);
}

att_status att_tape_linear_rows(att_tape *tape, att_node **x, const att_node *w, bool transposed, att_view *rows)
{
    const att_view *v = &(*x)->value;
    ATT_REQUIRE(w->value.ndim == 2 && v->ndim >= 1, ATT_E_SHAPE, "linear: weights of %d dimensions, expected 2",
                w->value.ndim);
    ATT_REQUIRE(v->dim[v->ndim - 1] == w->value.dim[transposed], ATT_E_SHAPE,
                "linear: the last dimension of x is %lld, but the weights expect %lld", (long long)v->dim[v->ndim - 1],
                (long long)w->value.dim[transposed]);
    return att_tape_rows(tape, *x, x, rows);
}

static att_node *linear(att_tape *tape, att_node *x, att_node *w, att_node *b, att_activation act, bool transposed)
{
    att_node *y;
    linear_record *r;
    att_view x_rows;
    int64_t dim[ATT_MAX_DIMS];
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_linear_rows(tape, &x, w, transposed, &x_rows));
    memcpy(dim, x->value.dim, sizeof dim);
    dim[x->value.ndim - 1] = w->value.dim[!transposed];
    bool follow = att_tape_follows(tape, x) || att_tape_follows(tape, w) || att_tape_follows(tape, b);
    TAPE_TRY(tape, att_tape_new_node(tape, x->value.ndim, dim, NULL, follow, &y));
    linear_record here = {.y = y, .x = x, .w = w, .b = b, .x_rows = x_rows, .act = act, .transposed = transposed};
    TAPE_TRY(tape, linear_forward(tape, &here, follow, &here.z));
    if (!follow) return y;
    TAPE_TRY(tape, att_tape_new_record(tape, y, sizeof *r, linear_backward, &r));
    here.record = r->record;
    *r = here;
    return y;
}

att_node *att_tape_linear(att_tape *tape, att_node *x, att_node *w, att_node *b, att_activation act)
{
    return linear(tape, x, w, b, act, false);
}

att_node *att_tape_linear_transposed(att_tape *tape, att_node *x, att_node *w, att_node *b)
{
    return linear(tape, x, w, b, ATT_ACT_NONE, true);
}

/* ---- lookups and normalisation ---- */

typedef struct embedding_record {
    att_record record;
    att_node *y, *table;
    att_view ids;
} embedding_record;

static att_status embedding_backward(att_tape *tape, att_record *record)
{
    embedding_record *r = (embedding_record *)record;
    att_view dy, dy_rows, dtable;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    ATT_TRY(att_view_reshape(&dy, 2, (int64_t[]){r->ids.dim[0], dy.dim[dy.ndim - 1]}, &dy_rows));
    ATT_TRY(att_tape_gradient(tape, r->table, NULL, &dtable));
    return att_embedding_backward(&tape->exec, &dtable, &dy_rows, &r->ids);
}

/* Rows of a tied table whose weights are rounded: as the output layer has them. */
static att_status rounded_lookup(const att_tape *tape, const att_view *y, att_parameter *table, const att_view *ids)
{
    const att_packed *packed;
    ATT_TRY(att_tape_packed(tape, table, true, &packed));
    for (int64_t m = 0; m < ids->dim[0]; m++) {
        int32_t id = ((const int32_t *)ids->data)[m * ids->stride[0]];
        ATT_REQUIRE(id >= 0 && id < packed->N, ATT_E_VALUE, "ids: element %lld is %d, expected 0 to %lld", (long long)m,
                    (int)id, (long long)packed->N - 1);
        att_product_packed_column(packed, id, (float *)y->data + m * y->stride[0]);
    }
    return ATT_OK;
}

static att_status lookup(const att_tape *tape, const att_view *y, const att_node *table, const att_view *ids)
{
    att_parameter *p = table->parameter;
    if (p && p->use == ATT_USE_TIED && p->owner->weights != ATT_F32) return rounded_lookup(tape, y, p, ids);
    return att_embedding_forward(&tape->exec, y, &table->value, ids);
}

att_node *att_tape_embedding(att_tape *tape, att_node *table, const att_view *ids)
{
    att_node *y;
    embedding_record *r;
    att_view flat, y_rows;
    int64_t dim[ATT_MAX_DIMS], n = att_view_count(ids);
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_REQUIRE(tape, ids->dtype == ATT_I32 && ids->ndim < ATT_MAX_DIMS, ATT_E_DTYPE,
                 "embedding: ids are %s, expected int32", att_dtype_name(ids->dtype));
    TAPE_REQUIRE(tape, table->value.ndim == 2, ATT_E_SHAPE, "embedding: a table of %d dimensions, expected 2",
                 table->value.ndim);
    memcpy(dim, ids->dim, sizeof dim);
    dim[ids->ndim] = table->value.dim[1];
    TAPE_TRY(tape, att_view_reshape(ids, 1, &n, &flat));
    TAPE_TRY(tape, att_tape_new_node(tape, ids->ndim + 1, dim, NULL, table->needs_gradient, &y));
    TAPE_TRY(tape, att_view_reshape(&y->value, 2, (int64_t[]){n, table->value.dim[1]}, &y_rows));
    TAPE_TRY(tape, lookup(tape, &y_rows, table, &flat));
    if (!att_tape_follows(tape, table)) return y;
    TAPE_TRY(tape, att_tape_new_record(tape, y, sizeof *r, embedding_backward, &r));
    r->y = y;
    r->table = table;
    r->ids = flat;
    return y;
}

typedef struct norm_record {
    att_record record;
    att_node *y, *x, *gain, *bias, *mean, *rstd;
    att_view x_rows;
} norm_record;

static att_status norm_backward(att_tape *tape, att_record *record)
{
    norm_record *r = (norm_record *)record;
    att_view dy, dx, dgain, dbias, dy_rows, dx_rows;
    bool fresh;
    if (!att_tape_arrived(r->y, &dy)) return ATT_OK;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    ATT_TRY(att_tape_gradient(tape, r->gain, NULL, &dgain));
    ATT_TRY(att_tape_gradient(tape, r->bias, NULL, &dbias));
    ATT_TRY(att_view_reshape(&dy, 2, r->x_rows.dim, &dy_rows));
    ATT_TRY(att_view_reshape(&dx, 2, r->x_rows.dim, &dx_rows));
    return att_layer_norm_backward(&tape->exec, &dx_rows, &dgain, &dbias, &dy_rows, &r->x_rows, &r->mean->value,
                                   &r->rstd->value, &r->gain->value, !fresh);
}

att_node *att_tape_layer_norm(att_tape *tape, att_node *x, att_node *gain, att_node *bias, double eps)
{
    att_node *y, *mean, *rstd;
    norm_record *r;
    att_view x_rows, y_rows;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_rows(tape, x, &x, &x_rows));
    TAPE_TRY(tape, att_tape_new_node(tape, x->value.ndim, x->value.dim, NULL, true, &y));
    TAPE_TRY(tape, att_tape_new_node(tape, 1, &x_rows.dim[0], NULL, false, &mean));
    TAPE_TRY(tape, att_tape_new_node(tape, 1, &x_rows.dim[0], NULL, false, &rstd));
    TAPE_TRY(tape, att_view_reshape(&y->value, 2, x_rows.dim, &y_rows));
    TAPE_TRY(tape, att_layer_norm_forward(&tape->exec, &y_rows, &mean->value, &rstd->value, &x_rows, &gain->value,
                                          &bias->value, eps));
    TAPE_TRY(tape, att_tape_new_record(tape, y, sizeof *r, norm_backward, &r));
    if (!r) return y;
    *r = (norm_record){
        .record = r->record, .y = y, .x = x, .gain = gain, .bias = bias, .mean = mean, .rstd = rstd, .x_rows = x_rows};
    return y;
}
