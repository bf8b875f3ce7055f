/* attend similarity: cosine distance and dot product of pairs of vectors, side by side. */
#include <stdlib.h>
#include <string.h>

#include <attend/npy.h>
#include <attend/plot.h>
#include <attend/random.h>

#include "commands.h"

static struct {
    const char *output;
    int64_t random, width;
} set = {.width = 128};

/* clang-format off */
static const cli_option options[] = {
    {"random", 0, CLI_INT, &set.random, "N", "draw N pairs of normal vectors instead of reading files", .min = 0, .max = 1e7},
    {"width", 0, CLI_INT, &set.width, "D", "of the random vectors", .min = 1, .max = 1e6},
    CLI_SEED,
    {"output", 'o', CLI_STRING, &set.output, "FILE", "the scatter plot: .png, .svg, .html or .txt"},
    CLI_JSON, CLI_END,
};
/* clang-format on */

/* n pairs of vectors of D numbers, and what came of them. */
typedef struct pairs {
    int64_t n, D;
    double *a, *b;          /* (n,D) */
    double *distance, *dot; /* (n); the distance of a zero vector is NaN */
} pairs;

static int create(pairs *p, int64_t n, int64_t D)
{
    size_t vectors, each = sizeof(double);
    *p = (pairs){.n = n, .D = D};
    bool fits = !__builtin_mul_overflow((size_t)n, (size_t)D, &vectors) && vectors < SIZE_MAX / (2 * each);
    p->a = fits ? malloc(vectors * each + 1) : NULL;
    p->b = fits ? malloc(vectors * each + 1) : NULL;
    p->distance = malloc((size_t)n * each + 1);
    p->dot = malloc((size_t)n * each + 1);
    if (p->a && p->b && p->distance && p->dot) return CLI_DONE;
    return cli_failed("out of memory: %lld pairs of %lld numbers", (long long)n, (long long)D);
}

static void destroy(pairs *p)
{
    free(p->a), free(p->b), free(p->distance), free(p->dot);
}

/* ---- where the vectors come from ---- */

static int draw(pairs *p)
{
    att_random r = {.seed = (uint64_t)cli.seed};
    int status = create(p, set.random, set.width);
    for (int64_t i = 0; status == CLI_DONE && i < p->n; i++) {
        for (int64_t d = 0; d < p->D; d++) p->a[i * p->D + d] = att_random_normal(&r);
        for (int64_t d = 0; d < p->D; d++) p->b[i * p->D + d] = att_random_normal(&r);
    }
    return status;
}

static double number(const att_view *v, int64_t i, int64_t d)
{
    int64_t at = i * v->stride[0] + d * v->stride[1];
    return v->dtype == ATT_F64 ? ((const double *)v->data)[at] : (double)((const float *)v->data)[at];
}

static int open_vectors(const char *path, att_view *v)
{
    att_status st = att_npy_read(path, NULL, v);
    if (st != ATT_OK) return cli_fail(st);
    if (v->dtype != ATT_F32 && v->dtype != ATT_F64)
        return cli_wrong("%s: %s, expected float32 or float64", path, att_dtype_name(v->dtype));
    if (v->ndim != 2) return cli_wrong("%s: %d dimensions, expected (N,D)", path, v->ndim);
    return CLI_DONE;
}

/* Row i of one file beside row i of the other. */
static int pair_rows(pairs *p, const att_view *a, const att_view *b, char **path)
{
    if (a->dim[0] != b->dim[0] || a->dim[1] != b->dim[1])
        return cli_wrong("%s: %lld vectors of %lld, expected %lld of %lld as in %s", path[1], (long long)b->dim[0],
                         (long long)b->dim[1], (long long)a->dim[0], (long long)a->dim[1], path[0]);
    int status = create(p, a->dim[0], a->dim[1]);
    for (int64_t i = 0; status == CLI_DONE && i < p->n; i++)
        for (int64_t d = 0; d < p->D; d++) {
            p->a[i * p->D + d] = number(a, i, d);
            p->b[i * p->D + d] = number(b, i, d);
        }
    return status;
}

