/* What training runs of every task share. */
#ifndef ATT_RUN_H
#define ATT_RUN_H

#include <attend/translator.h>

#include "base/base.h"

/* The first member of every task's own struct, which its att_train_job has as context. */
typedef struct att_run {
    const att_recipe *recipe;
    const att_training_hooks *hooks; /* may be NULL */
    att_exec exec;
    char *recipe_json, *tokenizer_json[2];
    att_metadata metadata[5]; /* of its checkpoints */
    int64_t metadata_count;
} att_run;

void att_run_begin(att_run *run, const att_recipe *recipe, const att_exec *exec, const att_training_hooks *hooks);
void att_run_release(att_run *run);
/* Tell the hooks what is going on. */
void att_run_note(const att_run *run, const char *format, ...) ATT_PRINTF(2, 3);
/* One more key of the checkpoints' metadata, whose text the caller keeps. */
void att_run_describe(att_run *run, const char *key, const char *text);
/* The loop, for a task that has its own plan, count, loss and validate; with checkpoints that hold the recipe and these
 * tokenisers (a translator's second one may be the first). */
att_status att_run_train(att_run *run, att_train_job job, const att_tokenizer *source, const att_tokenizer *target,
                         int resume);
/* The tokeniser that the recipe asks for; `side` names the lines in messages. */
att_status att_run_tokenizer(const att_recipe *recipe, const char *side, const att_text *lines, int64_t n,
                             att_tokenizer **out);
/* The tokenisers of the checkpoint to go on from, so that they do not depend on the data being found again. Fails with
 * ATT_E_MISSING when there is no checkpoint, and with ATT_E_VALUE when anything changed in the recipe but what may
 * change between the parts of a run. Both are the caller's, also after a failure. */
att_status att_run_resume(const att_run *run, att_tokenizer **source, att_tokenizer **target);

#endif
