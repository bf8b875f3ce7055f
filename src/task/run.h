/* What training runs of every task share. */
#ifndef ATT_RUN_H
#define ATT_RUN_H

#include <attend/translator.h>

#include "base/base.h"

/* Tell the hooks what is going on. */
void att_run_note(const att_training_hooks *hooks, const char *format, ...) ATT_PRINTF(2, 3);
/* The tokeniser that the recipe asks for; `side` names the lines in messages. */
att_status att_run_tokenizer(const att_recipe *recipe, const char *side, const att_text *lines, int64_t n,
                             att_tokenizer **out);
/* Path of the checkpoint to resume from; ATT_E_MISSING when there is none. */
att_status att_run_checkpoint(const att_recipe *recipe, char *path, size_t room);
/* That nothing changed in a recipe but what may change between the parts of a run; `path` is the older part. */
att_status att_run_unchanged(const att_recipe *now, const att_recipe *then, const char *path);

#endif
