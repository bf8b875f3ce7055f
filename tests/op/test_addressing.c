/* Memory addressing: gradients against central differences, float32 against float64, and what the papers promise. */
#include "numeric.h"

#include <attend/addressing.h>

enum { B = 2, H = 3, N = 7, W = 5, S = 3, MOST = 8 };

/* A step with its tensors: inputs, then one or two outputs. In both precisions from the same numbers. */
typedef struct step {
    const char *name;
    int inputs, outputs;
    struct {
        const char *name;
        int ndim;
        int64_t dim[3];
        double lo, hi; /* of the random numbers; rows of a distribution sum to 1 when lo > hi */
    } shape[MOST];
    att_status (*forward)(att_view *in, att_view *out, att_span w);
    /* Gradients of in into d_in, from d_out. */
    att_status (*backward)(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w);
} step;

static att_content content_of(const att_view *v)
{
    return (att_content){v[0], v[1], v[2]};
}
static att_status content_f(att_view *in, att_view *out, att_span w)
{
    att_content c = content_of(in);
    return att_content_forward(&(att_exec){.threads = 2}, &out[0], &c, w);
}
static att_status content_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    att_content c = content_of(in), g = content_of(d_in);
    return att_content_backward(&(att_exec){.threads = 2}, &g, &d_out[0], &out[0], &c, w);
}
static att_ntm ntm_of(const att_view *v)
{
    return (att_ntm){v[0], v[1], v[2], v[3], v[4]};
}
static att_status ntm_f(att_view *in, att_view *out, att_span w)
{
    att_ntm c = ntm_of(in);
    return att_ntm_forward(&(att_exec){.threads = 2}, &out[0], &c, w);
}
static att_status ntm_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    att_ntm c = ntm_of(in), g = ntm_of(d_in);
    return att_ntm_backward(&(att_exec){.threads = 2}, &g, &d_out[0], &out[0], &c, w);
}
static att_dnc_usage usage_of(const att_view *v)
{
    return (att_dnc_usage){v[0], v[1], v[2], v[3]};
}
static att_status usage_f(att_view *in, att_view *out, att_span w)
{
    (void)w;
    att_dnc_usage c = usage_of(in);
    return att_dnc_usage_forward(NULL, &out[0], &c);
}
static att_status usage_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    (void)w, (void)out;
    att_dnc_usage c = usage_of(in), g = usage_of(d_in);
    return att_dnc_usage_backward(NULL, &g, &d_out[0], &c);
}
static att_status allocation_f(att_view *in, att_view *out, att_span w)
{
    return att_dnc_allocation_forward(NULL, &out[0], &in[0], w);
}
static att_status allocation_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    (void)out;
    return att_dnc_allocation_backward(NULL, &d_in[0], &d_out[0], &in[0], w);
}
static att_dnc_write write_of(const att_view *v)
{
    return (att_dnc_write){v[0], v[1], v[2], v[3]};
}
static att_status write_f(att_view *in, att_view *out, att_span w)
{
    (void)w;
    att_dnc_write c = write_of(in);
    return att_dnc_write_forward(NULL, &out[0], &c);
}
static att_status write_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    (void)w, (void)out;
    att_dnc_write c = write_of(in), g = write_of(d_in);
    return att_dnc_write_backward(NULL, &g, &d_out[0], &c);
}
static att_dnc_link link_of(const att_view *v)
{
    return (att_dnc_link){v[0], v[1], v[2]};
}
static att_status link_f(att_view *in, att_view *out, att_span w)
{
    (void)w;
    att_dnc_link c = link_of(in);
    return att_dnc_link_forward(NULL, &out[0], &out[1], &c);
}
static att_status link_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    (void)w, (void)out;
    att_dnc_link c = link_of(in), g = link_of(d_in);
    return att_dnc_link_backward(NULL, &g, &d_out[0], &d_out[1], &c);
}
static att_dnc_read read_of(const att_view *v)
{
    return (att_dnc_read){v[0], v[1], v[2], v[3]};
}
static att_status read_f(att_view *in, att_view *out, att_span w)
{
    (void)w;
    att_dnc_read c = read_of(in);
    return att_dnc_read_forward(NULL, &out[0], &c);
}
static att_status read_b(att_view *in, att_view *out, att_view *d_in, att_view *d_out, att_span w)
{
    (void)w, (void)out;
    att_dnc_read c = read_of(in), g = read_of(d_in);
    return att_dnc_read_backward(NULL, &g, &d_out[0], &c);
}

