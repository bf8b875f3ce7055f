#include "fuzz.h"

#include <math.h>

#include <attend/option.h>

typedef struct recipe {
    int64_t hidden, layers;
    double rate, decay;
    int shuffle, cell;
    char *train, *name;
} recipe;

static const char *const cells[] = {"gru", "lstm", NULL};
static const att_option options[] = {
    {"model.hidden", ATT_OPTION_INT, offsetof(recipe, hidden), "256", 1, 65536, NULL, "width of the state"},
    {"model.layers", ATT_OPTION_INT, offsetof(recipe, layers), "-1", 0, 0, NULL, "any integer"},
    {"model.cell", ATT_OPTION_CHOICE, offsetof(recipe, cell), "gru", 0, 0, cells, "recurrent cell"},
    {"train.rate", ATT_OPTION_REAL, offsetof(recipe, rate), "1e-3", 0, 1, NULL, "learning rate"},
    {"train.decay", ATT_OPTION_REAL, offsetof(recipe, decay), "0", -INFINITY, INFINITY, NULL, "any number"},
    {"train.shuffle", ATT_OPTION_BOOL, offsetof(recipe, shuffle), "true", 0, 0, NULL, "a new order each epoch"},
    {"data.train", ATT_OPTION_STRING, offsetof(recipe, train), "", 0, 0, NULL, "file of sentence pairs"},
    {"name", ATT_OPTION_STRING, offsetof(recipe, name), "a: \"b\"\n", 0, 0, NULL, "needs quoting"},
};
static const att_options table = {options, sizeof options / sizeof *options, sizeof(recipe), 0};

/* What was read is in bounds, and survives being written and read again in both forms. */
static void round_trip(const recipe *r)
{
    recipe again;
    char *yaml, *json;
    PROMISE(r->hidden >= 1 && r->hidden <= 65536 && r->rate >= 0 && r->rate <= 1 && isfinite(r->decay));
    PROMISE((r->shuffle == 0 || r->shuffle == 1) && (r->cell == 0 || r->cell == 1) && r->train && r->name);
    PROMISE(att_options_to_yaml(&table, r, &yaml) == ATT_OK);
    PROMISE(att_options_init(&table, &again) == ATT_OK);
    PROMISE(att_options_read_yaml(&table, &again, fuzz_file((const uint8_t *)yaml, strlen(yaml))) == ATT_OK);
    PROMISE(att_options_equal(&table, r, &again));
    att_options_free(&table, &again);
    PROMISE(att_options_to_json(&table, r, &json) == ATT_OK);
    PROMISE(att_options_init(&table, &again) == ATT_OK);
    PROMISE(att_options_from_json(&table, &again, json, strlen(json)) == ATT_OK);
    PROMISE(att_options_equal(&table, r, &again));
    att_options_free(&table, &again);
    att_string_free(yaml);
    att_string_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    recipe r;
    PROMISE(att_options_init(&table, &r) == ATT_OK);
    if (att_options_read_yaml(&table, &r, fuzz_file(data, bytes)) == ATT_OK) round_trip(&r);
    if (att_options_from_json(&table, &r, (const char *)data, bytes) == ATT_OK) round_trip(&r);
    char line[200];
    snprintf(line, sizeof line, "%.*s", (int)(bytes < 199 ? bytes : 199), (const char *)data);
    if (att_options_set(&table, &r, line) == ATT_OK) round_trip(&r);
    att_options_free(&table, &r);
    return 0;
}
