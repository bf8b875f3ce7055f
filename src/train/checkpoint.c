/* What is in folder/: paths, checkpoints, and the state's JSON. */
#include <string.h>

#include <jansson.h>

#include "train/trainer.h"

#define PREFIX    "model."
#define STATE_KEY "attend.training"

att_status att_trainer_path(const att_trainer *t, const char *name, char *out, size_t bytes)
{
    int n = snprintf(out, bytes, "%s/%s", t->folder, name);
    ATT_REQUIRE(n > 0 && (size_t)n < bytes, ATT_E_VALUE, "%s: the path is too long", t->folder);
    return ATT_OK;
}

typedef struct state_field {
    const char *name;
    size_t offset;
    bool real;
} state_field;

#define WHOLE(field)                                                                                                   \
    {                                                                                                                  \
#field, offsetof(att_train_state, field), false                                                                \
    }
#define REAL(field)                                                                                                    \
    {                                                                                                                  \
#field, offsetof(att_train_state, field), true                                                                 \
    }
static const state_field state_fields[] = {WHOLE(step),
                                           WHOLE(adam_step),
                                           WHOLE(epoch),
                                           WHOLE(batch),
                                           WHOLE(tokens),
                                           WHOLE(skipped),
                                           WHOLE(skipped_in_a_row),
                                           WHOLE(bad_validations),
                                           WHOLE(plateau_validations),
                                           WHOLE(best_step),
                                           REAL(best),
                                           REAL(rate_factor)};
#define STATE_FIELDS (sizeof state_fields / sizeof *state_fields)

static char *state_to_json(const att_train_state *s)
{
    json_t *object = json_object();
    for (size_t i = 0; i < STATE_FIELDS; i++) {
        const void *field = (const char *)s + state_fields[i].offset;
        json_t *value =
            state_fields[i].real ? json_real(*(const double *)field) : json_integer(*(const int64_t *)field);
        json_object_set_new(object, state_fields[i].name, value);
    }
    json_object_set_new(object, "finished", json_boolean(s->finished));
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(object);
    return text;
}

static att_status state_from_json(const char *path, const char *text, att_train_state *s)
{
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    att_status status = ATT_OK;
    if (!json_is_object(object))
        status =
            att_fail(ATT_E_FORMAT, "%s: holds no training state: it is a model, not a checkpoint to resume from", path);
    for (size_t i = 0; status == ATT_OK && i < STATE_FIELDS; i++) {
        json_t *value = json_object_get(object, state_fields[i].name);
        void *field = (char *)s + state_fields[i].offset;
        if (state_fields[i].real && json_is_number(value))
            *(double *)field = json_number_value(value);
        else if (!state_fields[i].real && json_is_integer(value))
            *(int64_t *)field = json_integer_value(value);
        else
            status = att_fail(ATT_E_FORMAT, "%s: the training state lacks '%s'", path, state_fields[i].name);
    }
    if (status == ATT_OK) s->finished = json_is_true(json_object_get(object, "finished"));
    json_decref(object);
    return status;
}

typedef struct tensor_list {
    att_named_view *view;
    char *names;
    int64_t count;
} tensor_list;

#define NAME_BYTES 192

/* The parameters as "model.NAME", with room for `extra` more. */
static att_status list_parameters(const att_params *params, int64_t extra, tensor_list *list)
{
    void *views, *names;
    size_t n = (size_t)(att_params_count(params) + extra);
    *list = (tensor_list){0};
    ATT_TRY(att_new_array(NULL, n, sizeof(att_named_view), &views));
    att_status status = att_new_array(NULL, n, NAME_BYTES, &names);
    if (status != ATT_OK) {
        att_free(NULL, views, n * sizeof(att_named_view));
        return status;
    }
    *list = (tensor_list){.view = views, .names = names};
    for (; list->count < att_params_count(params); list->count++) {
        const att_parameter *p = att_params_at(params, list->count);
        char *name = list->names + list->count * NAME_BYTES;
        snprintf(name, NAME_BYTES, PREFIX "%s", att_parameter_name(p));
        list->view[list->count] = (att_named_view){name, *att_parameter_value(p)};
    }
    return ATT_OK;
}

