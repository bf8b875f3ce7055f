/* Which class a text is of: an encoder whose first position goes through a pooler and a linear layer (Devlin et al.
 * 2019, "BERT", section 4.1), trained from nothing or on top of a masked language model (model.from). */
#ifndef ATTEND_CLASSIFY_H
#define ATTEND_CLASSIFY_H

#include <attend/model.h>
#include <attend/translator.h>

ATT_BEGIN

/* How many classes a model tells apart, 0: it does not classify; and their names, 0 <= i < classes: those of a
 * training set in the order of their bytes. */
ATT_API int64_t att_model_classes(const att_model *model);
ATT_API const char *att_model_class(const att_model *model, int64_t i);

/* probability (n, classes) float32, dense: of each class for each line. Tokens past the model's most are left out. The
 * same bits for any number of threads and any order of the lines. `progress`, if not NULL, is called with the number of
 * finished lines; returning non-zero stops with ATT_E_INTERRUPTED. Fails with ATT_E_UNSUPPORTED for a model that does
 * not classify. */
ATT_API att_status att_model_classify(att_model *model, const att_text *lines, int64_t n, att_view *probability,
                                      int (*progress)(void *ctx, int64_t done), void *ctx);

typedef struct att_classification {
    double loss;     /* nats a line */
    double accuracy; /* share of lines whose likeliest class is theirs */
    double f1;       /* macro F1: the mean, over the classes that are there or said, of 2 right / (there + said) */
    int64_t lines;
    double seconds;
} att_classification;

/* On pairs of a text and the name of its class. confusion (classes, classes), optional, counts lines of class r that
 * were said to be of class c. Fails with ATT_E_VALUE for a class that the model does not know, naming the line. */
ATT_API att_status att_model_classify_evaluate(att_model *model, const att_pairs *pairs, att_classification *out,
                                               int64_t *confusion, int (*progress)(void *ctx, int64_t done), void *ctx);

/* Train what the recipe says (task classification), see att_train. The classes are those of the training set; texts of
 * more than data.max_length tokens are cut there, in use too. */
ATT_API att_status att_train_classifier(const att_recipe *recipe, const att_exec *exec, int resume,
                                        const att_training_hooks *hooks);

ATT_END

#endif
