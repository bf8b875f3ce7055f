/* The gradients of a model's loss beside central differences of it. */
#ifndef ATT_TEST_DIFFERENCES_H
#define ATT_TEST_DIFFERENCES_H

#include <stdbool.h>

#include <attend/random.h>
#include <attend/tape.h>

typedef struct differences {
    double (*loss)(const void *model);                                      /* with the parameters as they are now */
    bool (*without_effect)(const void *model, const char *name, int64_t i); /* element i changes nothing; may be NULL */
    const void *model;
    const char *what;    /* in messages */
    float step;          /* of the differences */
    double share, least; /* what an error may be: of a parameter's largest gradient, and as a number */
} differences;

/* Every parameter: its element of the largest gradient, which must not be 0, and one that is drawn. */
void differences_check(const differences *d, att_params *params, att_random *r);

#endif
