/* The mean of several model files' weights (Vaswani et al. 2017, section 6.1: the last checkpoints of a run). */
#include <string.h>

#include <attend/file.h>
#include <attend/model.h>

#include "base/base.h"

#define PREFIX       "model."
#define STATE_KEY    "attend.training" /* a checkpoint's, which an average does not have */
#define RECIPE_KEY   "attend.recipe"
#define MOST_ENTRIES 64 /* of metadata */

/* The first file, whose memory receives the mean, and the sums so far. */
typedef struct mean {
    const att_allocator *allocator;
    const char *path; /* of the first */
    att_file *first;
    att_named_view *tensor; /* (count) the weights */
    int64_t count, elements, room;
    double *sum; /* (elements) */
} mean;

static att_status list_weights(mean *m)
{
    void *block;
    m->room = att_file_count(m->first);
    ATT_TRY(att_new_array(m->allocator, (size_t)m->room, sizeof *m->tensor, &block));
    m->tensor = block;
    for (int64_t i = 0; i < m->room; i++) {
        const char *name = att_file_name(m->first, i);
        att_named_view *t = &m->tensor[m->count];
        if (strncmp(name, PREFIX, strlen(PREFIX)) != 0) continue;
        ATT_TRY(att_file_tensor(m->first, name, &t->view));
        ATT_REQUIRE(t->view.dtype == ATT_F32, ATT_E_UNSUPPORTED, "%s: '%s' is %s, expected float32", m->path, name,
                    att_dtype_name(t->view.dtype));
        t->name = name;
        m->elements += att_view_count(&t->view);
        m->count++;
    }
    ATT_REQUIRE(m->count > 0, ATT_E_FORMAT, "%s: no tensor '" PREFIX "...': not a model that was trained", m->path);
    ATT_TRY(att_new_array(m->allocator, (size_t)m->elements, sizeof *m->sum, &block));
    m->sum = block;
    return ATT_OK;
}

/* The keys that decide what the weights mean: the model's, the text's and the task. */
static bool must_agree(const char *key)
{
    return strncmp(key, "model.", 6) == 0 || strncmp(key, "text.", 5) == 0 || strcmp(key, "task") == 0;
}

static att_status compare_recipes(const mean *m, const att_recipe *here, const att_recipe *there, const char *path)
{
    const att_options *table = att_recipe_options();
    for (int64_t i = 0; i < table->count; i++) {
        const att_options one = {&table->option[i], 1, table->bytes, 0};
        ATT_REQUIRE(!must_agree(one.option->key) || att_options_equal(&one, here, there), ATT_E_VALUE,
                    "%s: its recipe has another %s than %s", path, one.option->key, m->path);
    }
    return ATT_OK;
}

static att_status read_recipe(const att_file *file, const char *path, att_recipe *out)
{
    const char *json = att_file_metadata(file, RECIPE_KEY);
    ATT_REQUIRE(json, ATT_E_FORMAT, "%s: not a model that was trained: its metadata lacks '" RECIPE_KEY "'", path);
    return att_options_from_json(att_recipe_options(), out, json, strlen(json));
}

static att_status check_recipe(const mean *m, const att_file *file, const char *path)
{
    att_recipe here, there;
    ATT_TRY(att_options_init(att_recipe_options(), &here));
    att_status status = att_options_init(att_recipe_options(), &there);
    if (status == ATT_OK) {
        status = read_recipe(m->first, m->path, &here);
        if (status == ATT_OK) status = read_recipe(file, path, &there);
        if (status == ATT_OK) status = compare_recipes(m, &here, &there, path);
        att_options_free(att_recipe_options(), &there);
    }
    att_options_free(att_recipe_options(), &here);
    return status;
}

/* Tokenisers, vocabulary and the like are the same text. */
static att_status check_metadata(const mean *m, const att_file *file, const char *path)
{
    for (int64_t i = 0; i < att_file_metadata_count(m->first); i++) {
        att_metadata entry = att_file_metadata_at(m->first, i);
        if (strcmp(entry.key, STATE_KEY) == 0 || strcmp(entry.key, RECIPE_KEY) == 0) continue;
        const char *value = att_file_metadata(file, entry.key);
        ATT_REQUIRE(value && strcmp(value, entry.value) == 0, ATT_E_VALUE, "%s: its '%s' differs from that of %s", path,
                    entry.key, m->path);
    }
    return ATT_OK;
}

static att_status add(mean *m, const att_file *file, const char *path)
{
    double *sum = m->sum;
    for (int64_t i = 0; i < m->count; i++) {
        const att_view *want = &m->tensor[i].view;
        att_view have;
        ATT_TRY(att_file_tensor(file, m->tensor[i].name, &have));
        bool same = have.dtype == ATT_F32 && have.ndim == want->ndim &&
                    memcmp(have.dim, want->dim, (size_t)want->ndim * sizeof *want->dim) == 0;
        ATT_REQUIRE(same, ATT_E_VALUE, "%s: '%s' has another shape or type than in %s", path, m->tensor[i].name,
                    m->path);
        int64_t n = att_view_count(&have);
        for (int64_t k = 0; k < n; k++) *sum++ += (double)((const float *)have.data)[k];
    }
    return ATT_OK;
}

static att_status add_file(mean *m, const char *path)
{
    att_file *file;
    ATT_TRY(att_file_open(path, m->allocator, &file));
    att_status status = check_metadata(m, file, path);
    if (status == ATT_OK) status = check_recipe(m, file, path);
    if (status == ATT_OK) status = add(m, file, path);
    att_file_close(file);
    return status;
}

static att_status save(const mean *m, int64_t files, const char *path)
{
    att_metadata metadata[MOST_ENTRIES];
    int64_t n = 0;
    const double *sum = m->sum;
    for (int64_t i = 0; i < m->count; i++)
        for (int64_t k = 0; k < att_view_count(&m->tensor[i].view); k++)
            ((float *)m->tensor[i].view.data)[k] = (float)(*sum++ / (double)files);
    for (int64_t i = 0; i < att_file_metadata_count(m->first) && n < MOST_ENTRIES; i++) {
        metadata[n] = att_file_metadata_at(m->first, i);
        n += strcmp(metadata[n].key, STATE_KEY) != 0;
    }
    return att_file_save(path, m->tensor, m->count, metadata, n);
}

att_status att_model_average(const char *const *paths, int64_t n, const char *path, const att_allocator *allocator)
{
    ATT_REQUIRE(n > 0, ATT_E_VALUE, "paths: %lld, expected at least 1", (long long)n);
    mean m = {.allocator = allocator, .path = paths[0]};
    ATT_TRY(att_file_open(paths[0], allocator, &m.first));
    att_status status = list_weights(&m);
    if (status == ATT_OK) status = add(&m, m.first, m.path);
    for (int64_t i = 1; i < n && status == ATT_OK; i++) status = add_file(&m, paths[i]);
    if (status == ATT_OK) status = save(&m, n, path);
    att_free(allocator, m.sum, (size_t)m.elements * sizeof *m.sum);
    att_free(allocator, m.tensor, (size_t)m.room * sizeof *m.tensor);
    att_file_close(m.first);
    return status;
}
