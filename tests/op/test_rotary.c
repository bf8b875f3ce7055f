/* Rotary positions: every instruction set against the double reference, turning back, gradients, refusals. */
#include <attend/ops.h>

#include "numeric.h"

/* B T H D */
static const int64_t sizes[][4] = {{1, 1, 1, 2}, {2, 3, 1, 6}, {1, 5, 3, 16}, {2, 4, 2, 34}, {3, 2, 5, 64}};
#define SIZES ((int)(sizeof sizes / sizeof *sizes))

typedef struct arrays {
    both x, y, cosine, sine;
    int64_t dim[4], table[2], n;
} arrays;

static arrays arrays_new(const int64_t *dim)
{
    arrays a = {.n = dim[0] * dim[1] * dim[2] * dim[3], .table = {dim[1], dim[3] / 2}};
    memcpy(a.dim, dim, sizeof a.dim);
    int64_t angles = a.table[0] * a.table[1];
    a.x = both_new(a.n, 1, 2.0);
    a.y = both_new(a.n, 2, 2.0);
    a.cosine = both_new(angles, 3, 1.0);
    a.sine = both_new(angles, 3, 1.0);
    for (int64_t i = 0; i < angles; i++) {
        a.cosine.d[i] = (double)(a.cosine.f[i] = (float)cos((double)i));
        a.sine.d[i] = (double)(a.sine.f[i] = (float)sin((double)i));
    }
    return a;
}

static void arrays_free(arrays *a)
{
    both_free(&a->x);
    both_free(&a->y);
    both_free(&a->cosine);
    both_free(&a->sine);
}

static void turn(const arrays *a, const both *y, const both *x, att_dtype type, const att_exec *exec, int inverse,
                 int accumulate)
{
    att_view vy = both_view(y, type, 4, a->dim), vx = both_view(x, type, 4, a->dim);
    att_view c = both_view(&a->cosine, type, 2, a->table), s = both_view(&a->sine, type, 2, a->table);
    assert_ok(att_rotary(exec, &vy, &vx, &c, &s, inverse, accumulate));
}

static void parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < SIZES; k++)
        for (int i = 0; i < isas; i++)
            for (int how = 0; how < 4; how++) {
                arrays a = arrays_new(sizes[k]), plain = arrays_new(sizes[k]);
                att_exec exec = {.isa = isa[i], .threads = 3}, ref = {.isa = ATT_ISA_REF};
                turn(&a, &a.y, &a.x, ATT_F32, &exec, how % 2, how / 2);
                turn(&a, &a.y, &a.x, ATT_F64, &exec, how % 2, how / 2);
                turn(&plain, &plain.y, &plain.x, ATT_F32, &ref, how % 2, how / 2);
                assert_true(all_within(a.y.f, a.y.d, plain.y.f, a.n, 3e-7, "rotary"));
                arrays_free(&a);
                arrays_free(&plain);
            }
}

/* Turned there and back it is what it was, and lengths stay. */
static void there_and_back(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++) {
        arrays a = arrays_new(sizes[k]);
        both back = both_new(a.n, 5, 1.0);
        turn(&a, &a.y, &a.x, ATT_F64, NULL, 0, 0);
        turn(&a, &back, &a.y, ATT_F64, NULL, 1, 0);
        double before = 0, after = 0;
        for (int64_t i = 0; i < a.n; i++) {
            assert_true(fabs(back.d[i] - a.x.d[i]) <= 1e-6); /* cosines and sines are rounded to float */
            before += a.x.d[i] * a.x.d[i];
            after += a.y.d[i] * a.y.d[i];
        }
        assert_true(fabs(before - after) <= 1e-6 * before);
        both_free(&back);
        arrays_free(&a);
    }
}

/* <turn(x), g> = <x, turn back(g)>: the inverse is the gradient. */
static void gradient(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++) {
        arrays a = arrays_new(sizes[k]);
        both g = both_new(a.n, 6, 1.0), dx = both_new(a.n, 7, 1.0);
        turn(&a, &a.y, &a.x, ATT_F64, NULL, 0, 0);
        turn(&a, &dx, &g, ATT_F64, NULL, 1, 0);
        double left = 0, right = 0;
        for (int64_t i = 0; i < a.n; i++) {
            left += a.y.d[i] * g.d[i];
            right += a.x.d[i] * dx.d[i];
        }
        assert_true(fabs(left - right) <= 1e-12 * (1.0 + fabs(left)));
        both_free(&g);
        both_free(&dx);
        arrays_free(&a);
    }
}

/* By hand: the angle of 90 degrees takes (x0, x1) to (-x1, x0). */
static void quarter_turn(void **state)
{
    float x[4] = {1, 2, 3, 4}, y[4], zero[2] = {0, 0}, one[2] = {1, 1};
    att_view vx = att_view_4d(x, ATT_F32, 1, 1, 1, 4), vy = att_view_4d(y, ATT_F32, 1, 1, 1, 4);
    att_view c = att_view_2d(zero, ATT_F32, 1, 2), s = att_view_2d(one, ATT_F32, 1, 2);
    (void)state;
    assert_ok(att_rotary(NULL, &vy, &vx, &c, &s, 0, 0));
    const float want[4] = {-3, -4, 1, 2};
    for (int i = 0; i < 4; i++) assert_true(y[i] == want[i]);
}

static void refused(void **state)
{
    float x[24], y[24], t[12];
    att_view vx = att_view_4d(x, ATT_F32, 1, 2, 3, 4), vy = att_view_4d(y, ATT_F32, 1, 2, 3, 4);
    att_view c = att_view_2d(t, ATT_F32, 2, 2), bad = att_view_2d(t, ATT_F32, 3, 2);
    att_view odd = att_view_4d(x, ATT_F32, 1, 2, 4, 3), flat = att_view_3d(x, ATT_F32, 2, 3, 4);
    (void)state;
    assert_refused(att_rotary(NULL, &vy, &vx, &bad, &c, 0, 0), ATT_E_SHAPE, "cosine");
    assert_refused(att_rotary(NULL, &vy, &vx, &c, &bad, 0, 0), ATT_E_SHAPE, "sine");
    assert_refused(att_rotary(NULL, &odd, &odd, &c, &c, 0, 0), ATT_E_SHAPE, "even");
    assert_refused(att_rotary(NULL, &flat, &flat, &c, &c, 0, 0), ATT_E_SHAPE, "x");
    assert_refused(att_rotary(NULL, &flat, &vx, &c, &c, 0, 0), ATT_E_SHAPE, "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity),       cmocka_unit_test(there_and_back), cmocka_unit_test(gradient),
        cmocka_unit_test(quarter_turn), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
