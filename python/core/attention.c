/* att_attention_* with its structs as dictionaries. Scratch memory is the call's own; the interpreter's lock is
 * released while the library works. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define DESC(f) CORE_FIELD(att_attention_desc, f)
#define IN(f)   CORE_FIELD(att_attention_in, f)
#define OUT(f)  CORE_FIELD(att_attention_out, f)
#define GRAD(f) CORE_FIELD(att_attention_grad, f)

static const core_field desc_fields[] = {DESC(score),
                                         DESC(window),
                                         DESC(align),
                                         DESC(scale),
                                         DESC(left),
                                         DESC(right),
                                         DESC(q_offset),
                                         DESC(masked_rows),
                                         DESC(softcap),
                                         DESC(dropout),
                                         DESC(seed),
                                         DESC(temperature),
                                         DESC(half_width),
                                         DESC(sigma),
                                         DESC(untruncated),
                                         DESC(relative),
                                         DESC(relative_distance),
                                         DESC(estimator),
                                         DESC(block),
                                         {0}};
static const core_field in_fields[] = {IN(q),          IN(k),           IN(v),           IN(score_w),
                                       IN(mask),       IN(bias),        IN(key_lengths), IN(k_prepared),
                                       IN(query_mask), IN(q_positions), IN(k_positions), IN(slopes),
                                       IN(relative),   IN(sinks),       IN(centre),      IN(block_starts),
                                       IN(block_keys), IN(k_scale),     IN(v_scale),     {0}};
static const core_field out_fields[] = {OUT(o),        OUT(lse),         OUT(weights),     OUT(entropy),
                                        OUT(top_keys), OUT(top_weights), OUT(column_sums), {0}};
static const core_field grad_fields[] = {GRAD(d_o),      GRAD(dq),         GRAD(dk),        GRAD(dv),
                                         GRAD(dscore_w), GRAD(dbias),      GRAD(dsinks),    GRAD(drelative),
                                         GRAD(dcentre),  GRAD(d_log_prob), GRAD(d_entropy), {0}};

/* Everything that one call of the library takes. */
typedef struct request {
    att_attention_desc desc;
    att_attention_in in;
    att_attention_out out;
    att_attention_grad grad;
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
    if (core_fill(&r->desc, "att_attention_desc", desc_fields, desc, &r->buffers) != 0) return -1;
    if (core_fill(&r->in, "att_attention_in", in_fields, in, &r->buffers) != 0) return -1;
    if (out != Py_None && core_fill(&r->out, "att_attention_out", out_fields, out, &r->buffers) != 0) return -1;
    if (grad != Py_None && core_fill(&r->grad, "att_attention_grad", grad_fields, grad, &r->buffers) != 0) return -1;
    return 0;
}

static att_status make_workspace(request *r)
{
    size_t bytes;
    att_status status = att_attention_workspace(&r->desc, &r->exec, &r->in, &bytes);
    if (status != ATT_OK || bytes == 0) return status;
    r->workspace.bytes = (bytes + 63) / 64 * 64;
    r->workspace.data = aligned_alloc(64, r->workspace.bytes);
    return r->workspace.data ? ATT_OK : ATT_E_MEMORY;
}

typedef att_status function(request *r);

static att_status forward(request *r)
{
    return att_attention_forward(&r->desc, &r->exec, &r->out, &r->in, r->workspace);
}

static att_status backward(request *r)
{
    return att_attention_backward(&r->desc, &r->exec, &r->grad, &r->out, &r->in, r->workspace);
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
    if (begin(&r, args) == 0) result = PyUnicode_FromString(att_attention_path(&r.desc, &r.exec, &r.in));
    finish(&r);
    return result;
}

static PyObject *attention_fields(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return Py_BuildValue("{s:N,s:N,s:N,s:N}", "att_attention_desc", core_names(desc_fields), "att_attention_in",
                         core_names(in_fields), "att_attention_out", core_names(out_fields), "att_attention_grad",
                         core_names(grad_fields));
}

PyMethodDef core_attention_methods[] = {
    {"attention_forward", attention_forward, METH_VARARGS,
     "(desc, in, out, None, threads, isa): att_attention_forward"},
    {"attention_backward", attention_backward, METH_VARARGS,
     "(desc, in, out, grad, threads, isa): att_attention_backward"},
    {"attention_path", attention_path, METH_VARARGS, "(desc, in, None, None, threads, isa): the kernel that serves it"},
    {"attention_fields", attention_fields, METH_NOARGS, "the names of the fields that the dictionaries may have"},
    {0}};
