/* The duties of callers, checked: every message names the argument, the value found and what was expected. */
#ifndef ATT_REQUIRE_H
#define ATT_REQUIRE_H

#include "base/base.h"

#define ATT_SHAPE_TEXT (ATT_MAX_DIMS * 22 + 8) /* bytes */

/* "(2,3)", for messages; of more than ATT_MAX_DIMS sizes only those. */
const char *att_shape_text(char text[ATT_SHAPE_TEXT], int ndim, const int64_t *dim);
/* `v` is given (or empty), float32 or float64, with at most ATT_MAX_DIMS sizes >= 0. */
att_status att_require_real(const char *name, const att_view *v);
/* `v` is given (or empty), of this type and shape. */
att_status att_require_shape(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim);
/* `v` has the type and shape of `like`. */
att_status att_require_like(const char *name, const att_view *v, const att_view *like);
/* The last dimension has stride 1. */
att_status att_require_unit(const char *name, const att_view *v);
/* `v` is a real matrix (M,N) whose rows are dense. */
att_status att_require_rows(const char *name, const att_view *v);
/* target(M) int32, every element below V; below 0 means that the row does not count. */
att_status att_require_targets(const att_view *target, int64_t M, int64_t V);
/* `span` holds at least `bytes`. */
att_status att_require_workspace(att_span span, size_t bytes);

static inline int64_t att_last_dim(const att_view *v)
{
    return v->ndim > 0 ? v->dim[v->ndim - 1] : 1;
}

#endif
