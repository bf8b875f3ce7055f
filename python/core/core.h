/* The extension module attend._core: named arguments and buffers in, calls of the public API out. It knows no shapes
 * and no arithmetic; the Python files beside it know no memory layout. */
#ifndef ATTEND_PYTHON_CORE_H
#define ATTEND_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN            /* lengths behind "s#" are Py_ssize_t */
#define Py_LIMITED_API   0x030B0000 /* one binary for every Python from 3.11 on */
#include <Python.h>

#include <attend.h>

/* ---- structs by the names of their fields ---- */

typedef enum core_kind {
    CORE_VIEW, /* a buffer, or a pair (buffer of 16-bit integers, "bfloat16") */
    CORE_INT,  /* int or enum */
    CORE_INT64,
    CORE_UINT64,
    CORE_FLOAT,
    CORE_DOUBLE,
    CORE_TEXT /* str; lives as long as the Python object */
} core_kind;

typedef struct core_field {
    const char *name;
    core_kind kind;
    size_t offset;
} core_field;

/* The compiler reads place and type from the header, so a struct may grow and a field may change its type. */
#define CORE_KIND(x)                                                                                                   \
    _Generic((x),                                                                                                      \
        att_view: CORE_VIEW,                                                                                           \
        int64_t: CORE_INT64,                                                                                           \
        uint64_t: CORE_UINT64,                                                                                         \
        float: CORE_FLOAT,                                                                                             \
        double: CORE_DOUBLE,                                                                                           \
        const char *: CORE_TEXT,                                                                                       \
        default: CORE_INT)
#define CORE_INNER(type, field)                                                                                        \
    {                                                                                                                  \
#field, CORE_KIND(((type *)0)->core.field), offsetof(type, core.field)                                         \
    }
#define CORE_FIELD(type, field)                                                                                        \
    {                                                                                                                  \
#field, CORE_KIND(((type *)0)->field), offsetof(type, field)                                                   \
    }

/* Buffers that a call holds on to. */
typedef struct core_buffers {
    Py_buffer held[48];
    int n;
} core_buffers;

/* *object gets the fields that the dictionary names; the others stay. `what` stands for the struct in messages. */
int core_fill(void *object, const char *what, const core_field *fields, PyObject *dict, core_buffers *buffers);
int core_view(const char *name, PyObject *from, att_view *view, core_buffers *buffers);
void core_release(core_buffers *buffers);
/* The fields' names as a tuple, for the test that compares them with the headers. */
PyObject *core_names(const core_field *fields);

/* ---- failures ---- */

/* Sets the exception that fits the status, with the library's message; returns NULL. */
PyObject *core_raise(att_status status);

/* ---- the functions, one file a subject; each table ends with an empty row ---- */

extern PyMethodDef core_attention_methods[];
extern PyMethodDef core_language_methods[];
extern PyMethodDef core_model_methods[];
extern PyMethodDef core_network_methods[];
extern PyMethodDef core_plot_methods[];
extern PyMethodDef core_product_methods[];
extern PyMethodDef core_system_methods[];
extern PyMethodDef core_train_methods[];

#endif