#define SUMS_TO_ONE 1, 0

static const step steps[] = {
    {"content",
     3,
     1,
     {{"memory", 3, {B, N, W}, -1, 1},
      {"key", 3, {B, H, W}, -1, 1},
      {"strength", 2, {B, H}, 0.5, 6},
      {"w", 3, {B, H, N}, 0, 0}},
     content_f,
     content_b},
    {"ntm",
     5,
     1,
     {{"content", 3, {B, H, N}, SUMS_TO_ONE},
      {"previous", 3, {B, H, N}, SUMS_TO_ONE},
      {"gate", 2, {B, H}, 0, 1},
      {"shift", 3, {B, H, S}, SUMS_TO_ONE},
      {"sharpen", 2, {B, H}, 1, 4},
      {"w", 3, {B, H, N}, 0, 0}},
     ntm_f,
     ntm_b},
    {"usage",
     4,
     1,
     {{"usage", 2, {B, N}, 0, 1},
      {"write", 2, {B, N}, SUMS_TO_ONE},
      {"read", 3, {B, H, N}, SUMS_TO_ONE},
      {"free", 2, {B, H}, 0, 1},
      {"usage", 2, {B, N}, 0, 0}},
     usage_f,
     usage_b},
    {"allocation", 1, 1, {{"usage", 2, {B, N}, 0, 1}, {"allocation", 2, {B, N}, 0, 0}}, allocation_f, allocation_b},
    {"write",
     4,
     1,
     {{"content", 2, {B, N}, SUMS_TO_ONE},
      {"allocation", 2, {B, N}, SUMS_TO_ONE},
      {"write gate", 1, {B}, 0, 1},
      {"allocation gate", 1, {B}, 0, 1},
      {"w", 2, {B, N}, 0, 0}},
     write_f,
     write_b},
    {"link",
     3,
     2,
     {{"link", 3, {B, N, N}, 0, 1},
      {"precedence", 2, {B, N}, SUMS_TO_ONE},
      {"write", 2, {B, N}, SUMS_TO_ONE},
      {"link", 3, {B, N, N}, 0, 0},
      {"precedence", 2, {B, N}, 0, 0}},
     link_f,
     link_b},
    {"read",
     4,
     1,
     {{"link", 3, {B, N, N}, 0, 1},
      {"read", 3, {B, H, N}, SUMS_TO_ONE},
      {"content", 3, {B, H, N}, SUMS_TO_ONE},
      {"mode", 3, {B, H, 3}, SUMS_TO_ONE},
      {"w", 3, {B, H, N}, 0, 0}},
     read_f,
     read_b},
};
enum { STEPS = sizeof steps / sizeof *steps };

typedef struct run {
    const step *s;
    both value[MOST], gradient[MOST];
    att_view v[MOST], d[MOST]; /* float64 */
    att_view vf[MOST], df[MOST];
    att_span w;
} run;

static void draw(run *r, int t, uint64_t seed)
{
    double lo = r->s->shape[t].lo, hi = r->s->shape[t].hi;
    int64_t last = r->v[t].dim[r->v[t].ndim - 1];
    att_random random = {.seed = seed};
    for (int64_t i = 0; i < r->value[t].n; i++)
        r->value[t].d[i] = lo > hi ? 0.05 + att_random_uniform(&random) : lo + (hi - lo) * att_random_uniform(&random);
    for (int64_t i = 0; lo > hi && i < r->value[t].n; i += last) {
        double sum = 0;
        for (int64_t j = 0; j < last; j++) sum += r->value[t].d[i + j];
        for (int64_t j = 0; j < last; j++) r->value[t].d[i + j] /= sum;
    }
    for (int64_t i = 0; i < r->value[t].n; i++) { /* both precisions see the same numbers */
        r->value[t].f[i] = (float)r->value[t].d[i];
        r->value[t].d[i] = (double)r->value[t].f[i];
    }
}

