#include "tape/tape.h"

#include <string.h>

att_status att_tape_create(const att_exec *exec, const att_allocator *allocator, att_tape **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(att_alloc_zero(allocator, sizeof **out + ATT_MESSAGE_BYTES, &block));
    att_tape *tape = block;
    tape->allocator = allocator;
    if (exec) tape->exec = *exec;
    tape->message = (char *)(tape + 1);
    tape->dead.root = &tape->dead;
    att_arena_init(&tape->arena, allocator);
    *out = tape;
    return ATT_OK;
}

void att_tape_destroy(att_tape *tape)
{
    if (!tape) return;
    att_arena_destroy(&tape->arena);
    att_free(tape->allocator, tape->scratch.data, tape->scratch.bytes);
    att_free(tape->allocator, tape, sizeof *tape + ATT_MESSAGE_BYTES);
}

att_status att_tape_precision(att_tape *tape, att_dtype dtype)
{
    ATT_REQUIRE(dtype == ATT_F32 || dtype == ATT_BF16, ATT_E_DTYPE,
                "tape: a precision of %s, expected float32 or bfloat16", att_dtype_name(dtype));
    bool units = att_isa_detect() >= ATT_ISA_AVX512_BF16 && (!tape->exec.isa || tape->exec.isa >= ATT_ISA_AVX512_BF16);
    tape->bfloat16 = dtype == ATT_BF16 && units; /* elsewhere weights stay packed from product to product */
    return ATT_OK;
}

void att_tape_begin(att_tape *tape, int record)
{
    att_arena_reset(&tape->arena);
    tape->last = NULL;
    tape->spare = NULL;
    tape->status = ATT_OK;
    tape->recording = record != 0;
}

att_status att_tape_status(const att_tape *tape)
{
    return tape->status == ATT_OK ? ATT_OK : att_fail(tape->status, "%s", tape->message);
}

size_t att_tape_bytes(const att_tape *tape)
{
    return tape->arena.total_bytes + tape->scratch.bytes;
}

int64_t att_tape_grown(const att_tape *tape)
{
    return tape->arena.grown + tape->scratch_grown;
}

att_node *att_tape_fail(att_tape *tape, att_status status)
{
    if (tape->status == ATT_OK) {
        tape->status = status;
        strncpy(tape->message, att_last_error(), ATT_MESSAGE_BYTES - 1);
    }
    return &tape->dead;
}

/* Dense in the order of axes given: order[0] is the slowest. */
static att_view ordered_view(void *data, int ndim, const int64_t *dim, const int *order)
{
    att_view v = att_view_dense(data, ATT_F32, ndim, dim);
    int64_t step = 1;
    for (int a = ndim - 1; order && a >= 0; a--) {
        v.stride[order[a]] = step;
        step *= dim[order[a]];
    }
    return v;
}

att_status att_tape_new_node(att_tape *tape, int ndim, const int64_t *dim, const int *order, bool needs_gradient,
                             att_node **out)
{
    void *node, *data;
    *out = &tape->dead;
    att_view value = ordered_view(NULL, ndim, dim, order);
    size_t bytes = (size_t)att_view_count(&value) * sizeof(float);
    ATT_TRY(att_arena_alloc(&tape->arena, sizeof(att_node), &node));
    ATT_TRY(att_arena_alloc(&tape->arena, bytes, &data));
    value.data = data;
    *out = node;
    **out = (att_node){.value = value,
                       .root = node,
                       .memory = data,
                       .bytes = bytes,
                       .needs_gradient = needs_gradient && tape->recording};
    return ATT_OK;
}

att_status att_tape_new_view(att_tape *tape, att_node *x, const att_view *view, att_node **out)
{
    void *node;
    *out = &tape->dead;
    ATT_TRY(att_arena_alloc(&tape->arena, sizeof(att_node), &node));
    *out = node;
    **out = (att_node){.value = *view, .root = x->root, .needs_gradient = x->needs_gradient};
    return ATT_OK;
}

bool att_tape_follows(const att_tape *tape, const att_node *x)
{
    return tape->recording && x && x->needs_gradient;
}

att_status att_tape_new_record(att_tape *tape, att_node *made, size_t bytes,
                               att_status (*backward)(att_tape *, att_record *), void *out)
{
    void *block;
    *(void **)out = NULL;
    if (!tape->recording) return ATT_OK;
    ATT_TRY(att_arena_alloc(&tape->arena, bytes, &block));
    memset(block, 0, bytes);
    att_record *record = block;
    record->backward = backward;
    record->previous = tape->last;
    record->made = made;
    tape->last = record;
    *(void **)out = block;
    return ATT_OK;
}

static att_view shifted(const att_node *x)
{
    att_view v = x->value;
    v.data = (char *)x->root->gradient + ((char *)v.data - (char *)x->root->memory);
    return v;
}

static att_status zeros(const att_tape *tape, void *memory, size_t bytes)
{
    att_view all = att_view_1d(memory, ATT_F32, (int64_t)(bytes / sizeof(float)));
    return att_fill(&tape->exec, &all, 0.0);
}

/* ---- gradients ---- */

enum {
    SPARE_BYTES = 4096, /* less is not worth a search */
    SPARES_SEEN = 64    /* of a search */
};

void att_tape_spend(att_tape *tape, att_node *x)
{
    if (!x->gradient || x->leaf || x->parameter) return;
    att_spare *spare = x->gradient;
    x->gradient = NULL;
    if (x->bytes < SPARE_BYTES) return;
    *spare = (att_spare){.next = tape->spare, .bytes = x->bytes};
    tape->spare = spare;
}

