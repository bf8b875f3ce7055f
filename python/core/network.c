/* Transformers by themselves: tokens, logits, embeddings, weights. */
#include "core.h"

#include <stdlib.h>

#define NETWORK "attend._core.network"

static void network_free(PyObject *capsule)
{
    att_model_destroy(PyCapsule_GetPointer(capsule, NETWORK));
}

static PyObject *network_load(PyObject *self, PyObject *args)
{
    const char *path;
    att_exec exec = {0};
    int isa;
    att_model *model = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "sii", &path, &exec.threads, &isa)) return NULL;
    exec.isa = (att_isa)isa;
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_model_load(path, &exec, NULL, &model);
    PyEval_RestoreThread(interpreter);
    if (status != ATT_OK) return core_raise(status);
    PyObject *capsule = PyCapsule_New(model, NETWORK, network_free);
    if (!capsule) att_model_destroy(model);
    return capsule;
}

static PyObject *network_sizes(PyObject *self, PyObject *capsule)
{
    const att_model *model = PyCapsule_GetPointer(capsule, NETWORK);
    (void)self;
    if (!model) return NULL;
    const att_transformer_config *c = att_transformer_configuration(att_model_transformer(model));
    long long encoder = c->shape == ATT_TRANSFORMER_DECODER ? 0 : c->encoder_layers;
    long long decoder = c->shape == ATT_TRANSFORMER_ENCODER ? 0 : c->decoder_layers;
    return Py_BuildValue("{s:L,s:L,s:L,s:L,s:L,s:L}", "encoder_layers", encoder, "decoder_layers", decoder, "heads",
                         (long long)c->heads, "width", (long long)c->width, "vocabulary",
                         (long long)c->target_vocabulary, "context", (long long)c->context);
}

/* ---- tokens ---- */

static const att_tokenizer *tokenizer_of(PyObject *capsule, int target)
{
    const att_model *model = PyCapsule_GetPointer(capsule, NETWORK);
    const att_tokenizer *t = model ? att_model_tokenizer(model, target) : NULL;
    if (model && !t) PyErr_SetString(PyExc_ValueError, "the model file has no tokeniser; give token numbers");
    return t;
}

static PyObject *encode(PyObject *self, PyObject *args)
{
    PyObject *capsule, *list = NULL;
    const char *text;
    Py_ssize_t bytes;
    int target;
    int64_t n = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "Os#i", &capsule, &text, &bytes, &target)) return NULL;
    const att_tokenizer *t = tokenizer_of(capsule, target);
    if (!t) return NULL;
    att_status status = att_tokenizer_encode(t, text, (size_t)bytes, NULL, 0, &n);
    if (status != ATT_OK && status != ATT_E_SHAPE) return core_raise(status);
    int32_t *ids = malloc(((size_t)n + 1) * sizeof *ids);
    if (!ids) return PyErr_NoMemory();
    status = att_tokenizer_encode(t, text, (size_t)bytes, ids, n, &n);
    if (status != ATT_OK)
        core_raise(status);
    else
        list = PyList_New(0);
    for (int64_t i = 0; list && i < n; i++) {
        PyObject *id = PyLong_FromLong(ids[i]);
        if (!id || PyList_Append(list, id) != 0) Py_CLEAR(list);
        Py_XDECREF(id);
    }
    free(ids);
    return list;
}

static PyObject *decode(PyObject *self, PyObject *args)
{
    PyObject *capsule, *array, *result = NULL;
    att_view ids;
    size_t bytes = 0;
    core_buffers buffers = {.n = 0};
    int target;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOi", &capsule, &array, &target)) return NULL;
    const att_tokenizer *t = tokenizer_of(capsule, target);
    if (!t || core_view("ids", array, &ids, &buffers) != 0) return NULL;
    att_status status = att_tokenizer_decode(t, ids.data, ids.dim[0], NULL, 0, &bytes);
    char *text = malloc(bytes + 1);
    if (text && (status == ATT_OK || status == ATT_E_SHAPE))
        status = att_tokenizer_decode(t, ids.data, ids.dim[0], text, bytes + 1, &bytes);
    if (!text)
        PyErr_NoMemory();
    else if (status != ATT_OK)
        core_raise(status);
    else
        result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)bytes, "replace");
    free(text);
    core_release(&buffers);
    return result;
}

/* ---- what it computes ---- */

enum { ARRAYS = 4, OUTPUTS = 3 };

/* Views of ids, lengths, segments and target, then of what is written; NULL for None. */
typedef struct arrays {
    att_view view[ARRAYS + OUTPUTS];
    att_view *given[ARRAYS + OUTPUTS];
    core_buffers buffers;
} arrays;

static int take(arrays *a, PyObject *const *from, int n)
{
    static const char *const names[] = {"ids", "lengths", "segments", "target", "result", "result", "result"};
    for (int i = 0; i < n; i++) {
        if (from[i] == Py_None) continue;
        if (core_view(names[i], from[i], &a->view[i], &a->buffers) != 0) return -1;
        a->given[i] = &a->view[i];
    }
    return 0;
}

