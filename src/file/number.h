#ifndef ATT_NUMBER_H
#define ATT_NUMBER_H

#include "base/base.h"

#define ATT_NUMBER_BYTES 40

/* Decimal digits with an optional sign, nothing else; false when malformed or too large. */
bool att_number_int(const char *text, int64_t *out);
/* A finite decimal number, nothing else: 3, -0.5, .5, 1e-3. */
bool att_number_real(const char *text, double *out);
/* The shortest text that reads back as the same double, with a decimal point: 0.001, 1.0e-05, 3.0 */
void att_number_format(double value, char out[ATT_NUMBER_BYTES]);

#endif
