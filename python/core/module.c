/* The module itself, and what it says about the machine. */
#include "core.h"

#include <string.h>

static PyObject *cpu_count(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyLong_FromLong(att_cpu_count());
}

static PyObject *isa_detect(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyUnicode_FromString(att_isa_name(att_isa_detect()));
}

static PyObject *isa_parse(PyObject *self, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    att_isa isa;
    (void)self;
    if (!text) return NULL;
    att_status status = att_isa_parse(text, &isa);
    return status == ATT_OK ? PyLong_FromLong(isa) : core_raise(status);
}

PyMethodDef core_system_methods[] = {
    {"cpu_count", cpu_count, METH_NOARGS, "processors this process may run on"},
    {"isa_detect", isa_detect, METH_NOARGS, "the best instruction set of this machine"},
    {"isa_parse", isa_parse, METH_O, "the number of an instruction set"},
    {0}};

static int add_functions(PyObject *module)
{
    PyMethodDef *const tables[] = {core_system_methods,  core_attention_methods, core_language_methods,
                                   core_model_methods,   core_network_methods,   core_plot_methods,
                                   core_product_methods, core_train_methods};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (PyModule_AddFunctions(module, tables[i]) != 0) return -1;
    return PyModule_AddStringConstant(module, "version", ATT_VERSION);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_functions}, {0}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "attend._core", .m_slots = slots};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&module);
}
