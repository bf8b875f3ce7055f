/* Gradients against central differences, and arrays that tests compare. */
#ifndef NUMERIC_H
#define NUMERIC_H

#include "harness.h"

/* The loss as a function of everything in ctx; x is part of it. */
typedef double (*loss_fn)(void *ctx);

/* Checks grad[n] against (loss(x + eps) - loss(x - eps)) / 2 eps, at most about 60 elements, to 1e-6 relative. */
void check_gradient(const char *what, loss_fn loss, void *ctx, double *x, const double *grad, int64_t n);

/* A pair of guarded arrays with the same values: float and double. */
typedef struct both {
    int64_t n;
    float *f;
    double *d;
} both;
both both_new(int64_t n, uint64_t seed, double scale);
void both_free(both *b);
/* The view of one of them. */
att_view both_view(const both *b, att_dtype dtype, int ndim, const int64_t *dim);

/* The call fails with `status` and the message contains `word`. */
#define assert_refused(call, status, word)                                                                             \
    do {                                                                                                               \
        att_status status_ = (call);                                                                                   \
        if (status_ != (status) || !strstr(att_last_error(), word))                                                    \
            fail_msg("%s: %s (%s), expected %s with '%s'", #call, att_status_name(status_), att_last_error(),          \
                     att_status_name(status), word);                                                                   \
    } while (0)

#endif
