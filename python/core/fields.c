/* Dictionaries into structs, buffers into views. */
#include "core.h"

#include <string.h>

/* ---- views ---- */

/* The element type that a buffer's format (Python's struct module) stands for; 0 when none does. */
static int dtype_of(const Py_buffer *b, att_dtype *dtype)
{
    const char *f = b->format ? b->format : "B";
    if (*f == '@' || *f == '=' || *f == '<') f++;
    if (*f == '\0' || f[1] != '\0') return 0;
    switch (*f) {
    case 'f': *dtype = ATT_F32; return 1;
    case 'd': *dtype = ATT_F64; return 1;
    case 'e': *dtype = ATT_F16; return 1;
    case 'b': *dtype = ATT_I8; return 1;
    case 'B':
    case '?': *dtype = ATT_U8; return 1;
    case 'i':
    case 'l':
    case 'q': *dtype = b->itemsize == 8 ? ATT_I64 : ATT_I32; return b->itemsize == 4 || b->itemsize == 8;
    default: return 0;
    }
}

static int fill_view(const char *name, const Py_buffer *b, att_view *view)
{
    if (!dtype_of(b, &view->dtype)) {
        PyErr_Format(PyExc_ValueError, "%s: elements of format '%s', expected floats, integers or booleans", name,
                     b->format ? b->format : "");
        return -1;
    }
    if (b->ndim > ATT_MAX_DIMS) {
        PyErr_Format(PyExc_ValueError, "%s: %d dimensions, expected at most %d", name, b->ndim, ATT_MAX_DIMS);
        return -1;
    }
    view->data = b->buf;
    view->ndim = b->ndim;
    for (int a = 0; a < b->ndim; a++) {
        if (b->strides[a] % b->itemsize != 0) {
            PyErr_Format(PyExc_ValueError, "%s: stride of %zd bytes, expected a multiple of the element's %zd", name,
                         b->strides[a], b->itemsize);
            return -1;
        }
        view->dim[a] = b->shape[a];
        view->stride[a] = b->strides[a] / b->itemsize;
    }
    return 0;
}

int core_view(const char *name, PyObject *from, att_view *view, core_buffers *buffers)
{
    int half = PyTuple_Check(from) && PyTuple_Size(from) == 2; /* numbers that no buffer format has */
    if (buffers->n == (int)(sizeof buffers->held / sizeof *buffers->held)) {
        PyErr_SetString(PyExc_SystemError, "too many buffers in one call");
        return -1;
    }
    Py_buffer *b = &buffers->held[buffers->n];
    if (PyObject_GetBuffer(half ? PyTuple_GetItem(from, 0) : from, b, PyBUF_STRIDED_RO | PyBUF_FORMAT) != 0) return -1;
    buffers->n++;
    if (fill_view(name, b, view) != 0) return -1;
    if (half) view->dtype = ATT_BF16;
    return 0;
}

void core_release(core_buffers *buffers)
{
    for (int i = 0; i < buffers->n; i++) PyBuffer_Release(&buffers->held[i]);
    buffers->n = 0;
}

/* ---- structs ---- */

static const core_field *find(const core_field *fields, PyObject *key)
{
    if (!PyUnicode_Check(key)) return NULL;
    for (const core_field *f = fields; f->name; f++)
        if (PyUnicode_CompareWithASCIIString(key, f->name) == 0) return f;
    return NULL;
}

static int fill_field(void *place, const core_field *f, PyObject *value, core_buffers *buffers)
{
    switch (f->kind) {
    case CORE_VIEW: return core_view(f->name, value, place, buffers);
    case CORE_INT: *(int *)place = (int)PyLong_AsLong(value); break;
    case CORE_INT64: *(int64_t *)place = PyLong_AsLongLong(value); break;
    case CORE_UINT64: *(uint64_t *)place = PyLong_AsUnsignedLongLongMask(value); break;
    case CORE_FLOAT: *(float *)place = (float)PyFloat_AsDouble(value); break;
    case CORE_DOUBLE: *(double *)place = PyFloat_AsDouble(value); break;
    case CORE_TEXT: *(const char **)place = PyUnicode_AsUTF8AndSize(value, NULL); break;
    }
    return PyErr_Occurred() ? -1 : 0;
}

int core_fill(void *object, const char *what, const core_field *fields, PyObject *dict, core_buffers *buffers)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value)) {
        const core_field *f = find(fields, key);
        if (!f) {
            PyErr_Format(PyExc_TypeError, "%s has no field %R", what, key);
            return -1;
        }
        if (fill_field((char *)object + f->offset, f, value, buffers) != 0) return -1;
    }
    return 0;
}

PyObject *core_names(const core_field *fields)
{
    PyObject *names = PyList_New(0);
    for (const core_field *f = fields; names && f->name; f++) {
        PyObject *name = PyUnicode_FromString(f->name);
        if (!name || PyList_Append(names, name) != 0) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

/* ---- failures ---- */

PyObject *core_raise(att_status status)
{
    PyObject *kind = PyExc_ValueError;
    if (status == ATT_E_IO) kind = PyExc_OSError;
    if (status == ATT_E_MISSING) kind = PyExc_FileNotFoundError;
    if (status == ATT_E_DIVERGED) kind = PyExc_ArithmeticError;
    if (status == ATT_E_INTERRUPTED) kind = PyExc_KeyboardInterrupt;
    if (status == ATT_E_MEMORY) return PyErr_NoMemory();
    PyErr_SetString(kind, att_last_error());
    return NULL;
}