static PyObject *finish(arrays *a, att_status status)
{
    core_release(&a->buffers);
    return status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
}

static PyObject *network_logits(PyObject *self, PyObject *args)
{
    PyObject *capsule, *from[ARRAYS + 1];
    arrays a = {0};
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOO", &capsule, &from[0], &from[1], &from[2], &from[3], &from[4])) return NULL;
    att_model *model = PyCapsule_GetPointer(capsule, NETWORK);
    if (!model || take(&a, from, ARRAYS + 1) != 0) {
        core_release(&a.buffers);
        return NULL;
    }
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_model_logits(model, a.given[0], a.given[1], a.given[2], a.given[3], a.given[4]);
    PyEval_RestoreThread(interpreter);
    return finish(&a, status);
}

static PyObject *network_attention(PyObject *self, PyObject *args)
{
    PyObject *capsule, *from[ARRAYS + OUTPUTS];
    arrays a = {0};
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOOOO", &capsule, &from[0], &from[1], &from[2], &from[3], &from[4], &from[5],
                          &from[6]))
        return NULL;
    att_model *model = PyCapsule_GetPointer(capsule, NETWORK);
    if (!model || take(&a, from, ARRAYS + OUTPUTS) != 0) {
        core_release(&a.buffers);
        return NULL;
    }
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status =
        att_model_attention(model, a.given[0], a.given[1], a.given[2], a.given[3], a.given[4], a.given[5], a.given[6]);
    PyEval_RestoreThread(interpreter);
    return finish(&a, status);
}

static int on_progress(void *ctx, int64_t done)
{
    PyGILState_STATE state = PyGILState_Ensure();
    int stop = PyErr_CheckSignals() != 0;
    (void)ctx;
    (void)done;
    PyGILState_Release(state);
    return stop;
}

typedef att_status of_lines(att_model *, const att_text *, int64_t, att_view *, int (*)(void *, int64_t), void *);

/* (network, lines, result): what `make` makes of the lines. */
static PyObject *from_lines(PyObject *args, of_lines *make)
{
    PyObject *capsule, *list, *array;
    arrays a = {0};
    if (!PyArg_ParseTuple(args, "OO!O", &capsule, &PyList_Type, &list, &array)) return NULL;
    att_model *model = PyCapsule_GetPointer(capsule, NETWORK);
    Py_ssize_t n = PyList_Size(list);
    att_text *lines = model ? calloc((size_t)n + 1, sizeof *lines) : NULL;
    if (model && !lines) return PyErr_NoMemory();
    int bad = !model || core_view("result", array, &a.view[0], &a.buffers) != 0;
    for (Py_ssize_t i = 0; i < n && !bad; i++) {
        Py_ssize_t bytes;
        lines[i].data = PyUnicode_AsUTF8AndSize(PyList_GetItem(list, i), &bytes);
        lines[i].bytes = (size_t)bytes;
        bad = !lines[i].data;
    }
    att_status status = ATT_OK;
    if (!bad) {
        PyThreadState *interpreter = PyEval_SaveThread();
        status = make(model, lines, n, &a.view[0], on_progress, NULL);
        PyEval_RestoreThread(interpreter);
    }
    free(lines);
    core_release(&a.buffers);
    if (bad || PyErr_Occurred()) return NULL;
    return status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
}

static PyObject *network_embed(PyObject *self, PyObject *args)
{
    (void)self;
    return from_lines(args, att_model_embed);
}

static PyObject *network_classify(PyObject *self, PyObject *args)
{
    (void)self;
    return from_lines(args, att_model_classify);
}

static PyObject *network_classes(PyObject *self, PyObject *capsule)
{
    (void)self;
    const att_model *model = PyCapsule_GetPointer(capsule, NETWORK);
    PyObject *list = model ? PyList_New(0) : NULL;
    for (int64_t i = 0; list && i < att_model_classes(model); i++) {
        PyObject *name = PyUnicode_FromString(att_model_class(model, i));
        if (!name || PyList_Append(list, name) != 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

PyMethodDef core_network_methods[] = {
    {"network_load", network_load, METH_VARARGS, "(path, threads, isa): a Transformer"},
    {"network_sizes", network_sizes, METH_O, "(network): layers, heads, width, vocabulary, context"},
    {"encode", encode, METH_VARARGS, "(network, text, target): token numbers"},
    {"decode", decode, METH_VARARGS, "(network, ids, target): text"},
    {"network_logits", network_logits, METH_VARARGS, "(network, ids, lengths, segments, target, result)"},
    {"network_attention", network_attention, METH_VARARGS,
     "(network, ids, lengths, segments, target, encoder, decoder, cross)"},
    {"network_embed", network_embed, METH_VARARGS, "(network, lines, result)"},
    {"network_classify", network_classify, METH_VARARGS, "(network, lines, result)"},
    {"network_classes", network_classes, METH_O, "(network): their names"},
    {0}};
