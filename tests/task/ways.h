/* One recipe trained in several ways, which must give the same bytes. */
#ifndef ATT_TEST_WAYS_H
#define ATT_TEST_WAYS_H

#include <attend/recipe.h>

/* Five steps of the recipe, of any task, on one, two and three threads, and stopped after three steps and resumed:
 * last.att is the same file. Its train.folder becomes one of the scratch folder. */
void assert_same_checkpoints(att_recipe *recipe);

#endif
