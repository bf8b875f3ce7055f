/* Tensors as the library sees them: a pointer with element type, sizes and strides. Views never own memory. */
#ifndef ATTEND_VIEW_H
#define ATTEND_VIEW_H

#include <attend/export.h>
#include <attend/status.h>

ATT_BEGIN

#define ATT_MAX_DIMS 6

typedef enum att_dtype {
    ATT_F32 = 0,
    ATT_F64 = 1,
    ATT_BF16 = 2,
    ATT_F16 = 3,
    ATT_I8 = 4,
    ATT_I32 = 5,
    ATT_I64 = 6,
    ATT_U8 = 7 /* also boolean: zero is false, anything else true */
} att_dtype;

/* Dimensions are in NumPy's order, the last one fastest. Strides count elements, not bytes, and may be 0 (broadcast).
 * data == NULL means "not given" wherever a view is optional; so a zeroed att_view is an absent argument. */
typedef struct att_view {
    void *data;
    att_dtype dtype;
    int ndim;
    int64_t dim[ATT_MAX_DIMS];
    int64_t stride[ATT_MAX_DIMS];
} att_view;

/* A dense row-major view of `ndim` sizes over `data`. No check of `data`; sizes must be >= 0. */
ATT_API att_view att_view_dense(void *data, att_dtype dtype, int ndim, const int64_t *dim);
ATT_API att_view att_view_1d(void *data, att_dtype dtype, int64_t n);
ATT_API att_view att_view_2d(void *data, att_dtype dtype, int64_t rows, int64_t cols);
ATT_API att_view att_view_3d(void *data, att_dtype dtype, int64_t d0, int64_t d1, int64_t d2);
ATT_API att_view att_view_4d(void *data, att_dtype dtype, int64_t d0, int64_t d1, int64_t d2, int64_t d3);

/* Elements lo <= i < hi of dimension `axis` (negative counts from the end). Shares memory. No bounds check beyond
 * assertions: sizes are the caller's invariant here. */
ATT_API att_view att_view_slice(const att_view *v, int axis, int64_t lo, int64_t hi);
/* Index `i` of dimension `axis`; that dimension disappears. */
ATT_API att_view att_view_at(const att_view *v, int axis, int64_t i);
/* Exchange two dimensions. */
ATT_API att_view att_view_transpose(const att_view *v, int axis_a, int axis_b);
/* Another shape over the same elements; fails with ATT_E_SHAPE when counts differ or strides do not allow it. */
ATT_API att_status att_view_reshape(const att_view *v, int ndim, const int64_t *dim, att_view *out);

ATT_API int64_t att_view_count(const att_view *v);   /* number of elements */
ATT_API int att_view_is_dense(const att_view *v);    /* row-major without gaps */
ATT_API size_t att_dtype_bytes(att_dtype dtype);     /* of one element */
ATT_API const char *att_dtype_name(att_dtype dtype); /* "float32", as in NumPy */

ATT_END

#endif
