/* Where a backward starts: at a cross-entropy, whose derivative is known with its value, or at a given gradient. */
#include "tape/tape.h"

#include "op/require.h"

/* The losses of n rows in nats, added up, and how many of them count. */
static void sum_losses(att_loss *loss, const float *each, const att_view *target, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        loss->sum += (double)each[i];
        loss->count += ((const int32_t *)target->data)[i * target->stride[0]] >= 0;
    }
}

/* Two rows of n floats: each row's loss and log-sum-exp. */
static att_status new_losses(att_tape *tape, int64_t n, att_view *each, att_view *lse)
{
    att_node *both;
    ATT_TRY(att_tape_new_node(tape, 2, (int64_t[]){2, n}, NULL, false, &both));
    *each = att_view_at(&both->value, 0, 0);
    *lse = att_view_at(&both->value, 0, 1);
    return ATT_OK;
}

typedef struct loss_record {
    att_record record;
    att_node *logits;
    att_view rows, target, lse;
    double smoothing, scale;
} loss_record;

static att_status loss_backward(att_tape *tape, att_record *record)
{
    loss_record *r = (loss_record *)record;
    ATT_TRY(att_cross_entropy_backward(&tape->exec, &r->rows, &r->lse, &r->target, r->smoothing, r->scale));
    r->logits->gradient = r->logits->memory; /* the logits are their own gradient now */
    return ATT_OK;
}

static att_status cross_entropy(att_tape *tape, att_node *logits, const att_view *target, double smoothing,
                                double scale, att_loss *loss)
{
    att_view rows, flat, each, lse;
    loss_record *r;
    int64_t cols = logits->value.dim[logits->value.ndim - 1], n = att_view_count(target);
    ATT_REQUIRE(logits->root == logits && !logits->parameter, ATT_E_VALUE,
                "cross-entropy: the logits must be an operation's own result");
    ATT_TRY(att_view_reshape(&logits->value, 2, (int64_t[]){n, cols}, &rows));
    ATT_TRY(att_view_reshape(target, 1, &n, &flat));
    ATT_TRY(new_losses(tape, n, &each, &lse));
    ATT_TRY(att_cross_entropy_forward(&tape->exec, &each, &lse, &rows, &flat, smoothing, &loss->correct));
    sum_losses(loss, each.data, &flat, n);
    if (!att_tape_follows(tape, logits)) return ATT_OK;
    ATT_TRY(att_tape_new_record(tape, NULL, sizeof *r, loss_backward, &r));
    *r = (loss_record){.record = r->record,
                       .logits = logits,
                       .rows = rows,
                       .target = flat,
                       .lse = lse,
                       .smoothing = smoothing,
                       .scale = scale};
    return ATT_OK;
}

void att_tape_cross_entropy(att_tape *tape, att_node *logits, const att_view *target, double smoothing, double scale,
                            att_loss *loss)
{
    *loss = (att_loss){0};
    if (tape->status != ATT_OK) return;
    att_status status = cross_entropy(tape, logits, target, smoothing, scale, loss);
    if (status != ATT_OK) att_tape_fail(tape, status);
}

/* ---- of a linear layer, whose logits are never all there ---- */

enum {
    CHUNK = 2 * 1024 * 1024, /* logits at a time, for caches to hold while five operations pass over them; but ... */
    LEAST_ROWS = 256         /* ... so many rows: the weights' gradient is read and written for each chunk */
};

/* x w + b with w as att_tape_product has it, and the gradients of what is followed, all dense; absent otherwise. They
 * are made in the forward, chunk by chunk, and wait for the backward. */
typedef struct linear_loss {
    att_record record;
    att_node *x, *w, *b;
    bool transposed;
    att_view rows, target, dx, dw, db; /* rows: x */
    double smoothing, scale;
} linear_loss;

/* Memory of x's shape for its gradient, if x is followed. */
static att_status gradient_for(att_tape *tape, const att_node *x, att_view *out)
{
    att_node *node;
    if (!att_tape_follows(tape, x)) return ATT_OK;
    ATT_TRY(att_tape_new_node(tape, x->value.ndim, x->value.dim, NULL, false, &node));
    *out = node->value;
    return ATT_OK;
}

static att_status hand_over(att_tape *tape, att_node *x, const att_view *gradient)
{
    att_view dx;
    bool fresh;
    if (!gradient->data) return ATT_OK;
    ATT_TRY(att_tape_gradient(tape, x, &fresh, &dx));
    return att_copy(&tape->exec, &dx, gradient, !fresh);
}

static att_status linear_loss_backward(att_tape *tape, att_record *record)
{
    linear_loss *h = (linear_loss *)record;
    ATT_TRY(hand_over(tape, h->x, &h->dx));
    ATT_TRY(hand_over(tape, h->w, &h->dw));
    return hand_over(tape, h->b, &h->db);
}

