#include <attend/classify.h>
#include <attend/language.h>

att_status att_recipe_train(const att_recipe *recipe, const att_exec *exec, int resume, const att_training_hooks *hooks)
{
    if (recipe->task == ATT_TASK_TRANSLATION) return att_train_translator(recipe, exec, resume, hooks);
    if (recipe->task == ATT_TASK_CLASSIFICATION) return att_train_classifier(recipe, exec, resume, hooks);
    return att_train_language(recipe, exec, resume, hooks);
}
