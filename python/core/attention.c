/* att_mechanism_* with its structs as dictionaries; the fields of core stand beside the others. Scratch memory is the
 * call's own; the interpreter's lock is released while the library works. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define DESC(f)  CORE_FIELD(att_mechanism_desc, f)
#define IN(f)    CORE_FIELD(att_mechanism_in, f)
#define OUT(f)   CORE_FIELD(att_mechanism_out, f)
#define GRAD(f)  CORE_FIELD(att_mechanism_grad, f)
#define CDESC(f) CORE_INNER(att_mechanism_desc, f)
#define CIN(f)   CORE_INNER(att_mechanism_in, f)
#define COUT(f)  CORE_INNER(att_mechanism_out, f)
#define CGRAD(f) CORE_INNER(att_mechanism_grad, f)

static const core_field desc_fields[] = {DESC(kind),         DESC(local),       DESC(heads),
                                         DESC(kv_heads),     CDESC(score),      CDESC(window),
                                         CDESC(align),       CDESC(scale),      CDESC(left),
                                         CDESC(right),       CDESC(q_offset),   CDESC(masked_rows),
                                         CDESC(softcap),     CDESC(dropout),    CDESC(seed),
                                         CDESC(temperature), CDESC(half_width), CDESC(sigma),
                                         CDESC(untruncated), CDESC(relative),   CDESC(relative_distance),
                                         CDESC(estimator),   CDESC(block),      {0}};
static const core_field in_fields[] = {
    CIN(q),           CIN(k),          CIN(v),          CIN(score_w),      CIN(mask),        CIN(bias),
    CIN(key_lengths), CIN(k_prepared), CIN(query_mask), CIN(q_positions),  CIN(k_positions), CIN(slopes),
    CIN(relative),    CIN(sinks),      CIN(centre),     CIN(block_starts), CIN(block_keys),  CIN(k_scale),
    CIN(v_scale),     IN(w_score),     IN(w_query),     IN(b_query),       IN(w_key),        IN(b_key),
    IN(w_value),      IN(b_value),     IN(w_output),    IN(b_output),      IN(gain),         IN(concat_weight),
    IN(strength),     IN(w_centre),    IN(v_centre),    IN(coverage),      IN(w_coverage),   {0}};
static const core_field out_fields[] = {
    COUT(o),           COUT(lse),         COUT(weights), COUT(entropy), COUT(top_keys),
    COUT(top_weights), COUT(column_sums), OUT(context),  OUT(centre),   {0}};
static const core_field grad_fields[] = {CGRAD(d_o),        CGRAD(dq),
                                         CGRAD(dk),         CGRAD(dv),
                                         CGRAD(dscore_w),   CGRAD(dbias),
                                         CGRAD(dsinks),     CGRAD(drelative),
                                         CGRAD(dcentre),    CGRAD(d_log_prob),
                                         CGRAD(d_entropy),  GRAD(dw_score),
                                         GRAD(dw_query),    GRAD(db_query),
                                         GRAD(dw_key),      GRAD(db_key),
                                         GRAD(dw_value),    GRAD(db_value),
                                         GRAD(dw_output),   GRAD(db_output),
                                         GRAD(dgain),       GRAD(dconcat_weight),
                                         GRAD(dstrength),   GRAD(dw_centre),
                                         GRAD(dv_centre),   GRAD(dcoverage),
                                         GRAD(dw_coverage), {0}};

/* Everything that one call of the library takes. */
typedef struct request {
    att_mechanism_desc desc;
    att_mechanism_in in;
    att_mechanism_out out;
    att_mechanism_grad grad;
    att_exec exec;
    att_span workspace;
    core_buffers buffers;
} request;

static void finish(request *r)
{
    core_release(&r->buffers);
    free(r->workspace.data);
}

/* (desc, in, out, grad, threads, isa); out and grad may be None. */
static int begin(request *r, PyObject *args)
{
    PyObject *desc, *in, *out, *grad;
    int isa;
    memset(r, 0, offsetof(request, buffers));
    r->buffers.n = 0;
    if (!PyArg_ParseTuple(args, "O!O!OOii", &PyDict_Type, &desc, &PyDict_Type, &in, &out, &grad, &r->exec.threads,
                          &isa))
        return -1;
    r->exec.isa = (att_isa)isa;
    if (core_fill(&r->desc, "att_mechanism_desc", desc_fields, desc, &r->buffers) != 0) return -1;
    if (core_fill(&r->in, "att_mechanism_in", in_fields, in, &r->buffers) != 0) return -1;
    if (out != Py_None && core_fill(&r->out, "att_mechanism_out", out_fields, out, &r->buffers) != 0) return -1;
    if (grad != Py_None && core_fill(&r->grad, "att_mechanism_grad", grad_fields, grad, &r->buffers) != 0) return -1;
    return 0;
}

