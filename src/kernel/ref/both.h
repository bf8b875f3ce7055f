/* For callers: the prototypes of every reference kernel in both precisions. The headers listed in all.h have no guards
 * because they are read once for float and once for double. */
#ifndef ATT_REF_BOTH_H
#define ATT_REF_BOTH_H

#include <stdint.h>

#define ATT_REF_GLUE_(name, suffix) att_ref_##name##_##suffix
#define ATT_REF_GLUE(name, suffix)  ATT_REF_GLUE_(name, suffix)
#define ATT_REF(name)               ATT_REF_GLUE(name, ATT_REAL_SUFFIX)

#define real            float
#define ATT_REAL_SUFFIX f32
#include "kernel/ref/all.h"
#undef real
#undef ATT_REAL_SUFFIX

#define real            double
#define ATT_REAL_SUFFIX f64
#include "kernel/ref/all.h"
#undef real
#undef ATT_REAL_SUFFIX
#undef ATT_REF

#endif