static run run_new(const step *s)
{
    run r = {.s = s};
    for (int t = 0; t < s->inputs + s->outputs; t++) {
        att_view shape = att_view_dense(NULL, ATT_F64, s->shape[t].ndim, s->shape[t].dim);
        int64_t n = att_view_count(&shape);
        r.value[t] = both_new(n, 1, 1.0);
        r.gradient[t] = both_new(n, 50 + (uint64_t)t, t < s->inputs ? 0.0 : 1.0);
        r.v[t] = both_view(&r.value[t], ATT_F64, shape.ndim, shape.dim);
        r.d[t] = both_view(&r.gradient[t], ATT_F64, shape.ndim, shape.dim);
        r.vf[t] = both_view(&r.value[t], ATT_F32, shape.ndim, shape.dim);
        r.df[t] = both_view(&r.gradient[t], ATT_F32, shape.ndim, shape.dim);
        if (t < s->inputs) draw(&r, t, 10 + (uint64_t)t);
    }
    assert_ok(att_addressing_workspace(&(att_exec){.threads = 2}, ATT_F64, N, &r.w.bytes));
    r.w.data = guard_alloc(r.w.bytes);
    memset(r.w.data, 0xff, r.w.bytes);
    return r;
}

static void run_free(run *r)
{
    for (int t = 0; t < r->s->inputs + r->s->outputs; t++) both_free(&r->value[t]), both_free(&r->gradient[t]);
    guard_free(r->w.data, r->w.bytes);
}

static double loss(void *ctx)
{
    run *r = ctx;
    double sum = 0;
    assert_ok(r->s->forward(r->v, r->v + r->s->inputs, r->w));
    for (int t = r->s->inputs; t < r->s->inputs + r->s->outputs; t++)
        for (int64_t i = 0; i < r->value[t].n; i++) sum += r->value[t].d[i] * r->gradient[t].d[i];
    return sum;
}

static void gradients(void **state)
{
    (void)state;
    for (int k = 0; k < STEPS; k++) {
        run r = run_new(&steps[k]);
        att_view *out = r.v + r.s->inputs, *d_out = r.d + r.s->inputs;
        assert_ok(r.s->forward(r.v, out, r.w));
        assert_ok(r.s->backward(r.v, out, r.d, d_out, r.w));
        for (int t = 0; t < r.s->inputs; t++) {
            char what[64];
            snprintf(what, sizeof what, "%s %s", r.s->name, r.s->shape[t].name);
            check_gradient(what, loss, &r, r.value[t].d, r.gradient[t].d, r.value[t].n);
        }
        run_free(&r);
    }
}

static void float32_agrees(void **state)
{
    (void)state;
    for (int k = 0; k < STEPS; k++) {
        run r = run_new(&steps[k]);
        int n = r.s->inputs;
        assert_ok(r.s->forward(r.v, r.v + n, r.w));
        assert_ok(r.s->backward(r.v, r.v + n, r.d, r.d + n, r.w));
        assert_ok(r.s->forward(r.vf, r.vf + n, r.w));
        assert_ok(r.s->backward(r.vf, r.vf + n, r.df, r.df + n, r.w));
        for (int t = 0; t < n + r.s->outputs; t++)
            for (int64_t i = 0; i < r.value[t].n; i++) {
                double got = (double)(t < n ? r.gradient[t].f[i] : r.value[t].f[i]);
                double want = t < n ? r.gradient[t].d[i] : r.value[t].d[i];
                if (!(fabs(got - want) <= 2e-5 * (1 + fabs(want))))
                    fail_msg("%s %s[%lld]: %g, expected %g", r.s->name, r.s->shape[t].name, (long long)i, got, want);
            }
        run_free(&r);
    }
}

/* ---- what the papers promise ---- */

