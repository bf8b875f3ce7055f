/* The training loop, for any model on a tape: Adam, schedules, clipping, accumulation, validation, early stopping,
 * checkpoints that continue to the same bits, and a log. */
#ifndef ATTEND_TRAIN_H
#define ATTEND_TRAIN_H

#include <attend/exec.h>
#include <attend/file.h>
#include <attend/tape.h>

ATT_BEGIN

enum { ATT_SCHEDULE_CONSTANT, ATT_SCHEDULE_INVERSE_SQRT, ATT_SCHEDULE_PLATEAU, ATT_SCHEDULE_COSINE };

/* The `train` section of a recipe, as far as every task has it. */
typedef struct att_train_options {
    int64_t seed;
    int64_t steps;      /* optimiser steps in all */
    int bfloat16;       /* 1: mixed precision where the machine is faster with it, see att_tape_precision */
    int64_t accumulate; /* batches summed for one step */
    double lr;          /* the largest learning rate */
    int schedule;       /* after the warm-up: constant; lr sqrt(warmup/step); lr times `factor` whenever `plateau`
                           validations brought nothing; half a cosine from lr down to lr_min at the last step */
    int64_t warmup;     /* steps of linear rise */
    double lr_min, factor;
    int64_t plateau;
    double beta1, beta2, eps, decay; /* of Adam; decay is decoupled */
    double clip;                     /* largest global norm of the gradient; 0: any */
    double average;         /* d > 0: validate and save an exponential moving average of the weights with decay d */
    int64_t validate_every; /* steps */
    int64_t patience;       /* validations without a new best before stopping; 0: never */
    int64_t save_every;     /* steps between writes of the last checkpoint; it is also written at validations */
    int64_t keep_every;     /* steps between checkpoints kept for good; 0: none */
} att_train_options;

/* One validation: named numbers, the first of which chooses the best checkpoint and stops early. */
#define ATT_MAX_SCORES 8
typedef struct att_score_value {
    const char *name; /* static string */
    double value;
} att_score_value;
typedef struct att_validation {
    att_score_value score[ATT_MAX_SCORES];
    int count;
    int lower_is_better; /* of the first, which is never the best when it is not finite */
} att_validation;

/* What the loop needs to know of a task. Every function gets `ctx`. */
typedef struct att_train_progress att_train_progress;
typedef struct att_train_job {
    void *ctx;
    att_params *params;
    /* Plan epoch number `epoch` (from 0): the same for the same number, whatever came before. */
    att_status (*plan)(void *ctx, int64_t epoch, int64_t *batches);
    /* Rows of a planned batch that count in the loss (target tokens). */
    int64_t (*count)(void *ctx, int64_t batch);
    /* Record batch `batch` on the tape; its gradient is `scale` times that of the summed loss. */
    att_status (*loss)(void *ctx, att_tape *tape, int64_t batch, double scale, uint64_t seed, att_loss *loss);
    att_status (*validate)(void *ctx, att_validation *out);
    /* Metadata of a model file: configuration, tokenisers. Valid until the next call. */
    att_status (*describe)(void *ctx, const att_metadata **metadata, int64_t *count);
    /* After a validation: draw curves, print. May be NULL. */
    void (*validated)(void *ctx, int64_t step, const att_validation *validation, int best);
    /* After every step; returning non-zero stops the run in good order. May be NULL. */
    int (*progress)(void *ctx, const att_train_progress *progress);
} att_train_job;

struct att_train_progress {
    int64_t step, steps, epoch, tokens, skipped;
    double loss;              /* of this step, per row */
    double lr, norm;          /* norm of the gradient before clipping */
    double tokens_per_second; /* over the last seconds, validation left out */
    double seconds;           /* spent training in this process, validation left out */
};

/* Train until `steps`, early stopping or a stop request. In `folder` (made if absent):
 *   last.att       weights, optimiser and position: what `resume` continues from
 *   best.att       weights of the best validation
 *   step-N.att     weights, every keep_every steps
 *   log.jsonl      one line a step, one a validation
 * With `resume` the run continues from last.att to the same bits as one that was never stopped; without, an existing
 * last.att is an error: nothing is overwritten unasked.
 * Fails with ATT_E_DIVERGED after ten non-finite gradients in a row (each one skips its step; last.att is of before),
 * ATT_E_INTERRUPTED after a stop request (last.att is written), ATT_E_IO, ATT_E_MISSING (nothing to resume),
 * ATT_E_FORMAT (last.att is of another model). On success, and after early stopping, params hold the last weights. */
ATT_API att_status att_train(const att_train_options *options, const att_train_job *job, const att_exec *exec,
                             const char *folder, int resume);

/* The learning rate of optimiser step `step` (from 1), before the plateau's factor. */
ATT_API double att_train_rate(const att_train_options *options, int64_t step);

ATT_END

#endif
