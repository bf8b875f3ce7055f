/* What every example does: run a mechanism with memory of its own, print, and draw. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <attend.h>

/* End the program with the library's message unless the call succeeds. */
#define MUST(call) must((call), #call)
void must(att_status status, const char *what);

/* End the program when what the text promises does not hold. */
#define CHECK(condition) check((condition), #condition)
void check(int condition, const char *what);

int near(double a, double b, double tolerance);

/* n floats, normal numbers from `seed`; free with free. */
float *normal(int64_t n, uint64_t seed);
float *zeros(int64_t n);

/* The mechanism on in, into out->core.o and what else out names. */
void run(const att_mechanism_desc *desc, const att_mechanism_in *in, const att_mechanism_out *out);

/* As the notes: the sum of the scores, the variance of the weights, the sum of the output, of a call with one head.
 * weights (Tq,Tk) if not NULL. Returns the sum of the output. */
double report(const char *title, const att_mechanism_desc *desc, const att_mechanism_in *in, float *weights);

/* Weights (rows, cols) in the terminal and as folder/name.png. Labels may be NULL. */
void draw(const char *folder, const char *name, const char *title, const float *weights, int64_t rows, int64_t cols,
          const char *const *row_labels, const char *const *col_labels);

/* The folder for pictures: the first argument, or the working one. */
const char *folder_of(int argc, char **argv);

#endif