/* Every two rows of one file. */
static int pair_all(pairs *p, const att_view *a)
{
    int64_t n = a->dim[0], at = 0, count;
    if (n > 100000) return cli_wrong("%lld vectors, expected at most 100000 for all pairs", (long long)n);
    count = n * (n - 1) / 2;
    int status = create(p, count, a->dim[1]);
    for (int64_t i = 0; status == CLI_DONE && i < n; i++)
        for (int64_t j = i + 1; j < n; j++, at++)
            for (int64_t d = 0; d < p->D; d++) {
                p->a[at * p->D + d] = number(a, i, d);
                p->b[at * p->D + d] = number(a, j, d);
            }
    return status;
}

static int read_files(pairs *p, int n, char **path)
{
    att_view v[2] = {{0}};
    int status = CLI_DONE;
    for (int i = 0; status == CLI_DONE && i < n; i++) status = open_vectors(path[i], &v[i]);
    if (status == CLI_DONE) status = n == 2 ? pair_rows(p, &v[0], &v[1], path) : pair_all(p, &v[0]);
    for (int i = 0; i < 2; i++) att_npy_free(NULL, &v[i]);
    return status;
}

/* ---- what is said of them ---- */

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t d = 0; d < n; d++) sum += x[d] * y[d];
    return sum;
}

/* 1 - cos, from 0 for one direction to 2 for opposite ones. */
static void compare(pairs *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        const double *a = p->a + i * p->D, *b = p->b + i * p->D;
        double lengths = sqrt(dot(a, a, p->D)) * sqrt(dot(b, b, p->D));
        p->dot[i] = dot(a, b, p->D);
        p->distance[i] = lengths > 0 ? 1 - p->dot[i] / lengths : NAN;
    }
}

/* Pearson's, over the pairs that have a distance. */
static double correlation(const pairs *p)
{
    double n = 0, sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (isnan(p->distance[i])) continue;
        n++, sx += p->distance[i], sy += p->dot[i];
    }
    for (int64_t i = 0; i < p->n; i++) {
        double x = p->distance[i] - sx / n, y = p->dot[i] - sy / n;
        if (isnan(x)) continue;
        xx += x * x, yy += y * y, xy += x * y;
    }
    return xy / sqrt(xx * yy);
}

static int draw_scatter(const pairs *p)
{
    if (!set.output) return CLI_DONE;
    const att_curves_desc desc = {.title = "Cosine distance and dot product",
                                  .x_name = "cosine distance",
                                  .y_name = {"dot product"},
                                  .width = 560,
                                  .height = 440};
    const att_series s = {.x = p->distance, .y = p->dot, .n = p->n, .mark = ATT_MARK_SCATTER};
    att_status st = att_plot_curves(&desc, &s, 1, set.output);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

static json_t *list(const double *x, int64_t n)
{
    json_t *out = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(out, isfinite(x[i]) ? json_real(x[i]) : json_null());
    return out;
}

static int print(const pairs *p)
{
    double r = correlation(p);
    if (cli.json)
        return cli_print_json(json_pack("{s:I, s:I, s:o, s:o, s:o}", "pairs", (json_int_t)p->n, "width",
                                        (json_int_t)p->D, "correlation", isfinite(r) ? json_real(r) : json_null(),
                                        "cosine_distance", list(p->distance, p->n), "dot", list(p->dot, p->n)));
    printf("%8s  %15s  %15s\n", "pair", "cosine distance", "dot product");
    for (int64_t i = 0; i < p->n; i++) printf("%8lld  %15.6f  %15.6f\n", (long long)i + 1, p->distance[i], p->dot[i]);
    printf("correlation %.6f\n", r);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    pairs p = {0};
    if (set.random && argc > 0) return cli_wrong("--random beside '%s': expected one of the two", argv[0]);
    if (!set.random && argc == 0) return cli_wrong("expected one or two .npy files, or --random N");
    int status = set.random ? draw(&p) : read_files(&p, argc, argv);
    if (status == CLI_DONE) {
        compare(&p);
        status = draw_scatter(&p);
        if (status == CLI_DONE) status = print(&p);
    }
    destroy(&p);
    return status;
}

const cli_command cmd_similarity = {
    .name = "similarity",
    .operands = "[A.npy [B.npy]]",
    .summary = "cosine distance and dot product of pairs of vectors",
    .help = "Two files (N,D) give N pairs, row by row; one file gives every two of its rows.\n"
            "\n"
            "    attend similarity --random 100 --width 128 -o scatter.png\n",
    .options = options,
    .max_operands = 2,
    .run = run,
};
