/* Training what a recipe says, with a call of Python after every step. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

typedef struct hooks {
    PyObject *progress, *validated, *note; /* callables or None */
    int stopped;                           /* progress answered with true */
} hooks;

/* Calls with the arguments' tuple, which it takes over; whether the run is to stop. */
static int call(PyObject *function, PyObject *arguments, int *answered)
{
    PyObject *answer = arguments && function != Py_None ? PyObject_CallObject(function, arguments) : NULL;
    Py_XDECREF(arguments);
    if (answer && answered) *answered = PyObject_IsTrue(answer) == 1;
    Py_XDECREF(answer);
    return PyErr_Occurred() != NULL || (answered && *answered);
}

static int on_progress(void *ctx, const att_train_progress *p)
{
    hooks *h = ctx;
    PyGILState_STATE state = PyGILState_Ensure();
    int stop = PyErr_Occurred() != NULL || PyErr_CheckSignals() != 0;
    if (!stop)
        stop = call(h->progress,
                    Py_BuildValue("(LLLLLddddd)", (long long)p->step, (long long)p->steps, (long long)p->epoch,
                                  (long long)p->tokens, (long long)p->skipped, p->loss, p->lr, p->norm,
                                  p->tokens_per_second, p->seconds),
                    &h->stopped);
    PyGILState_Release(state);
    return stop;
}

static void on_validated(void *ctx, int64_t step, const att_validation *v, int best)
{
    hooks *h = ctx;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *scores = PyDict_New();
    for (int i = 0; scores && i < v->count; i++) {
        PyObject *value = PyFloat_FromDouble(v->score[i].value);
        if (!value || PyDict_SetItemString(scores, v->score[i].name, value) != 0) Py_CLEAR(scores);
        Py_XDECREF(value);
    }
    if (scores && !PyErr_Occurred()) call(h->validated, Py_BuildValue("(LNi)", (long long)step, scores, best), NULL);
    PyGILState_Release(state);
}

static void on_note(void *ctx, const char *text)
{
    hooks *h = ctx;
    PyGILState_STATE state = PyGILState_Ensure();
    if (!PyErr_Occurred()) call(h->note, Py_BuildValue("(s)", text), NULL);
    PyGILState_Release(state);
}

/* The recipe's file, if there is one, then the assignments "key=value"; `folder` is where the run is kept when neither
 * says. */
static att_status resolve(const char *path, const char *folder, PyObject *assignments, att_recipe *recipe)
{
    char text[4200];
    const att_options *table = att_recipe_options();
    att_status status = *path ? att_options_read_yaml(table, recipe, path) : ATT_OK;
    for (Py_ssize_t i = 0; i < PyList_Size(assignments) && status == ATT_OK; i++) {
        const char *assignment = PyUnicode_AsUTF8AndSize(PyList_GetItem(assignments, i), NULL);
        if (!assignment) return ATT_E_VALUE;
        status = att_options_set(table, recipe, assignment);
    }
    if (status != ATT_OK || *recipe->run.folder || !*folder) return status;
    snprintf(text, sizeof text, "train.folder=%s", folder);
    return att_options_set(table, recipe, text);
}

static att_status run(const att_recipe *recipe, const att_exec *exec, int resume, hooks *h)
{
    const att_training_hooks called = {.progress = on_progress, .validated = on_validated, .note = on_note, .ctx = h};
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_recipe_train(recipe, exec, resume, &called);
    PyEval_RestoreThread(interpreter);
    return status;
}

/* (path or "", folder, assignments, resume, threads, isa, progress, validated, note): (folder, stopped) */
static PyObject *train(PyObject *self, PyObject *args)
{
    const char *path, *folder;
    PyObject *assignments, *result = NULL;
    int resume, isa;
    att_exec exec = {0};
    att_recipe recipe;
    hooks h = {0};
    (void)self;
    if (!PyArg_ParseTuple(args, "ssO!iiiOOO", &path, &folder, &PyList_Type, &assignments, &resume, &exec.threads, &isa,
                          &h.progress, &h.validated, &h.note))
        return NULL;
    exec.isa = (att_isa)isa;
    att_status status = att_options_init(att_recipe_options(), &recipe);
    if (status != ATT_OK) return core_raise(status);
    status = resolve(path, folder, assignments, &recipe);
    if (status == ATT_OK) status = run(&recipe, &exec, resume, &h);
    int stopped = status == ATT_E_INTERRUPTED && h.stopped;
    if (!PyErr_Occurred() && (status == ATT_OK || stopped))
        result = Py_BuildValue("(si)", recipe.run.folder, stopped);
    else if (!PyErr_Occurred())
        core_raise(status);
    att_options_free(att_recipe_options(), &recipe);
    return result;
}

/* What a model file was made for: its "attend.task". */
static PyObject *model_task(PyObject *self, PyObject *args)
{
    const char *path;
    att_file *file = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "s", &path)) return NULL;
    PyThreadState *interpreter = PyEval_SaveThread();
    att_status status = att_file_open(path, NULL, &file);
    PyEval_RestoreThread(interpreter);
    if (status != ATT_OK) return core_raise(status);
    const char *task = att_file_metadata(file, "attend.task");
    PyObject *result = task ? PyUnicode_FromString(task)
                            : PyErr_Format(PyExc_ValueError,
                                           "%s: not a model that was trained: its metadata lacks 'attend.task'", path);
    att_file_close(file);
    return result;
}

PyMethodDef core_train_methods[] = {
    {"train", train, METH_VARARGS,
     "(path, folder, assignments, resume, threads, isa, progress, validated, note): (folder, stopped)"},
    {"model_task", model_task, METH_VARARGS, "(path): translation, language-model or masked-language-model"},
    {0}};
