/* Inside of the training loop: the state that a checkpoint holds. */
#ifndef ATT_TRAINER_H
#define ATT_TRAINER_H

#include <stdio.h>

#include <attend/train.h>

#include "base/base.h"

/* Everything besides weights and moments that decides the rest of the run. Saved as JSON in last.att. */
typedef struct att_train_state {
    int64_t step;         /* optimiser steps tried (skipped ones count) */
    int64_t adam_step;    /* optimiser steps made */
    int64_t epoch, batch; /* the next batch */
    int64_t tokens;       /* rows of loss seen */
    int64_t skipped, skipped_in_a_row;
    int64_t bad_validations, plateau_validations; /* since the last best, since the last reduction */
    int64_t best_step;                            /* -1: none yet */
    double best;
    double rate_factor; /* of the plateau schedule */
    int finished;       /* early stopping came */
} att_train_state;

typedef struct att_trainer {
    const att_train_options *options;
    const att_train_job *job;
    att_exec exec;
    const char *folder;
    att_tape *tape;
    float *m, *v, *average; /* flat, as the parameters; average is NULL when off */
    att_train_state state;
    int64_t batches;       /* of the planned epoch */
    int64_t planned_epoch; /* -1: none */
    FILE *log;
    double seconds; /* spent training in this process */
} att_trainer;

/* One optimiser step from the gradients in params: clip, Adam, average. *norm is the gradient's norm; returns false and
 * changes nothing when it is not finite. */
bool att_trainer_update(att_trainer *t, double *norm, double *lr);

/* Exchange the weights with their moving average (a second call exchanges back); nothing when there is none. */
void att_trainer_swap_average(att_trainer *t);

att_status att_trainer_path(const att_trainer *t, const char *name, char *out, size_t bytes);
att_status att_trainer_save_last(att_trainer *t);
att_status att_trainer_save_weights(att_trainer *t, const char *name); /* the average, when there is one */
att_status att_trainer_load_last(att_trainer *t);

/* Open folder/log.jsonl for appending, cutting what lies beyond the checkpoint's step. */
att_status att_trainer_open_log(att_trainer *t, bool resume);
att_status att_trainer_log_step(att_trainer *t, const att_train_progress *p);
att_status att_trainer_log_validation(att_trainer *t, const att_validation *v, bool best);

#endif