static att_status make_workspace(request *r)
{
    size_t bytes;
    att_status status = att_mechanism_workspace(&r->desc, &r->exec, &r->in, &bytes);
    if (status != ATT_OK || bytes == 0) return status;
    r->workspace.bytes = (bytes + 63) / 64 * 64;
    r->workspace.data = aligned_alloc(64, r->workspace.bytes);
    return r->workspace.data ? ATT_OK : ATT_E_MEMORY;
}

typedef att_status function(request *r);

static att_status forward(request *r)
{
    return att_mechanism_forward(&r->desc, &r->exec, &r->out, &r->in, r->workspace);
}

static att_status backward(request *r)
{
    return att_mechanism_backward(&r->desc, &r->exec, &r->grad, &r->out, &r->in, r->workspace);
}

static PyObject *run(PyObject *args, function *f)
{
    request r;
    PyObject *result = NULL;
    if (begin(&r, args) == 0) {
        PyThreadState *interpreter = PyEval_SaveThread();
        att_status status = make_workspace(&r);
        if (status == ATT_OK) status = f(&r);
        PyEval_RestoreThread(interpreter);
        result = status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    finish(&r);
    return result;
}

static PyObject *attention_forward(PyObject *self, PyObject *args)
{
    (void)self;
    return run(args, forward);
}

static PyObject *attention_backward(PyObject *self, PyObject *args)
{
    (void)self;
    return run(args, backward);
}

static PyObject *attention_path(PyObject *self, PyObject *args)
{
    request r;
    PyObject *result = NULL;
    (void)self;
    if (begin(&r, args) == 0) result = PyUnicode_FromString(att_mechanism_path(&r.desc, &r.exec, &r.in));
    finish(&r);
    return result;
}

/* (desc, in, out, stage, threads, isa): rows of scores or weights at a stage, all heads and queries, into `out`. */
static PyObject *attention_weights(PyObject *self, PyObject *args)
{
    PyObject *desc, *in, *out, *result = NULL;
    int stage, isa;
    request r;
    att_view view = {0};
    const att_view all = {0};
    (void)self;
    memset(&r, 0, offsetof(request, buffers));
    r.buffers.n = 0;
    if (!PyArg_ParseTuple(args, "O!O!Oiii", &PyDict_Type, &desc, &PyDict_Type, &in, &out, &stage, &r.exec.threads,
                          &isa))
        return NULL;
    r.exec.isa = (att_isa)isa;
    if (core_fill(&r.desc, "att_mechanism_desc", desc_fields, desc, &r.buffers) == 0 &&
        core_fill(&r.in, "att_mechanism_in", in_fields, in, &r.buffers) == 0 &&
        core_view("out", out, &view, &r.buffers) == 0) {
        PyThreadState *interpreter = PyEval_SaveThread();
        att_status status = make_workspace(&r);
        if (status == ATT_OK)
            status =
                att_mechanism_weights(&r.desc, &r.exec, (att_stage)stage, &view, &r.in, &all, &all, &all, r.workspace);
        PyEval_RestoreThread(interpreter);
        result = status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    finish(&r);
    return result;
}

/* {"scaled_dot": 0, ...} */
static PyObject *mechanism_names(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyObject *names = PyDict_New();
    for (int kind = 0; names && att_mechanism_name((att_mechanism)kind); kind++) {
        PyObject *number = PyLong_FromLong(kind);
        if (!number || PyDict_SetItemString(names, att_mechanism_name((att_mechanism)kind), number) != 0)
            Py_CLEAR(names);
        Py_XDECREF(number);
    }
    return names;
}

static PyObject *attention_fields(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return Py_BuildValue("{s:N,s:N,s:N,s:N}", "att_mechanism_desc", core_names(desc_fields), "att_mechanism_in",
                         core_names(in_fields), "att_mechanism_out", core_names(out_fields), "att_mechanism_grad",
                         core_names(grad_fields));
}

PyMethodDef core_attention_methods[] = {
    {"attention_forward", attention_forward, METH_VARARGS,
     "(desc, in, out, None, threads, isa): att_mechanism_forward"},
    {"attention_backward", attention_backward, METH_VARARGS,
     "(desc, in, out, grad, threads, isa): att_mechanism_backward"},
    {"attention_path", attention_path, METH_VARARGS, "(desc, in, None, None, threads, isa): the kernel that serves it"},
    {"attention_weights", attention_weights, METH_VARARGS,
     "(desc, in, out, stage, threads, isa): att_mechanism_weights"},
    {"mechanism_names", mechanism_names, METH_NOARGS, "the kinds of mechanism by name"},
    {"attention_fields", attention_fields, METH_NOARGS, "the names of the fields that the dictionaries may have"},
    {0}};