static void content_finds_the_row_like_the_key(void **state)
{
    (void)state;
    double memory[3][2] = {{1, 0}, {0, 2}, {-1, -1}}, key[2] = {0, 0.1}, strength = 50, w[3];
    att_content in = {att_view_3d(memory, ATT_F64, 1, 3, 2), att_view_3d(key, ATT_F64, 1, 1, 2),
                      att_view_2d(&strength, ATT_F64, 1, 1)};
    att_view out = att_view_3d(w, ATT_F64, 1, 1, 3);
    char scratch[1024] __attribute__((aligned(64)));
    assert_ok(att_content_forward(NULL, &out, &in, (att_span){scratch, sizeof scratch}));
    assert_true(fabs(w[1] - 1 / (1 + exp(-50) + exp(-50 - 50 / sqrt(2)))) < 1e-15);
    key[1] = 0; /* no direction: every row alike */
    assert_ok(att_content_forward(NULL, &out, &in, (att_span){scratch, sizeof scratch}));
    assert_true(w[0] == w[1] && w[1] == w[2]);
}

/* Gate open, shift by one place, no sharpening: the content rotates. Gate shut: the old weights. */
static void the_machine_rotates_and_sharpens(void **state)
{
    (void)state;
    double content[5] = {0.1, 0.2, 0.3, 0.4, 0}, previous[5] = {0, 0, 0, 0, 1}, gate = 1, shift[3] = {0, 0, 1};
    double sharpen = 1, w[5];
    att_ntm in = {att_view_3d(content, ATT_F64, 1, 1, 5), att_view_3d(previous, ATT_F64, 1, 1, 5),
                  att_view_2d(&gate, ATT_F64, 1, 1), att_view_3d(shift, ATT_F64, 1, 1, 3),
                  att_view_2d(&sharpen, ATT_F64, 1, 1)};
    att_view out = att_view_3d(w, ATT_F64, 1, 1, 5);
    char scratch[1024] __attribute__((aligned(64)));
    att_span span = {scratch, sizeof scratch};
    assert_ok(att_ntm_forward(NULL, &out, &in, span));
    for (int i = 0; i < 5; i++) assert_true(fabs(w[i] - content[(i + 4) % 5]) < 1e-15);
    sharpen = 1000; /* the largest takes all, and nothing overflows or vanishes */
    assert_ok(att_ntm_forward(NULL, &out, &in, span));
    assert_true(fabs(w[4] - 1) < 1e-15);
    gate = 0, sharpen = 2, shift[2] = 0, shift[0] = 1;
    assert_ok(att_ntm_forward(NULL, &out, &in, span));
    assert_true(w[3] == 1 && w[4] == 0);
}

static void allocation_takes_the_least_used(void **state)
{
    (void)state;
    double usage[5] = {0.5, 0, 1, 0.2, 0}, a[5];
    att_view u = att_view_2d(usage, ATT_F64, 1, 5), out = att_view_2d(a, ATT_F64, 1, 5);
    char scratch[1024] __attribute__((aligned(64)));
    assert_ok(att_dnc_allocation_forward(NULL, &out, &u, (att_span){scratch, sizeof scratch}));
    assert_true(a[1] == 1 && a[0] == 0 && a[2] == 0 && a[3] == 0 && a[4] == 0);
    usage[1] = usage[4] = 0.5; /* now 3, then 0, 1, 4, then 2 */
    assert_ok(att_dnc_allocation_forward(NULL, &out, &u, (att_span){scratch, sizeof scratch}));
    const double want[5] = {0.5 * 0.2, 0.5 * 0.2 * 0.5, 0, 0.8, 0.5 * 0.2 * 0.25};
    for (int i = 0; i < 5; i++) assert_true(fabs(a[i] - want[i]) < 1e-15);
}