/* A spare of about that size, or new memory. */
static att_status gradient_block(att_tape *tape, size_t bytes, void **out)
{
    att_spare **at = &tape->spare;
    for (int seen = 0; bytes >= SPARE_BYTES && *at && seen < SPARES_SEEN; seen++, at = &(*at)->next) {
        att_spare *found = *at;
        if (found->bytes < bytes || found->bytes > bytes + bytes / 4) continue;
        *at = found->next;
        *out = found;
        return ATT_OK;
    }
    return att_arena_alloc(&tape->arena, bytes, out);
}

/* Make sure that root has gradient memory; `*valid` tells whether its content counts already. */
static att_status gradient_memory(att_tape *tape, att_node *root, bool *valid)
{
    att_parameter *p = root->parameter;
    *valid = p ? p->gradient_valid : root->gradient != NULL;
    if (p) {
        ATT_REQUIRE(p->gradient.data, ATT_E_VALUE, "parameter '%s' has no gradient: it was allocated without", p->name);
        root->gradient = p->gradient.data;
        p->gradient_valid = true;
    } else if (!root->gradient) {
        ATT_TRY(gradient_block(tape, root->bytes, &root->gradient));
    }
    return ATT_OK;
}

/* Memory that nobody reads, for operations that compute all their gradients together. */
static att_status unwanted_gradient(att_tape *tape, const att_node *x, bool *fresh, att_view *out)
{
    void *block;
    size_t bytes = (size_t)att_view_count(&x->value) * sizeof(float);
    ATT_TRY(att_arena_alloc(&tape->arena, bytes, &block));
    memset(block, 0, bytes);
    if (fresh) *fresh = true;
    *out = att_view_dense(block, ATT_F32, x->value.ndim, x->value.dim);
    return ATT_OK;
}

att_status att_tape_gradient(att_tape *tape, att_node *x, bool *fresh, att_view *out)
{
    if (!x->needs_gradient) return unwanted_gradient(tape, x, fresh, out);
    bool valid, whole = fresh && att_view_count(&x->value) * (int64_t)sizeof(float) == (int64_t)x->root->bytes;
    ATT_TRY(gradient_memory(tape, x->root, &valid));
    if (fresh) *fresh = whole && !valid;
    if (!valid && !whole) ATT_TRY(zeros(tape, x->root->gradient, x->root->bytes));
    *out = shifted(x);
    return ATT_OK;
}

bool att_tape_arrived(const att_node *x, att_view *out)
{
    if (!x->root->gradient) return false;
    *out = shifted(x);
    return true;
}

att_status att_tape_scratch(att_tape *tape, size_t bytes, att_span *out)
{
    if (bytes > tape->scratch.bytes) {
        att_free(tape->allocator, tape->scratch.data, tape->scratch.bytes);
        tape->scratch = (att_span){0};
        bytes = att_round_up(bytes + bytes / 4, ATT_ALIGN);
        ATT_TRY(att_alloc(tape->allocator, bytes, &tape->scratch.data));
        tape->scratch.bytes = bytes;
        tape->scratch_grown++;
    }
    *out = tape->scratch;
    return ATT_OK;
}

att_status att_tape_packed(const att_tape *tape, att_parameter *p, bool transposed, const att_packed **out)
{
    ATT_REQUIRE(!tape->recording || p->owner->weights == ATT_F32, ATT_E_VALUE,
                "parameter '%s': its owner's weights are rounded to %s, but the tape records", p->name,
                att_dtype_name(p->owner->weights));
    return att_parameter_packed(p, &tape->exec, transposed, out);
}

att_status att_tape_backward(att_tape *tape)
{
    for (att_record *r = tape->last; r && tape->status == ATT_OK; r = r->previous) {
        att_status status = r->backward(tape, r);
        if (status != ATT_OK) att_tape_fail(tape, status);
        if (r->made) att_tape_spend(tape, r->made);
    }
    tape->last = NULL;
    return att_tape_status(tape);
}

const att_view *att_node_value(const att_node *node)
{
    return &node->value;
}

att_view att_node_gradient(const att_node *node)
{
    att_view v = {0};
    att_tape_arrived(node, &v);
    return v;
}

void *att_tape_alloc(att_tape *tape, size_t bytes)
{
    void *block = NULL;
    if (tape->status != ATT_OK) return NULL;
    att_status status = att_arena_alloc(&tape->arena, bytes, &block);
    if (status != ATT_OK) att_tape_fail(tape, status);
    return block;
}

att_node *att_tape_parameter(att_tape *tape, att_parameter *p)
{
    att_node *node;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_new_view(tape, &tape->dead, &p->value, &node));
    node->root = node;
    node->parameter = p;
    node->memory = p->value.data;
    node->bytes = (size_t)att_view_count(&p->value) * sizeof(float);
    node->needs_gradient = tape->recording;
    return node;
}

att_node *att_tape_constant(att_tape *tape, const att_view *value)
{
    att_node *node;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_new_view(tape, &tape->dead, value, &node));
    node->root = node;
    node->memory = value->data;
    node->needs_gradient = false;
    return node;
}

att_node *att_tape_variable(att_tape *tape, const att_view *value)
{
    att_node *node = att_tape_constant(tape, value);
    TAPE_REQUIRE(tape, att_view_is_dense(value), ATT_E_SHAPE, "variable: its view is not dense");
    node->bytes = (size_t)att_view_count(value) * sizeof(float);
    node->needs_gradient = tape->recording;
    node->leaf = true;
    return node;
}

att_node *att_tape_zeros(att_tape *tape, int ndim, const int64_t *dim)
{
    att_node *node;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, att_tape_new_node(tape, ndim, dim, NULL, false, &node));
    memset(node->memory, 0, node->bytes);
    return node;
}
