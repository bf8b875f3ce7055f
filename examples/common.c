#include "common.h"

void must(att_status status, const char *what)
{
    if (status == ATT_OK) return;
    fprintf(stderr, "%s: %s\n", what, att_last_error());
    exit(1);
}

void check(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "this does not hold: %s\n", what);
    exit(1);
}

int near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * (1 + fabs(b));
}

float *zeros(int64_t n)
{
    float *p = calloc((size_t)n + 1, sizeof *p);
    check(p != NULL, "memory");
    return p;
}

float *normal(int64_t n, uint64_t seed)
{
    att_random r = {.seed = seed};
    float *p = zeros(n);
    for (int64_t i = 0; i < n; i++) p[i] = (float)att_random_normal(&r);
    return p;
}

static att_span workspace(const att_mechanism_desc *desc, const att_mechanism_in *in)
{
    att_span w;
    MUST(att_mechanism_workspace(desc, NULL, in, &w.bytes));
    w.data = aligned_alloc(64, w.bytes + 64);
    check(w.data != NULL, "memory");
    return w;
}

void run(const att_mechanism_desc *desc, const att_mechanism_in *in, const att_mechanism_out *out)
{
    att_span w = workspace(desc, in);
    MUST(att_mechanism_forward(desc, NULL, out, in, w));
    free(w.data);
}

static double sum(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i];
    return s;
}

double report(const char *title, const att_mechanism_desc *desc, const att_mechanism_in *in, float *weights)
{
    static const att_view all;
    att_mechanism_shape s;
    MUST(att_mechanism_shape_of(desc, in, &s));
    int64_t rows = s.B * s.Hq * s.Tq * s.Tk, n = s.B * s.Hq * s.Tq * s.Dv;
    float *w = zeros(rows), *e = zeros(rows), *o = zeros(n);
    att_view scores = att_view_4d(e, ATT_F32, s.B, s.Hq, s.Tq, s.Tk);
    att_mechanism_out out = {.core = {.o = att_view_dense(o, ATT_F32, s.o_ndim, s.o_dim),
                                      .weights = att_view_4d(w, ATT_F32, s.B, s.Hq, s.Tq, s.Tk)}};
    run(desc, in, &out);
    att_span work = workspace(desc, in);
    MUST(att_mechanism_weights(desc, NULL, ATT_STAGE_RAW, &scores, in, &all, &all, &all, work));
    free(work.data);
    double mean = sum(w, rows) / (double)rows, variance = 0, total = sum(o, n);
    for (int64_t i = 0; i < rows; i++) variance += ((double)w[i] - mean) * ((double)w[i] - mean);
    printf("%-28s sum of scores %10.4f   variance of weights %.6f   sum of output %10.4f\n", title, sum(e, rows),
           variance / (double)rows, total);
    if (weights) memcpy(weights, w, (size_t)rows * sizeof *w);
    free(w), free(e), free(o);
    return total;
}

void draw(const char *folder, const char *name, const char *title, const float *weights, int64_t rows, int64_t cols,
          const char *const *row_labels, const char *const *col_labels)
{
    char path[600];
    const att_heatmap_desc desc = {.title = title, .row_name = "query", .col_name = "key"};
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    MUST(att_plot_terminal(NULL, &desc, weights, rows, cols, row_labels, col_labels, stdout));
    att_status status = att_plot_heatmap(&desc, weights, rows, cols, row_labels, col_labels, path);
    if (status == ATT_E_MISSING) /* a machine without fonts still runs the example */
        printf("(%s)\n", att_last_error());
    else
        must(status, path);
}

const char *folder_of(int argc, char **argv)
{
    return argc > 1 ? argv[1] : ".";
}
