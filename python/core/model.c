/* Translators: a capsule that owns one, and translations as tuples. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define TRANSLATOR "attend._core.translator"
#define OPTION(f)  CORE_FIELD(att_translate_options, f)

static const core_field option_fields[] = {OPTION(beam),
                                           OPTION(n_best),
                                           OPTION(max_length),
                                           OPTION(batch),
                                           OPTION(length_penalty),
                                           OPTION(coverage_penalty),
                                           OPTION(replace_unknown),
                                           OPTION(with_attention),
                                           {0}};

static void translator_free(PyObject *capsule)
{
    att_translator_destroy(PyCapsule_GetPointer(capsule, TRANSLATOR));
}

static PyObject *translator_load(PyObject *self, PyObject *args)
{
    const char *path;
    att_exec exec = {0};
    int isa;
    att_translator *translator = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "sii", &path, &exec.threads, &isa)) return NULL;
    exec.isa = (att_isa)isa;
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_translator_load(path, &exec, NULL, &translator);
    PyEval_RestoreThread(interpreter);
    if (status != ATT_OK) return core_raise(status);
    PyObject *capsule = PyCapsule_New(translator, TRANSLATOR, translator_free);
    if (!capsule) att_translator_destroy(translator);
    return capsule;
}

static PyObject *translator_attends(PyObject *self, PyObject *capsule)
{
    const att_translator *translator = PyCapsule_GetPointer(capsule, TRANSLATOR);
    (void)self;
    return translator ? PyBool_FromLong(att_translator_attends(translator)) : NULL;
}

/* ---- one translation as (text, score, log probability), with attention followed by (source, target, weights, heads,
 * encoder, decoder, cross) ---- */

static PyObject *string_list(char **strings, int64_t n)
{
    PyObject *list = PyList_New(0);
    for (int64_t i = 0; list && i < n; i++) {
        PyObject *s = PyUnicode_DecodeUTF8(strings[i], (Py_ssize_t)strlen(strings[i]), "replace");
        if (!s || PyList_Append(list, s) != 0) Py_CLEAR(list);
        Py_XDECREF(s);
    }
    return list;
}

static PyObject *weights_bytes(const float *weights, int64_t n)
{
    return weights ? PyBytes_FromStringAndSize((const char *)weights, (Py_ssize_t)((size_t)n * sizeof(float)))
                   : Py_NewRef(Py_None);
}

static PyObject *translation_tuple(const att_translation *t)
{
    int64_t rows = t->rows, cols = t->cols, H = t->heads;
    if (!t->source || !t->target) return Py_BuildValue("(sdd)", t->text, t->score, t->log_probability);
    return Py_BuildValue("(sddNNNLNNN)", t->text, t->score, t->log_probability, string_list(t->source, cols),
                         string_list(t->target, rows), weights_bytes(t->weights, rows * cols), (long long)H,
                         weights_bytes(t->encoder, t->encoder_layers * H * cols * cols),
                         weights_bytes(t->decoder, t->decoder_layers * H * rows * rows),
                         weights_bytes(t->cross, t->decoder_layers * H * rows * cols));
}

static PyObject *translation_list(const att_translation *results, int64_t n)
{
    PyObject *list = PyList_New(0);
    for (int64_t i = 0; list && i < n; i++) {
        PyObject *t = translation_tuple(&results[i]);
        if (!t || PyList_Append(list, t) != 0) Py_CLEAR(list);
        Py_XDECREF(t);
    }
    return list;
}

/* ---- translate ---- */

/* Lets signals and the caller's function stop the search; the exception waits until att_translate is back. */
static int report(void *ctx, int64_t done)
{
    PyObject *progress = ctx;
    PyGILState_STATE state = PyGILState_Ensure();
    int stop = PyErr_CheckSignals() != 0;
    if (!stop && progress != Py_None) {
        PyObject *answer = PyObject_CallFunction(progress, "L", (long long)done);
        stop = !answer;
        Py_XDECREF(answer);
    }
    PyGILState_Release(state);
    return stop;
}

static int collect_lines(PyObject *list, att_text *lines)
{
    for (Py_ssize_t i = 0; i < PyList_Size(list); i++) {
        Py_ssize_t bytes;
        lines[i].data = PyUnicode_AsUTF8AndSize(PyList_GetItem(list, i), &bytes);
        if (!lines[i].data) return -1;
        lines[i].bytes = (size_t)bytes;
    }
    return 0;
}

static PyObject *run(att_translator *translator, const att_translate_options *options, PyObject *list,
                     PyObject *progress)
{
    int64_t n = PyList_Size(list), per_line = options->n_best > 1 ? options->n_best : 1;
    att_text *lines = calloc((size_t)n + 1, sizeof *lines);
    att_translation *results = calloc((size_t)(n * per_line) + 1, sizeof *results);
    PyObject *found = NULL;
    if (!lines || !results) {
        PyErr_NoMemory();
    } else if (collect_lines(list, lines) == 0) {
        PyThreadState *interpreter = PyEval_SaveThread();
        att_status status = att_translate(translator, options, lines, n, results, report, progress);
        PyEval_RestoreThread(interpreter);
        if (status == ATT_OK)
            found = translation_list(results, n * per_line);
        else if (!PyErr_Occurred())
            core_raise(status);
        if (status == ATT_OK) att_translations_free(results, n * per_line);
    }
    free(results);
    free(lines);
    return found;
}

static PyObject *translate(PyObject *self, PyObject *args)
{
    PyObject *capsule, *list, *wanted, *progress;
    att_translate_options options;
    core_buffers none = {.n = 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "OO!O!O", &capsule, &PyList_Type, &list, &PyDict_Type, &wanted, &progress)) return NULL;
    att_translator *translator = PyCapsule_GetPointer(capsule, TRANSLATOR);
    if (!translator) return NULL;
    att_translate_defaults(translator, &options);
    if (core_fill(&options, "att_translate_options", option_fields, wanted, &none) != 0) return NULL;
    return run(translator, &options, list, progress);
}

PyMethodDef core_model_methods[] = {
    {"translator_load", translator_load, METH_VARARGS, "(path, threads, isa): a translator"},
    {"translator_attends", translator_attends, METH_O, "(translator): whether it has weights to see"},
    {"translate", translate, METH_VARARGS,
     "(translator, lines, options, progress): [(text, score, log_probability, ...)]"},
    {0}};
