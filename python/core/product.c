/* att_product, for the projections of layers. */
#include "core.h"

#include <stdlib.h>

static att_status multiply(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                           const att_view *b, const att_view *bias)
{
    att_span workspace = {0};
    att_status status = ATT_OK;
    if (c->ndim == 2 && a->ndim == 2) { /* otherwise the call below says what is wrong */
        status = att_product_workspace(exec, c->dim[0], c->dim[1], a->dim[1], &workspace.bytes);
        workspace.bytes = (workspace.bytes + 63) / 64 * 64;
        if (workspace.bytes) workspace.data = aligned_alloc(64, workspace.bytes);
        if (workspace.bytes && !workspace.data) return ATT_E_MEMORY;
    }
    if (status == ATT_OK) status = att_product(desc, exec, c, a, b, bias, workspace);
    free(workspace.data);
    return status;
}

static PyObject *product(PyObject *self, PyObject *args)
{
    PyObject *from[4];
    att_view view[4] = {{0}};
    const char *const names[] = {"c", "a", "b", "bias"};
    core_buffers buffers = {.n = 0};
    att_product_desc desc = {0};
    att_exec exec = {0};
    int activation, isa, bad = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOiiii", &from[0], &from[1], &from[2], &from[3], &desc.accumulate, &activation,
                          &exec.threads, &isa))
        return NULL;
    desc.activation = (att_activation)activation;
    exec.isa = (att_isa)isa;
    for (int i = 0; i < 4 && !bad; i++)
        if (from[i] != Py_None) bad = core_view(names[i], from[i], &view[i], &buffers);
    att_status status = ATT_OK;
    if (!bad) {
        PyThreadState *interpreter = PyEval_SaveThread();
        status = multiply(&desc, &exec, &view[0], &view[1], &view[2], &view[3]);
        PyEval_RestoreThread(interpreter);
    }
    core_release(&buffers);
    if (bad) return NULL;
    return status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
}

PyMethodDef core_product_methods[] = {
    {"product", product, METH_VARARGS, "(c, a, b, bias, accumulate, activation, threads, isa): c = act(a b + bias)"},
    {0}};
