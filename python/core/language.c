/* Language models: a capsule that owns one, and texts as tuples. */
#include "core.h"

#define LANGUAGE    "attend._core.language"
#define GENERATE(f) CORE_FIELD(att_generate_options, f)
#define INVENT(f)   CORE_FIELD(att_invent_options, f)

static const core_field generate_fields[] = {GENERATE(max_tokens),
                                             GENERATE(min_tokens),
                                             GENERATE(temperature),
                                             GENERATE(top_k),
                                             GENERATE(top_p),
                                             GENERATE(min_p),
                                             GENERATE(repetition_penalty),
                                             GENERATE(seed),
                                             GENERATE(ignore_end),
                                             GENERATE(slide),
                                             {0}};
static const core_field invent_fields[] = {
    INVENT(word), INVENT(keep_known), INVENT(keep_short), INVENT(most_draws), {0}};

static void language_free(PyObject *capsule)
{
    att_language_destroy(PyCapsule_GetPointer(capsule, LANGUAGE));
}

static PyObject *language_load(PyObject *self, PyObject *args)
{
    const char *path;
    att_exec exec = {0};
    int isa;
    att_language *language = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "sii", &path, &exec.threads, &isa)) return NULL;
    exec.isa = (att_isa)isa;
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_language_load(path, &exec, NULL, &language);
    PyEval_RestoreThread(interpreter);
    if (status != ATT_OK) return core_raise(status);
    PyObject *capsule = PyCapsule_New(language, LANGUAGE, language_free);
    if (!capsule) att_language_destroy(language);
    return capsule;
}

/* Hands each piece to the caller's function; its exception, or a signal's, waits until att_generate is back. */
static int on_piece(void *ctx, att_text text)
{
    PyObject *stream = ctx;
    PyGILState_STATE state = PyGILState_Ensure();
    int stop = PyErr_CheckSignals() != 0;
    if (!stop && stream != Py_None) {
        PyObject *answer = PyObject_CallFunction(stream, "s#", text.data, (Py_ssize_t)text.bytes);
        stop = !answer;
        Py_XDECREF(answer);
    }
    PyGILState_Release(state);
    return stop;
}

static PyObject *generate(PyObject *self, PyObject *args)
{
    PyObject *capsule, *wanted, *stream, *result = NULL;
    const char *prompt;
    Py_ssize_t bytes;
    att_generate_options options = {.temperature = 1.0};
    att_generated g;
    core_buffers none = {.n = 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "Os#O!O", &capsule, &prompt, &bytes, &PyDict_Type, &wanted, &stream)) return NULL;
    att_language *language = PyCapsule_GetPointer(capsule, LANGUAGE);
    if (!language) return NULL;
    if (core_fill(&options, "att_generate_options", generate_fields, wanted, &none) != 0) return NULL;
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_generate(language, &options, (att_text){prompt, (size_t)bytes}, &g, on_piece, stream);
    PyEval_RestoreThread(interpreter);
    if (status == ATT_OK)
        result = Py_BuildValue("(sLLdi)", g.text, (long long)g.prompt_tokens, (long long)g.tokens, g.log_probability,
                               g.ended);
    else if (!PyErr_Occurred())
        core_raise(status);
    att_text_free(NULL, g.text);
    return result;
}

static PyObject *invent(PyObject *self, PyObject *args)
{
    PyObject *capsule, *sampling, *wanted, *result = NULL;
    att_invent_options options = {.sampling = {.temperature = 1.0}};
    att_entry e;
    core_buffers none = {.n = 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "OO!O!", &capsule, &PyDict_Type, &sampling, &PyDict_Type, &wanted)) return NULL;
    att_language *language = PyCapsule_GetPointer(capsule, LANGUAGE);
    if (!language) return NULL;
    if (core_fill(&options.sampling, "att_generate_options", generate_fields, sampling, &none) != 0) return NULL;
    if (core_fill(&options, "att_invent_options", invent_fields, wanted, &none) != 0) return NULL;
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_invent(language, &options, &e);
    PyEval_RestoreThread(interpreter);
    if (status == ATT_OK)
        result = Py_BuildValue("(sCssi)", e.word, e.part, e.definition, e.example, e.known);
    else
        core_raise(status);
    att_entry_free(&e);
    return result;
}

PyMethodDef core_language_methods[] = {
    {"language_load", language_load, METH_VARARGS, "(path, threads, isa): a language model"},
    {"generate", generate, METH_VARARGS,
     "(language, prompt, options, stream): (text, prompt_tokens, tokens, log_probability, ended)"},
    {"invent", invent, METH_VARARGS, "(language, sampling, options): (word, part, definition, example, known)"},
    {0}};
