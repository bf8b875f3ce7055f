/* The vector functions against libm in double, on dense grids and at the edges, on every instruction set. */
#include "harness.h"

#include "op/dispatch.h"

typedef void (*map_fn)(const att_rows_kernels *k, float *y, const float *x, int64_t n);

static void map_exp(const att_rows_kernels *k, float *y, const float *x, int64_t n)
{
    k->exp(y, x, n);
}
static void map_tanh(const att_rows_kernels *k, float *y, const float *x, int64_t n)
{
    k->activation(ATT_ACT_TANH, y, x, n);
}
static void map_sigmoid(const att_rows_kernels *k, float *y, const float *x, int64_t n)
{
    k->activation(ATT_ACT_SIGMOID, y, x, n);
}
static void map_gelu(const att_rows_kernels *k, float *y, const float *x, int64_t n)
{
    k->activation(ATT_ACT_GELU, y, x, n);
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}
static double gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

typedef struct function {
    const char *name;
    map_fn map;
    double (*exact)(double);
    double lo, hi;             /* the grid */
    double absolute, relative; /* error <= absolute + relative |exact|; without fused multiply-add, 1.4 times that */
} function;

static const function functions[] = {
    {"exp", map_exp, exp, -87.3, 88.72, 0.0, 1.2e-7},
    {"exp near 0", map_exp, exp, -1.0, 1.0, 0.0, 1.2e-7},
    {"exp to denormals", map_exp, exp, -110.0, -87.3, 1.5e-45, 1.2e-7},
    {"tanh", map_tanh, tanh, -10.0, 10.0, 3e-7, 0.0},
    {"tanh near 0", map_tanh, tanh, -1.0, 1.0, 0.0, 3e-7},
    {"sigmoid", map_sigmoid, sigmoid, -30.0, 30.0, 1.5e-7, 0.0},
    {"sigmoid of negatives", map_sigmoid, sigmoid, -87.0, -5.0, 0.0, 4e-7},
    {"gelu", map_gelu, gelu, -8.0, 8.0, 2e-7, 3e-7},
};

#define POINTS 200003 /* odd: every call has a tail */

static void check_grid(const function *fn, att_isa isa, float *y, const float *x)
{
    double slack = isa == ATT_ISA_PORTABLE ? 1.4 : 1.0;
    fn->map(&att_kernels_for(&(att_exec){.isa = isa})->rows, y, x, POINTS);
    for (int64_t i = 0; i < POINTS; i++) {
        double want = fn->exact((double)x[i]), error = fabs((double)y[i] - want);
        if (!(error <= slack * (fn->absolute + fn->relative * fabs(want))))
            fail_msg("%s of %s at %.9g is %.9g, expected %.9g", fn->name, att_isa_name(isa), (double)x[i], (double)y[i],
                     want);
    }
}

static void test_grids(void **state)
{
    float *x = guard_alloc(POINTS * sizeof *x), *y = guard_alloc(POINTS * sizeof *y);
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        const function *fn = &functions[f];
        for (int64_t i = 0; i < POINTS; i++) x[i] = (float)(fn->lo + (fn->hi - fn->lo) * (double)i / (POINTS - 1));
        for (int k = 0; k < isas; k++)
            if (isa[k] != ATT_ISA_REF) check_grid(fn, isa[k], y, x); /* libm's float functions are not ours to test */
    }
    guard_free(x, POINTS * sizeof *x);
    guard_free(y, POINTS * sizeof *y);
}

typedef struct edge {
    float x;
    double exp, tanh, sigmoid;
} edge;

static const edge edges[] = {
    {0.0f, 1.0, 0.0, 0.5},         {-0.0f, 1.0, 0.0, 0.5},         {1e-40f, 1.0, 1e-40, 0.5},
    {-1e-40f, 1.0, -1e-40, 0.5},   {INFINITY, INFINITY, 1.0, 1.0}, {-INFINITY, 0.0, -1.0, 0.0},
    {3.4e38f, INFINITY, 1.0, 1.0}, {-3.4e38f, 0.0, -1.0, 0.0},     {89.0f, INFINITY, 1.0, 1.0},
    {-105.0f, 0.0, -1.0, 0.0},
};
#define EDGES ((int)(sizeof edges / sizeof *edges))

/* Alone in a tail, and as whole vectors with a tail. */
static void check_edge(const att_rows_kernels *k, map_fn map, float at, double want, double eps, const char *what)
{
    for (int64_t n = 1; n <= 33; n += 16) {
        float x[33], y[33];
        for (int64_t j = 0; j < n; j++) x[j] = at;
        map(k, y, x, n);
        for (int64_t j = 0; j < n; j++)
            if (!((double)y[j] == want || fabs((double)y[j] - want) <= eps))
                fail_msg("%s at %g is %.9g, expected %.9g", what, (double)at, (double)y[j], want);
    }
}

static void test_edges(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < isas; k++) {
        const att_rows_kernels *rows = &att_kernels_for(&(att_exec){.isa = isa[k]})->rows;
        for (int i = 0; i < EDGES; i++) {
            check_edge(rows, map_exp, edges[i].x, edges[i].exp, 0.0, "exp");
            check_edge(rows, map_tanh, edges[i].x, edges[i].tanh, 3e-7, "tanh");
            check_edge(rows, map_sigmoid, edges[i].x, edges[i].sigmoid, 1e-7, "sigmoid");
        }
    }
}

static void test_nan_stays(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < isas; k++) {
        const att_rows_kernels *rows = &att_kernels_for(&(att_exec){.isa = isa[k]})->rows;
        for (int act = -1; act <= (int)ATT_ACT_SILU; act++) { /* -1: exp */
            float x[19], y[19];
            for (int i = 0; i < 19; i++) x[i] = NAN;
            if (act < 0)
                rows->exp(y, x, 19);
            else
                rows->activation((att_activation)act, y, x, 19);
            for (int i = 0; i < 19; i++)
                if (!isnan(y[i])) fail_msg("activation %d of NaN on %s is %g", act, att_isa_name(isa[k]), (double)y[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grids),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_nan_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