/* Rows written in the order 2, 0, 3: reading forwards from 2 finds 0, from 0 finds 3, backwards from 3 finds 0. */
static void links_remember_the_order_of_writing(void **state)
{
    (void)state;
    double link[2][16] = {{0}}, precedence[2][4] = {{0}}, write[4], read[4], content[4] = {0}, mode[3], w[4];
    const int order[3] = {2, 0, 3};
    for (int t = 0; t < 3; t++) {
        for (int i = 0; i < 4; i++) write[i] = i == order[t];
        att_dnc_link in = {att_view_3d(link[t % 2], ATT_F64, 1, 4, 4), att_view_2d(precedence[t % 2], ATT_F64, 1, 4),
                           att_view_2d(write, ATT_F64, 1, 4)};
        att_view L = att_view_3d(link[1 - t % 2], ATT_F64, 1, 4, 4);
        att_view p = att_view_2d(precedence[1 - t % 2], ATT_F64, 1, 4);
        assert_ok(att_dnc_link_forward(NULL, &L, &p, &in));
    }
    const int from[3] = {2, 0, 3}, to[3] = {0, 3, 0};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 4; i++) read[i] = i == from[k];
        mode[0] = k == 2, mode[1] = 0, mode[2] = k < 2;
        att_dnc_read in = {att_view_3d(link[1], ATT_F64, 1, 4, 4), att_view_3d(read, ATT_F64, 1, 1, 4),
                           att_view_3d(content, ATT_F64, 1, 1, 4), att_view_3d(mode, ATT_F64, 1, 1, 3)};
        att_view out = att_view_3d(w, ATT_F64, 1, 1, 4);
        assert_ok(att_dnc_read_forward(NULL, &out, &in));
        for (int i = 0; i < 4; i++) assert_true(w[i] == (i == to[k]));
    }
}

static void freed_rows_are_unused(void **state)
{
    (void)state;
    double usage[2] = {1, 1}, write[2] = {0, 0}, read[2] = {1, 0}, free_gate = 1, out[2];
    att_dnc_usage in = {att_view_2d(usage, ATT_F64, 1, 2), att_view_2d(write, ATT_F64, 1, 2),
                        att_view_3d(read, ATT_F64, 1, 1, 2), att_view_2d(&free_gate, ATT_F64, 1, 1)};
    att_view u = att_view_2d(out, ATT_F64, 1, 2);
    assert_ok(att_dnc_usage_forward(NULL, &u, &in));
    assert_true(out[0] == 0 && out[1] == 1);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    run r = run_new(&steps[1]);
    att_ntm in = ntm_of(r.v);
    in.shift.dim[2] = 2;
    assert_refused(att_ntm_forward(NULL, &r.v[5], &in, r.w), ATT_E_SHAPE, "shift: 2 offsets, expected an odd number");
    in = ntm_of(r.v);
    in.gate.dim[1] = 2;
    assert_refused(att_ntm_forward(NULL, &r.v[5], &in, r.w), ATT_E_SHAPE, "gate: shape (2,2), expected (2,3)");
    in = ntm_of(r.v);
    in.previous.dtype = ATT_F32;
    assert_refused(att_ntm_forward(NULL, &r.v[5], &in, r.w), ATT_E_DTYPE, "previous: float32, expected float64");
    in = ntm_of(r.v);
    in.content.stride[1]++;
    assert_refused(att_ntm_forward(NULL, &r.v[5], &in, r.w), ATT_E_SHAPE, "content: strided");
    in = ntm_of(r.v);
    assert_refused(att_ntm_forward(NULL, &r.v[5], &in, (att_span){0}), ATT_E_WORKSPACE, "workspace: 0 bytes");
    att_ntm g = {.gate = r.v[4]};
    g.gate.dim[0] = 1;
    assert_refused(att_ntm_backward(NULL, &g, &r.d[5], &r.v[5], &in, r.w), ATT_E_SHAPE, "dgate: shape (1,3)");
    run_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(float32_agrees),
        cmocka_unit_test(content_finds_the_row_like_the_key),
        cmocka_unit_test(the_machine_rotates_and_sharpens),
        cmocka_unit_test(allocation_takes_the_least_used),
        cmocka_unit_test(links_remember_the_order_of_writing),
        cmocka_unit_test(freed_rows_are_unused),
        cmocka_unit_test(wrong_arguments_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
