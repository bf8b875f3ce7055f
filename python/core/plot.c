/* Pictures: heat maps, sheets of them, and curves. */
#include "core.h"

#include <stdlib.h>

#define MAP(f)    CORE_FIELD(att_heatmap_desc, f)
#define CURVES(f) CORE_FIELD(att_curves_desc, f)
#define SERIES(f) CORE_FIELD(att_series, f)

static const core_field map_fields[] = {MAP(title), MAP(row_name),    MAP(col_name), MAP(colors), MAP(vmin),
                                        MAP(vmax),  MAP(show_values), MAP(cell),     MAP(scale),  {0}};
static const core_field curves_fields[] = {CURVES(title),
                                           CURVES(x_name),
                                           CURVES(y_name[0]),
                                           CURVES(y_name[1]),
                                           CURVES(log_x),
                                           CURVES(log_y[0]),
                                           CURVES(log_y[1]),
                                           CURVES(width),
                                           CURVES(height),
                                           CURVES(scale),
                                           {0}};
static const core_field series_fields[] = {SERIES(name), SERIES(panel), SERIES(mark), SERIES(smooth), {0}};

/* The strings of a list, as long as the list lives; NULL for None. The array is the caller's to free. */
static int strings_of(PyObject *list, const char ***strings)
{
    *strings = NULL;
    if (list == Py_None) return 0;
    Py_ssize_t n = PyList_Size(list);
    *strings = n < 0 ? NULL : calloc((size_t)n + 1, sizeof **strings);
    if (!*strings) return -1;
    for (Py_ssize_t i = 0; i < n; i++) {
        (*strings)[i] = PyUnicode_AsUTF8AndSize(PyList_GetItem(list, i), NULL);
        if (!(*strings)[i]) return -1;
    }
    return 0;
}

/* weights (rows, cols), or (panel_rows, panel_cols, rows, cols) with a title below each. */
static att_status draw(const att_heatmap_desc *desc, const att_view *w, const char *const *rows,
                       const char *const *cols, const char *const *titles, const char *path)
{
    if (w->ndim == 2) return att_plot_heatmap(desc, w->data, w->dim[0], w->dim[1], rows, cols, path);
    return att_plot_heatmap_grid(desc, w->data, w->dim[0], w->dim[1], w->dim[2], w->dim[3], rows, cols, titles, path);
}

/* The lists are as long as the sizes of weights, which are dense float32 of two or four dimensions: Python saw to it.
 */
static PyObject *plot_heatmap(PyObject *self, PyObject *args)
{
    PyObject *wanted, *weights, *lists[3];
    const char *path, **strings[3] = {NULL};
    att_heatmap_desc desc = {0};
    att_view view = {0};
    core_buffers buffers = {.n = 0};
    int bad;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!OOOOs", &PyDict_Type, &wanted, &weights, &lists[0], &lists[1], &lists[2], &path))
        return NULL;
    bad = core_fill(&desc, "att_heatmap_desc", map_fields, wanted, &buffers) != 0 ||
          core_view("weights", weights, &view, &buffers) != 0;
    for (int i = 0; i < 3 && !bad; i++) bad = strings_of(lists[i], &strings[i]) != 0;
    PyObject *result = NULL;
    if (!bad) {
        att_status status = draw(&desc, &view, strings[0], strings[1], strings[2], path);
        result = status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    for (int i = 0; i < 3; i++) free(strings[i]);
    core_release(&buffers);
    return result ? result : PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

/* One series from (dictionary, x or None, y, error or None), arrays of float64. */
static int fill_series(att_series *s, PyObject *from, core_buffers *buffers)
{
    PyObject *dict, *arrays[3];
    const char *const names[] = {"x", "y", "error"};
    const double **place[] = {&s->x, &s->y, &s->error};
    if (!PyArg_ParseTuple(from, "O!OOO", &PyDict_Type, &dict, &arrays[0], &arrays[1], &arrays[2])) return -1;
    if (core_fill(s, "att_series", series_fields, dict, buffers) != 0) return -1;
    for (int i = 0; i < 3; i++) {
        att_view view = {0};
        if (arrays[i] == Py_None) continue;
        if (core_view(names[i], arrays[i], &view, buffers) != 0) return -1;
        *place[i] = view.data;
        s->n = view.dim[0];
    }
    return 0;
}

static PyObject *plot_curves(PyObject *self, PyObject *args)
{
    PyObject *wanted, *list, *result = NULL;
    const char *path;
    att_curves_desc desc = {0};
    core_buffers buffers = {.n = 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "O!O!s", &PyDict_Type, &wanted, &PyList_Type, &list, &path)) return NULL;
    Py_ssize_t n = PyList_Size(list);
    att_series *series = calloc((size_t)n + 1, sizeof *series);
    if (!series) return PyErr_NoMemory();
    int bad = core_fill(&desc, "att_curves_desc", curves_fields, wanted, &buffers) != 0;
    for (Py_ssize_t i = 0; i < n && !bad; i++) bad = fill_series(&series[i], PyList_GetItem(list, i), &buffers) != 0;
    if (!bad) {
        att_status status = att_plot_curves(&desc, series, n, path);
        result = status == ATT_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    free(series);
    core_release(&buffers);
    return result;
}

PyMethodDef core_plot_methods[] = {
    {"plot_heatmap", plot_heatmap, METH_VARARGS, "(desc, weights, rows, columns, titles, path)"},
    {"plot_curves", plot_curves, METH_VARARGS, "(desc, [(series, x, y, error)], path)"},
    {0}};
