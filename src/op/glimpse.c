#include <attend/glimpse.h>

#include "base/parallel.h"
#include "kernel/ref/both.h"
#include "op/require.h"

static att_status dense(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim)
{
    ATT_TRY(att_require_shape(name, v, dtype, ndim, dim));
    ATT_REQUIRE(att_view_is_dense(v), ATT_E_SHAPE, "%s: strided, expected a dense array", name);
    return ATT_OK;
}

/* Also into *call. patches is named `name`. */
static att_status check(const att_glimpse_desc *desc, const char *name, const att_view *patches, const att_view *image,
                        const att_view *centre, att_glimpse_call *call)
{
    ATT_REQUIRE(desc, ATT_E_VALUE, "desc: NULL, expected size and scales");
    ATT_REQUIRE(desc->kind >= ATT_GLIMPSE_BILINEAR && desc->kind <= ATT_GLIMPSE_CROP, ATT_E_VALUE,
                "kind: %d, expected ATT_GLIMPSE_BILINEAR or _CROP", (int)desc->kind);
    ATT_REQUIRE(desc->size >= 1 && desc->size <= 1 << 16, ATT_E_VALUE, "size: %lld, expected 1 to 65536",
                (long long)desc->size);
    ATT_REQUIRE(desc->scales >= 1 && desc->scales <= 16, ATT_E_VALUE, "scales: %lld, expected 1 to 16",
                (long long)desc->scales);
    ATT_TRY(att_require_real("image", image));
    ATT_REQUIRE(image->ndim == 4, ATT_E_SHAPE, "image: %d dimensions, expected (B,H,W,C)", image->ndim);
    int64_t B = image->dim[0], C = image->dim[3], P = desc->size;
    ATT_TRY(dense("image", image, image->dtype, 4, image->dim));
    ATT_TRY(dense("centre", centre, image->dtype, 2, (int64_t[]){B, 2}));
    ATT_TRY(dense(name, patches, image->dtype, 5, (int64_t[]){B, desc->scales, P, P, C}));
    *call = (att_glimpse_call){
        .desc = *desc, .H = image->dim[1], .W = image->dim[2], .C = C, .image = image->data, .centre = centre->data};
    for (int64_t i = 0; i < 2 * B; i++) {
        double c =
            image->dtype == ATT_F64 ? ((const double *)centre->data)[i] : (double)((const float *)centre->data)[i];
        ATT_REQUIRE(c >= -1e6 && c <= 1e6, ATT_E_VALUE, "centre: %g at %lld, expected about -1 to 1", c, (long long)i);
    }
    return ATT_OK;
}

typedef struct job {
    const att_glimpse_call *call;
    void (*kernel)(const att_glimpse_call *call, int64_t b);
} job;

static void one_image(void *ctx, int64_t b, int worker)
{
    const job *j = ctx;
    (void)worker;
    j->kernel(j->call, b);
}

att_status att_glimpse_forward(const att_glimpse_desc *desc, const att_exec *exec, const att_view *patches,
                               const att_view *image, const att_view *centre)
{
    att_glimpse_call call;
    ATT_TRY(check(desc, "patches", patches, image, centre, &call));
    call.patches = patches->data;
    job j = {&call, image->dtype == ATT_F64 ? att_ref_glimpse_f64 : att_ref_glimpse_f32};
    att_parallel(exec, image->dim[0], one_image, &j);
    return ATT_OK;
}

att_status att_glimpse_backward(const att_glimpse_desc *desc, const att_exec *exec, const att_view *dimage,
                                const att_view *dcentre, const att_view *dpatches, const att_view *image,
                                const att_view *centre)
{
    att_glimpse_call call;
    ATT_TRY(check(desc, "dpatches", dpatches, image, centre, &call));
    if (dimage->data) ATT_TRY(dense("dimage", dimage, image->dtype, 4, image->dim));
    if (dcentre->data) ATT_TRY(dense("dcentre", dcentre, image->dtype, 2, centre->dim));
    ATT_REQUIRE(!dcentre->data || desc->kind == ATT_GLIMPSE_BILINEAR, ATT_E_UNSUPPORTED,
                "dcentre: given, but whole pixels have no derivative; expected ATT_GLIMPSE_BILINEAR");
    call.dpatches = dpatches->data;
    call.dimage = dimage->data;
    call.dcentre = dcentre->data;
    job j = {&call, image->dtype == ATT_F64 ? att_ref_glimpse_bwd_f64 : att_ref_glimpse_bwd_f32};
    att_parallel(exec, image->dim[0], one_image, &j);
    return ATT_OK;
}
