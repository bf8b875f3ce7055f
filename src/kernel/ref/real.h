/* What a reference kernel's source starts with. These sources are compiled twice: real = float (the product's fallback
 * and the honest baseline of every error bound) and real = double (the oracle). ATT_REF(softmax) is
 * att_ref_softmax_f32 or att_ref_softmax_f64. */
#ifndef ATT_REAL_H
#define ATT_REAL_H

#include <math.h>
#include <stdint.h>

#define ATT_REF_GLUE_(name, suffix) att_ref_##name##_##suffix
#define ATT_REF_GLUE(name, suffix)  ATT_REF_GLUE_(name, suffix)
#define ATT_REF(name)               ATT_REF_GLUE(name, ATT_REAL_SUFFIX)
#define real                        ATT_REAL

#endif