static void free_list(tensor_list *list, const att_params *params, int64_t extra)
{
    size_t n = (size_t)(att_params_count(params) + extra);
    att_free(NULL, list->view, n * sizeof *list->view);
    att_free(NULL, list->names, n * NAME_BYTES);
}

/* Save weights and, with a state, the optimiser too. */
static att_status save(att_trainer *t, const char *name, const char *state)
{
    enum { EXTRA = 3, MOST_METADATA = 16 };
    char path[4096];
    tensor_list list;
    const att_metadata *described;
    att_metadata metadata[MOST_METADATA];
    int64_t described_count;
    ATT_TRY(att_trainer_path(t, name, path, sizeof path));
    ATT_TRY(t->job->describe(t->job->ctx, &described, &described_count));
    assert(described_count < MOST_METADATA);
    memcpy(metadata, described, (size_t)described_count * sizeof *metadata);
    ATT_TRY(list_parameters(t->job->params, EXTRA, &list));
    if (state) {
        int64_t n = att_params_elements(t->job->params);
        metadata[described_count++] = (att_metadata){STATE_KEY, state};
        list.view[list.count++] = (att_named_view){"optimiser.m", att_view_1d(t->m, ATT_F32, n)};
        list.view[list.count++] = (att_named_view){"optimiser.v", att_view_1d(t->v, ATT_F32, n)};
        if (t->average)
            list.view[list.count++] = (att_named_view){"optimiser.average", att_view_1d(t->average, ATT_F32, n)};
    }
    att_status status = att_file_save(path, list.view, list.count, metadata, described_count);
    free_list(&list, t->job->params, EXTRA);
    return status;
}

att_status att_trainer_save_last(att_trainer *t)
{
    char *state = state_to_json(&t->state);
    ATT_REQUIRE(state, ATT_E_MEMORY, "out of memory: the training state");
    att_status status = save(t, "last.att", state);
    free(state);
    return status;
}

att_status att_trainer_save_weights(att_trainer *t, const char *name)
{
    att_trainer_swap_average(t);
    att_status status = save(t, name, NULL);
    att_trainer_swap_average(t);
    return status;
}

static att_status read_flat(const att_file *file, const char *path, const char *name, float *to, int64_t n)
{
    att_view view;
    ATT_TRY(att_file_tensor(file, name, &view));
    ATT_REQUIRE(view.dtype == ATT_F32 && att_view_count(&view) == n, ATT_E_FORMAT,
                "%s: '%s' has %lld numbers, the model of the recipe %lld: the recipe changed", path, name,
                (long long)att_view_count(&view), (long long)n);
    memcpy(to, view.data, (size_t)n * sizeof(float));
    return ATT_OK;
}

static att_status read_all(att_trainer *t, const att_file *file, const char *path)
{
    int64_t n = att_params_elements(t->job->params);
    ATT_TRY(state_from_json(path, att_file_metadata(file, STATE_KEY), &t->state));
    for (int64_t i = 0; i < att_params_count(t->job->params); i++) {
        const att_parameter *p = att_params_at(t->job->params, i);
        char name[NAME_BYTES];
        snprintf(name, sizeof name, PREFIX "%s", att_parameter_name(p));
        ATT_TRY(read_flat(file, path, name, att_parameter_value(p)->data, att_view_count(att_parameter_value(p))));
    }
    ATT_TRY(read_flat(file, path, "optimiser.m", t->m, n));
    ATT_TRY(read_flat(file, path, "optimiser.v", t->v, n));
    if (t->average) ATT_TRY(read_flat(file, path, "optimiser.average", t->average, n));
    att_params_changed(t->job->params);
    return ATT_OK;
}

att_status att_trainer_load_last(att_trainer *t)
{
    char path[4096];
    att_file *file;
    ATT_TRY(att_trainer_path(t, "last.att", path, sizeof path));
    ATT_TRY(att_file_open(path, NULL, &file));
    att_status status = read_all(t, file, path);
    att_file_close(file);
    return status;
}
