/* A training run small enough to be followed by hand: softmax regression on made-up points, and what the loop told it.
 */
#ifndef ATT_TEST_TOY_H
#define ATT_TEST_TOY_H

#include <attend/train.h>

enum { K = 3, CLASSES = 4, ROWS = 5, BLOCKS = 6, STEPS_SEEN = 400, WEIGHTS = K * CLASSES, ELEMENTS = 32 };

typedef struct toy {
    char folder[128];
    att_params *params;
    att_parameter *w, *b;
    float x[BLOCKS * ROWS][K];
    int32_t label[BLOCKS * ROWS];
    int64_t epoch;
    int joined;               /* a batch is two blocks */
    int64_t bad_from, bad_to; /* losses, counted from 0, that are not finite */
    int64_t losses;
    int64_t stop_at;      /* step at which `progress` asks to stop */
    const double *scores; /* of validations; NULL: the loss of the whole set */
    int64_t validations, bests;
    att_train_progress last;
    double lr[STEPS_SEEN];
    float weights[STEPS_SEEN][ELEMENTS]; /* after each step */
    char *kept_last;                     /* last.att as it was when step keep_at was done */
    size_t kept_bytes;
    int64_t keep_at;
} toy;

extern const att_train_options toy_options;

toy *toy_create(void); /* its folder is made by the loop */
void toy_destroy(toy *r);
void toy_make_weights(toy *r); /* the first ones, again */
att_status toy_train(toy *r, const att_train_options *o, int resume);
int64_t toy_block(const toy *r, int64_t batch); /* the points of a batch of this epoch */
const char *toy_path(const toy *r, const char *name);
void toy_assert_same_file(const toy *a, const toy *b, const char *name);
void toy_assert_near(double got, double want, double eps);

#endif
