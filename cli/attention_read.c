/* The files of attend attention, and the shapes in which the library takes them. */
#include <stdlib.h>
#include <string.h>

#include <attend/npy.h>
#include <attend/ops.h>

#include "attention.h"

typedef struct input {
    const char *flag;
    arr_kind kind;
    size_t field;     /* of att_mechanism_in */
    const char *name; /* in the library's messages */
} input;

#define INPUT(id, flag, file, kind, field, name, help)                                                                 \
    [IN_##id] = {flag, kind, offsetof(att_mechanism_in, field), name},
static const input inputs[INPUTS] = {
    ATTENTION_INPUTS(INPUT)[IN_GRAD_OUTPUT] = {"grad-output", ARR_ROWS, 0, "d_o"},
    [IN_GRAD_LOG_PROB] = {"grad-log-prob", ARR_HEADS, 0, "d_log_prob"},
    [IN_GRAD_ENTROPY] = {"grad-entropy", ARR_HEADS, 0, "d_entropy"},
};
#undef INPUT

int attention_fail(const attention_request *r, att_status status)
{
    const char *message = att_last_error();
    size_t n = strcspn(message, ":");
    if (message[n] == '\0') return cli_fail(status);
    const char *gradient = message[0] == 'd' ? "--grad-" : NULL;
    for (int i = 0; i < INPUTS; i++) {
        const char *name = inputs[i].name;
        int given = i == IN_SCORE_VECTOR && !r->in[i] ? IN_SCORE_WEIGHT : i; /* additive takes either flag */
        if (strlen(name) == n && strncmp(message, name, n) == 0 && r->in[given]) {
            cli_failed("--%s %s%s", inputs[given].flag, r->in[given], message + n);
            return cli_exit_status(status);
        }
        if (strlen(name) == n && strncmp(message, name, n) == 0) {
            cli_failed("--%s%s", inputs[i].flag, message + n);
            return cli_exit_status(status);
        }
        if (gradient && strlen(name) + 1 == n && strncmp(message + 1, name, n - 1) == 0 && r->grad[i]) {
            cli_failed("%s%s %s%s", gradient, inputs[i].flag, r->grad[i], message + n);
            return cli_exit_status(status);
        }
    }
    return cli_fail(status);
}

int attention_new_array(att_dtype dtype, int ndim, const int64_t *dim, attention_array *a)
{
    size_t bytes = att_dtype_bytes(dtype);
    for (int i = 0; i < ndim; i++)
        if (__builtin_mul_overflow(bytes, (size_t)dim[i], &bytes) || bytes > PTRDIFF_MAX)
            return cli_failed("out of memory: an array of more than 2^63 bytes");
    a->block = calloc(bytes + 1, 1);
    if (!a->block) return cli_failed("out of memory: an array of %zu bytes", bytes);
    a->file = a->view = att_view_dense(a->block, dtype, ndim, dim);
    return CLI_DONE;
}

/* ---- numbers ---- */

/* Where element `index`, counted row by row, lies. */
static const void *element(const att_view *v, int64_t index)
{
    int64_t at = 0;
    for (int a = v->ndim - 1; a >= 0; a--) {
        at += index % v->dim[a] * v->stride[a];
        index /= v->dim[a];
    }
    return (const char *)v->data + at * (int64_t)att_dtype_bytes(v->dtype);
}

static bool is_zero(const void *p, att_dtype dtype)
{
    double d;
    float f;
    uint16_t half;
    switch (dtype) {
    case ATT_F64: memcpy(&d, p, sizeof d); return d == 0;
    case ATT_F32: memcpy(&f, p, sizeof f); return f == 0;
    case ATT_F16: memcpy(&half, p, sizeof half); return (half & 0x7fff) == 0;
    default: break;
    }
    for (size_t i = 0; i < att_dtype_bytes(dtype); i++)
        if (((const unsigned char *)p)[i]) return false;
    return true;
}

static int to_mask(const att_view *v, attention_array *a)
{
    int status = attention_new_array(ATT_U8, v->ndim, v->dim, a);
    for (int64_t i = 0; status == CLI_DONE && i < att_view_count(v); i++)
        ((uint8_t *)a->block)[i] = !is_zero(element(v, i), v->dtype);
    return status;
}

static int to_integers(const input *in, const char *path, const att_view *v, attention_array *a)
{
    if (v->dtype != ATT_I32 && v->dtype != ATT_I64)
        return cli_wrong("--%s %s: %s, expected int32 or int64", in->flag, path, att_dtype_name(v->dtype));
    int status = attention_new_array(ATT_I32, v->ndim, v->dim, a);
    for (int64_t i = 0; status == CLI_DONE && i < att_view_count(v); i++) {
        int64_t x = v->dtype == ATT_I64 ? *(const int64_t *)element(v, i) : *(const int32_t *)element(v, i);
        if (x < INT32_MIN || x > INT32_MAX)
            return cli_wrong("--%s %s: %lld, expected at most 2^31", in->flag, path, (long long)x);
        ((int32_t *)a->block)[i] = (int32_t)x;
    }
    return status;
}

static int to_floats(const input *in, const char *path, const att_view *v, attention_array *a)
{
    if (v->dtype != ATT_F32 && v->dtype != ATT_F64)
        return cli_wrong("--%s %s: %s, expected float32 or float64", in->flag, path, att_dtype_name(v->dtype));
    int status = attention_new_array(v->dtype, v->ndim, v->dim, a);
    for (int64_t i = 0; status == CLI_DONE && i < att_view_count(v); i++)
        memcpy((char *)a->block + (size_t)i * att_dtype_bytes(v->dtype), element(v, i), att_dtype_bytes(v->dtype));
    return status;
}

static int read_one(attention_call *c, int i)
{
    const char *path = c->r->in[i];
    att_view v;
    if (!path) return CLI_DONE;
    att_status st = att_npy_read(path, NULL, &v);
    if (st != ATT_OK) {
        cli_failed("--%s: %s", inputs[i].flag, att_last_error());
        return cli_exit_status(st);
    }
    arr_kind kind = inputs[i].kind;
    int status = kind == ARR_MASK || kind == ARR_TIMES ? to_mask(&v, &c->in[i])
                 : kind == ARR_INTEGERS                ? to_integers(&inputs[i], path, &v, &c->in[i])
                                                       : to_floats(&inputs[i], path, &v, &c->in[i]);
    att_npy_free(NULL, &v);
    return status;
}

/* ---- shapes ---- */

/* The same elements with sizes 1 in front, until there are `ndim`. */
static att_view padded(const att_view *v, int ndim)
{
    int64_t dim[ATT_MAX_DIMS];
    int more = ndim > v->ndim ? ndim - v->ndim : 0;
    for (int a = 0; a < more; a++) dim[a] = 1;
    for (int a = 0; a < v->ndim; a++) dim[more + a] = v->dim[a];
    return att_view_dense(v->data, v->dtype, v->ndim + more, dim);
}

/* (B,Tq,Tk) beside (B,T,D): the heads are missing, not the batch. */
static att_view scores_view(const attention_call *c, const att_view *v)
{
    if (v->ndim != 3 || c->query_ndim != 3) return *v;
    return att_view_dense(v->data, v->dtype, 4, (int64_t[]){v->dim[0], 1, v->dim[1], v->dim[2]});
}

static int place(attention_call *c, int i)
{
    attention_array *a = &c->in[i];
    const att_view *f = &a->file;
    if (!a->block) return CLI_DONE;
    switch (inputs[i].kind) {
    case ARR_ROWS:
        if (f->ndim < 2 || f->ndim > 4 || f->ndim != c->query_ndim)
            return cli_wrong("--%s %s: %d dimensions, expected %s", inputs[i].flag, c->r->in[i], f->ndim,
                             i == IN_QUERY || f->ndim == c->query_ndim ? "(T,D), (B,T,D) or (B,H,T,D)"
                                                                       : "as many as --query has");
        a->view = padded(f, 3);
        break;
    case ARR_SCORES:
    case ARR_MASK: a->view = scores_view(c, f); break;
    case ARR_HEADS:
        a->view = padded(f, 3);
        if (f->ndim == 2) a->view = att_view_dense(f->data, f->dtype, 3, (int64_t[]){f->dim[0], 1, f->dim[1]});
        break;
    case ARR_NUMBER: a->view = padded(f, 1); break;
    case ARR_TIMES: a->view = padded(f, 2); break;
    case ARR_INTEGERS: a->view = i == IN_QUERY_POSITIONS || i == IN_KEY_POSITIONS ? padded(f, 2) : *f; break;
    case ARR_PLAIN: break;
    }
    if (i < IN_GRAD_OUTPUT) memcpy((char *)&c->args + inputs[i].field, &a->view, sizeof a->view);
    return CLI_DONE;
}

/* --mask and --value-mask (B,Tk) as one mask: a key is visible when both say so. */
static int join_masks(attention_call *c)
{
    attention_array *key = &c->in[IN_VALUE_MASK], *mask = &c->in[IN_MASK];
    if (!key->block) return CLI_DONE;
    const att_view *k = &key->view;
    if (k->ndim != 2) return cli_wrong("--value-mask: %d dimensions, expected (B,Tk)", k->ndim);
    att_view keys = att_view_dense(key->block, ATT_U8, 4, (int64_t[]){k->dim[0], 1, 1, k->dim[1]});
    c->args.core.mask = keys;
    if (!mask->block) return CLI_DONE;
    att_view m = mask->view;
    if (m.ndim > 4) return cli_wrong("--mask: %d dimensions, expected at most 4", m.ndim);
    m = padded(&m, 4);
    attention_array both = {0};
    int64_t dim[4];
    for (int a = 0; a < 4; a++) {
        dim[a] = m.dim[a] == 1 ? keys.dim[a] : m.dim[a];
        if (keys.dim[a] != 1 && keys.dim[a] != dim[a])
            return cli_wrong("--value-mask: %lld where --mask has %lld, expected the same", (long long)keys.dim[a],
                             (long long)dim[a]);
    }
    int status = attention_new_array(ATT_U8, 4, dim, &both);
    if (status != CLI_DONE) return status;
    for (int a = 0; a < 4; a++) {
        m.stride[a] = m.dim[a] == 1 ? 0 : m.stride[a];
        keys.stride[a] = keys.dim[a] == 1 ? 0 : keys.stride[a];
        m.dim[a] = keys.dim[a] = dim[a];
    }
    for (int64_t i = 0; i < att_view_count(&m); i++)
        ((uint8_t *)both.block)[i] = *(const uint8_t *)element(&m, i) && *(const uint8_t *)element(&keys, i);
    free(mask->block);
    *mask = both;
    c->args.core.mask = both.view;
    return CLI_DONE;
}

int attention_read(attention_call *c)
{
    int status = CLI_DONE;
    for (int i = 0; status == CLI_DONE && i < INPUTS; i++) status = read_one(c, i);
    if (status != CLI_DONE) return status;
    c->query_ndim = c->in[IN_QUERY].file.ndim;
    for (int i = 0; status == CLI_DONE && i < INPUTS; i++) status = place(c, i);
    return status == CLI_DONE ? join_masks(c) : status;
}

void attention_free(attention_call *c)
{
    for (int i = 0; i < INPUTS; i++) free(c->in[i].block), free(c->grad[i].block);
    for (int i = 0; i < OUTPUTS; i++) free(c->out[i].block);
    free(c->context.block);
    free(c->span.data);
    free(c);
}
