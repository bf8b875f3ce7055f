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
    int resume;
    att_recipe own;     /* what `recipe` points at */
    int64_t vocabulary; /* words of the model of model.from; 0: there is none */
    char *recipe_json, *tokenizer_json[2], vocabulary_text[24];
    att_metadata metadata[8]; /* of its checkpoints */
    int64_t metadata_count;
} att_run;

/* Copies the recipe and resolves it. The run is to be released after a failure, too. */
att_status att_run_begin(att_run *run, const att_recipe *recipe, const att_exec *exec, int resume,
                         const att_training_hooks *hooks);
void att_run_release(att_run *run);
/* Tell the hooks what is going on. */
void att_run_note(const att_run *run, const char *format, ...) ATT_PRINTF(2, 3);
/* One more key of the checkpoints' metadata, whose text the caller keeps. */
void att_run_describe(att_run *run, const char *key, const char *text);
/* The loop, for a task that has its own plan, count, loss and validate; from the first weights of model.from, if there
 * is one; with checkpoints that hold the recipe and these tokenisers (a translator's second one may be the first). */
att_status att_run_train(att_run *run, att_train_job job, const att_tokenizer *source, const att_tokenizer *target);
/* The tokeniser that the recipe asks for; `side` names the lines in messages. */
att_status att_run_tokenizer(const att_recipe *recipe, const char *side, const att_text *lines, int64_t n,
                             att_tokenizer **out);
/* Whether nothing is there to start from: no checkpoint to resume, no model.from. */
bool att_run_is_new(const att_run *run);
/* Otherwise: the tokenisers in there (the second may be the first), so that they do not depend on the data being found
 * again, and how many words the model has for each. Fails with ATT_E_MISSING when there is no checkpoint, and with
 * ATT_E_VALUE when anything changed in the recipe but what may change between the parts of a run. The tokenisers are
 * the caller's, also after a failure. */
att_status att_run_tokenizers(att_run *run, att_tokenizer *out[2], int64_t vocabulary[2]);
/* Fill the parameters from model.from. Those that it lacks stay as they are, and a note names them: another task may
 * need more. Fails with ATT_E_VALUE when it has none of them. */
att_status att_run_first_weights(const att_run *run, att_params *params);

#endif
