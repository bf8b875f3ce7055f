/* Glimpses: what they see, and their gradients. */
#include "numeric.h"

#include <attend/glimpse.h>

enum { B = 2, H = 7, W = 9, C = 2, P = 3, S = 2, CELLS = B * S * P * P * C };

typedef struct look {
    att_glimpse_desc desc;
    both image, centre, patches, dimage, dcentre, dpatches;
} look;

static att_view view(const both *b, att_dtype dtype, int ndim, const int64_t *dim)
{
    return both_view(b, dtype, ndim, dim);
}
#define IMAGE(b, t)   view(b, t, 4, (int64_t[]){B, H, W, C})
#define CENTRE(b, t)  view(b, t, 2, (int64_t[]){B, 2})
#define PATCHES(b, t) view(b, t, 5, (int64_t[]){B, S, P, P, C})

static look look_new(att_glimpse_kind kind)
{
    look l = {.desc = {kind, P, S}};
    l.image = both_new(B * H * W * C, 1, 1);
    l.centre = both_new(B * 2, 2, 0.6);
    l.patches = both_new(CELLS, 3, 1);
    l.dimage = both_new(B * H * W * C, 4, 0);
    l.dcentre = both_new(B * 2, 5, 0);
    l.dpatches = both_new(CELLS, 6, 1);
    return l;
}

static void look_free(look *l)
{
    both *all[] = {&l->image, &l->centre, &l->patches, &l->dimage, &l->dcentre, &l->dpatches};
    for (int i = 0; i < 6; i++) both_free(all[i]);
}

static void forward(look *l, att_dtype dtype)
{
    att_view p = PATCHES(&l->patches, dtype), i = IMAGE(&l->image, dtype), c = CENTRE(&l->centre, dtype);
    assert_ok(att_glimpse_forward(&l->desc, &(att_exec){.threads = 2}, &p, &i, &c));
}

static void backward(look *l, att_dtype dtype)
{
    att_view di = IMAGE(&l->dimage, dtype), dc = CENTRE(&l->dcentre, dtype), dp = PATCHES(&l->dpatches, dtype);
    att_view i = IMAGE(&l->image, dtype), c = CENTRE(&l->centre, dtype);
    if (l->desc.kind == ATT_GLIMPSE_CROP) dc = (att_view){0};
    assert_ok(att_glimpse_backward(&l->desc, &(att_exec){.threads = 2}, &di, &dc, &dp, &i, &c));
}

static double loss(void *ctx)
{
    look *l = ctx;
    double sum = 0;
    forward(l, ATT_F64);
    for (int i = 0; i < CELLS; i++) sum += l->patches.d[i] * l->dpatches.d[i];
    return sum;
}

static void gradients(void **state)
{
    (void)state;
    for (int kind = ATT_GLIMPSE_BILINEAR; kind <= ATT_GLIMPSE_CROP; kind++) {
        look l = look_new((att_glimpse_kind)kind);
        backward(&l, ATT_F64);
        check_gradient("image", loss, &l, l.image.d, l.dimage.d, l.image.n);
        if (kind == ATT_GLIMPSE_BILINEAR) check_gradient("centre", loss, &l, l.centre.d, l.dcentre.d, l.centre.n);
        look_free(&l);
    }
}

static void float32_agrees(void **state)
{
    (void)state;
    look l = look_new(ATT_GLIMPSE_BILINEAR);
    forward(&l, ATT_F64), backward(&l, ATT_F64);
    forward(&l, ATT_F32), backward(&l, ATT_F32);
    for (int i = 0; i < CELLS; i++) assert_true(fabs((double)l.patches.f[i] - l.patches.d[i]) < 1e-5);
    for (int64_t i = 0; i < l.dimage.n; i++) assert_true(fabs((double)l.dimage.f[i] - l.dimage.d[i]) < 1e-5);
    for (int64_t i = 0; i < l.dcentre.n; i++)
        assert_true(fabs((double)l.dcentre.f[i] - l.dcentre.d[i]) < 1e-4 * (1 + fabs(l.dcentre.d[i])));
    look_free(&l);
}

/* At the centre of an image of odd sides a patch of odd side is the pixels themselves, and the coarser one the means of
 * 2 x 2 samples; at the corner a quarter of it lies inside. */
static void a_glimpse_sees_what_is_there(void **state)
{
    (void)state;
    for (int kind = ATT_GLIMPSE_BILINEAR; kind <= ATT_GLIMPSE_CROP; kind++) {
        look l = look_new((att_glimpse_kind)kind);
        memset(l.centre.d, 0, 2 * B * sizeof(double));
        forward(&l, ATT_F64);
        for (int b = 0; b < B; b++)
            for (int r = 0; r < P; r++)
                for (int x = 0; x < P; x++)
                    for (int c = 0; c < C; c++) {
                        double got = l.patches.d[(((b * S + 0) * P + r) * P + x) * C + c];
                        assert_true(fabs(got - l.image.d[((b * H + r + 2) * W + x + 3) * C + c]) < 1e-15);
                    }
        look_free(&l);
    }
    double image[16], centre[2] = {-1, -1}, patch[2 * 4];
    for (int i = 0; i < 16; i++) image[i] = i;
    att_glimpse_desc desc = {ATT_GLIMPSE_CROP, 2, 2};
    att_view v = att_view_4d(image, ATT_F64, 1, 4, 4, 1), c = att_view_2d(centre, ATT_F64, 1, 2);
    att_view p = att_view_dense(patch, ATT_F64, 5, (int64_t[]){1, 2, 2, 2, 1});
    assert_ok(att_glimpse_forward(&desc, NULL, &p, &v, &c));
    const double want[8] = {0, 0, 0, 0, 0, 0, 0, (0 + 1 + 4 + 5) / 4.0};
    for (int i = 0; i < 8; i++) assert_true(patch[i] == want[i]);
    centre[0] = centre[1] = 0;
    assert_ok(att_glimpse_forward(&desc, NULL, &p, &v, &c));
    const double middle[8] = {5, 6, 9, 10, 2.5, 4.5, 10.5, 12.5};
    for (int i = 0; i < 8; i++) assert_true(patch[i] == middle[i]);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    look l = look_new(ATT_GLIMPSE_CROP);
    att_view p = PATCHES(&l.patches, ATT_F64), i = IMAGE(&l.image, ATT_F64), c = CENTRE(&l.centre, ATT_F64);
    att_view none = {0};
    att_glimpse_desc bad = {ATT_GLIMPSE_CROP, 0, 1};
    assert_refused(att_glimpse_forward(&bad, NULL, &p, &i, &c), ATT_E_VALUE, "size: 0");
    bad = (att_glimpse_desc){ATT_GLIMPSE_CROP, P, 17};
    assert_refused(att_glimpse_forward(&bad, NULL, &p, &i, &c), ATT_E_VALUE, "scales: 17");
    assert_refused(att_glimpse_backward(&l.desc, NULL, &none, &c, &p, &i, &c), ATT_E_UNSUPPORTED, "dcentre: given");
    c.dim[1] = 3;
    assert_refused(att_glimpse_forward(&l.desc, NULL, &p, &i, &c), ATT_E_SHAPE, "centre: shape (2,3)");
    c.dim[1] = 2;
    l.centre.d[1] = NAN;
    assert_refused(att_glimpse_forward(&l.desc, NULL, &p, &i, &c), ATT_E_VALUE, "centre: nan at 1");
    look_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(float32_agrees),
        cmocka_unit_test(a_glimpse_sees_what_is_there),
        cmocka_unit_test(wrong_arguments_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