/* What rows lo .. add to the gradients: dz takes the logits' place. */
static att_status chunk_gradients(att_tape *tape, const linear_loss *h, int64_t lo, const att_view *x,
                                  const att_view *logits, const att_view *lse, const att_view *target)
{
    const att_exec *exec = &tape->exec;
    ATT_TRY(att_cross_entropy_backward(exec, logits, lse, target, h->smoothing, h->scale));
    if (h->dx.data) {
        att_view rows, dx;
        ATT_TRY(att_view_reshape(&h->dx, 2, h->rows.dim, &rows));
        dx = att_view_slice(&rows, 0, lo, lo + x->dim[0]);
        ATT_TRY(att_tape_product(tape, (att_product_desc){0}, &dx, logits, h->w, !h->transposed, NULL));
    }
    if (h->dw.data) ATT_TRY(att_tape_weight_gradient(tape, &h->dw, lo > 0, x, logits, h->transposed));
    return h->db.data ? att_sum_rows(exec, &h->db, logits) : ATT_OK;
}

static att_status run_chunks(att_tape *tape, const linear_loss *h, att_loss *loss)
{
    const int64_t n = h->rows.dim[0], V = h->w->value.dim[!h->transposed];
    const int64_t most = att_max64(LEAST_ROWS, CHUNK / att_max64(V, 1));
    const int64_t chunks = tape->bfloat16 ? 1 : att_max64(1, att_ceil_div(n, most)); /* each would round w anew */
    const bool follow = h->dx.data || h->dw.data || h->db.data;
    const att_view *bias = h->b ? &h->b->value : NULL;
    att_view each, lse;
    att_node *room;
    ATT_TRY(att_tape_new_node(tape, 2, (int64_t[]){att_ceil_div(n, chunks), V}, NULL, false, &room));
    ATT_TRY(new_losses(tape, n, &each, &lse));
    for (int64_t i = 0; i < chunks; i++) {
        const int64_t lo = n * i / chunks, hi = n * (i + 1) / chunks;
        int64_t correct;
        att_view x = att_view_slice(&h->rows, 0, lo, hi), logits = att_view_slice(&room->value, 0, 0, hi - lo);
        att_view target = att_view_slice(&h->target, 0, lo, hi), l = att_view_slice(&lse, 0, lo, hi);
        att_view e = att_view_slice(&each, 0, lo, hi);
        ATT_TRY(att_tape_product(tape, (att_product_desc){0}, &logits, &x, h->w, h->transposed, bias));
        ATT_TRY(att_cross_entropy_forward(&tape->exec, &e, &l, &logits, &target, h->smoothing, &correct));
        loss->correct += correct;
        if (follow) ATT_TRY(chunk_gradients(tape, h, lo, &x, &logits, &l, &target));
    }
    sum_losses(loss, each.data, &h->target, n);
    return ATT_OK;
}

static att_status linear_cross_entropy(att_tape *tape, linear_loss *h, const att_view *target, att_loss *loss)
{
    ATT_TRY(att_tape_linear_rows(tape, &h->x, h->w, h->transposed, &h->rows));
    ATT_TRY(att_view_reshape(target, 1, &h->rows.dim[0], &h->target));
    ATT_TRY(
        att_require_targets(&h->target, h->rows.dim[0], h->w->value.dim[!h->transposed])); /* a chunk sees its own */
    ATT_TRY(gradient_for(tape, h->x, &h->dx));
    ATT_TRY(gradient_for(tape, h->w, &h->dw));
    if (h->b) ATT_TRY(gradient_for(tape, h->b, &h->db));
    if (h->db.data) ATT_TRY(att_fill(&tape->exec, &h->db, 0.0));
    ATT_TRY(run_chunks(tape, h, loss));
    linear_loss *kept;
    if (!h->dx.data && !h->dw.data && !h->db.data) return ATT_OK;
    ATT_TRY(att_tape_new_record(tape, NULL, sizeof *kept, linear_loss_backward, &kept));
    h->record = kept->record;
    *kept = *h;
    return ATT_OK;
}

void att_tape_linear_cross_entropy(att_tape *tape, att_node *x, att_node *w, att_node *b, int transposed,
                                   const att_view *target, double smoothing, double scale, att_loss *loss)
{
    *loss = (att_loss){0};
    if (tape->status != ATT_OK) return;
    linear_loss h = {.x = x, .w = w, .b = b, .transposed = transposed != 0, .smoothing = smoothing, .scale = scale};
    att_status status = linear_cross_entropy(tape, &h, target, loss);
    if (status != ATT_OK) att_tape_fail(tape, status);
}

/* ---- a given gradient ---- */

typedef struct seed_record {
    att_record record;
    att_node *x;
    att_view gradient;
} seed_record;

static att_status seed_backward(att_tape *tape, att_record *record)
{
    seed_record *r = (seed_record *)record;
    att_view dx;
    bool fresh;
    ATT_TRY(att_tape_gradient(tape, r->x, &fresh, &dx));
    return att_copy(&tape->exec, &dx, &r->gradient, !fresh);
}

void att_tape_seed(att_tape *tape, att_node *x, const att_view *gradient)
{
    seed_record *r;
    if (tape->status != ATT_OK || !att_tape_follows(tape, x)) return;
    att_status status = att_tape_new_record(tape, NULL, sizeof *r, seed_backward, &r);
    if (status != ATT_OK) {
        att_tape_fail(tape, status);
        return;
    }
    r->x = x;
    r->gradient = *gradient;
}
