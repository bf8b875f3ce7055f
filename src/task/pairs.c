/* The sets of a recipe: files, or pairs made on the spot. */
#include <stdio.h>
#include <string.h>

#include "task/translator.h"

/* A synthetic pair belongs to the set that the hash of its target says: 18 of 20 targets are for training, one for
 * validation, one for the test, so that no date of one set occurs in another, however it is written. */
enum { TRAIN, VALID, TEST };

static int set_of(const char *target)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *target; target++) h = (h ^ (unsigned char)*target) * 0x100000001b3u;
    uint64_t bucket = att_random_mix(h, 0) % 20;
    return bucket == 0 ? VALID : bucket == 1 ? TEST : TRAIN;
}

typedef struct made_pairs {
    att_text *text; /* (2, n): sources, then targets */
    char *characters;
    int64_t n;
} made_pairs;

typedef struct pairs_owner {
    att_corpus *corpus;
    made_pairs made;
} pairs_owner;

void att_pairs_free(att_pairs *pairs)
{
    pairs_owner *o = pairs->owner;
    if (o) {
        att_corpus_destroy(o->corpus);
        att_free(NULL, o->made.text, (size_t)o->made.n * 2 * sizeof *o->made.text);
        att_free(NULL, o->made.characters, (size_t)o->made.n * 2 * ATT_SYNTHETIC_BYTES);
        att_free(NULL, o, sizeof *o);
    }
    *pairs = (att_pairs){0};
}

static att_status make(const att_recipe *recipe, const char *which, made_pairs *out)
{
    att_synthetic *maker;
    void *block;
    int wanted = strcmp(which, "train") == 0 ? TRAIN : strcmp(which, "valid") == 0 ? VALID : TEST;
    int64_t n = wanted == TRAIN ? recipe->data.synthetic_train : recipe->data.synthetic_valid, made = 0;
    ATT_TRY(att_synthetic_find(recipe->data.synthetic, &maker));
    ATT_TRY(att_new_array(NULL, (size_t)n * 2, sizeof *out->text, &block));
    *out = (made_pairs){.text = block, .n = n};
    ATT_TRY(att_new_array(NULL, (size_t)n * 2, ATT_SYNTHETIC_BYTES, &block));
    out->characters = block;
    for (int64_t i = 0; made < n; i++) {
        char *source = out->characters + 2 * made * ATT_SYNTHETIC_BYTES, *target = source + ATT_SYNTHETIC_BYTES;
        ATT_TRY(maker((uint64_t)recipe->train.seed, i, source, ATT_SYNTHETIC_BYTES, target, ATT_SYNTHETIC_BYTES));
        if (set_of(target) != wanted) continue;
        out->text[made] = (att_text){source, strlen(source)};
        out->text[n + made++] = (att_text){target, strlen(target)};
    }
    return ATT_OK;
}

static att_status in_folder(const att_recipe *recipe, const char *name, size_t bytes, char *path, size_t room)
{
    bool absolute = bytes > 0 && name[0] == '/';
    const char *folder = absolute ? "" : recipe->data.folder;
    int n = snprintf(path, room, "%s%s%.*s", folder, *folder ? "/" : "", (int)bytes, name);
    ATT_REQUIRE(bytes > 0 && n > 0 && (size_t)n < room, ATT_E_VALUE, "data: a file name is empty or too long");
    return ATT_OK;
}

static att_status read(const att_recipe *recipe, const char *which, const char *files, att_corpus **out)
{
    char first[4096], second[4096];
    ATT_REQUIRE(*files, ATT_E_VALUE, "data.%s: not given, expected a file of sentence pairs", which);
    const char *comma = strchr(files, ',');
    ATT_TRY(in_folder(recipe, files, comma ? (size_t)(comma - files) : strlen(files), first, sizeof first));
    if (!comma)
        return att_corpus_read_tsv(first, (int)recipe->data.source_column - 1, (int)recipe->data.target_column - 1,
                                   NULL, out);
    ATT_TRY(in_folder(recipe, comma + 1, strlen(comma + 1), second, sizeof second));
    return att_corpus_read_pair(first, second, NULL, out);
}

att_status att_recipe_pairs(const att_recipe *recipe, const char *which, att_pairs *out)
{
    void *block;
    const char *files = strcmp(which, "train") == 0   ? recipe->data.train
                        : strcmp(which, "valid") == 0 ? recipe->data.valid
                                                      : recipe->data.test;
    *out = (att_pairs){0};
    ATT_TRY(att_alloc_zero(NULL, sizeof(pairs_owner), &block));
    pairs_owner *o = block;
    out->owner = o;
    att_status status =
        *recipe->data.synthetic ? make(recipe, which, &o->made) : read(recipe, which, files, &o->corpus);
    if (status != ATT_OK) {
        att_pairs_free(out);
        return status;
    }
    if (o->corpus) {
        out->source = att_corpus_source(o->corpus);
        out->target = att_corpus_target(o->corpus);
        out->count = att_corpus_count(o->corpus);
    } else {
        out->source = o->made.text;
        out->target = o->made.text + o->made.n;
        out->count = o->made.n;
    }
    return ATT_OK;
}
