/* folder/log.jsonl: one JSON line a step, one a validation. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "train/trainer.h"

/* Length of the part of the log that belongs to steps <= step: what a killed run wrote after its checkpoint goes. */
static long kept_bytes(FILE *f, int64_t step)
{
    char line[4096];
    long kept = 0;
    while (fgets(line, sizeof line, f)) {
        json_t *object = json_loads(line, 0, NULL);
        json_t *at = json_object_get(object, "step");
        bool keep = strchr(line, '\n') && json_is_integer(at) && json_integer_value(at) <= step;
        json_decref(object);
        if (!keep) break;
        kept = ftell(f);
    }
    return kept;
}

att_status att_trainer_open_log(att_trainer *t, bool resume)
{
    char path[4096];
    ATT_TRY(att_trainer_path(t, "log.jsonl", path, sizeof path));
    t->log = fopen(path, resume ? "r+" : "w");
    if (!t->log && resume) t->log = fopen(path, "w");
    ATT_REQUIRE(t->log, ATT_E_IO, "%s: %s", path, strerror(errno));
    if (!resume) return ATT_OK;
    long kept = kept_bytes(t->log, t->state.step);
    ATT_REQUIRE(ftruncate(fileno(t->log), kept) == 0 && fseek(t->log, kept, SEEK_SET) == 0, ATT_E_IO, "%s: %s", path,
                strerror(errno));
    return ATT_OK;
}

static att_status write_line(att_trainer *t, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(object);
    ATT_REQUIRE(text, ATT_E_MEMORY, "out of memory: a line of the log");
    int written = fprintf(t->log, "%s\n", text);
    free(text);
    ATT_REQUIRE(written > 0 && fflush(t->log) == 0, ATT_E_IO, "%s/log.jsonl: %s", t->folder, strerror(errno));
    return ATT_OK;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

att_status att_trainer_log_step(att_trainer *t, const att_train_progress *p)
{
    json_t *object = json_object();
    json_object_set_new(object, "step", json_integer(p->step));
    json_object_set_new(object, "epoch", json_integer(p->epoch));
    json_object_set_new(object, "loss", number(p->loss));
    json_object_set_new(object, "lr", number(p->lr));
    json_object_set_new(object, "norm", number(p->norm));
    json_object_set_new(object, "tokens", json_integer(p->tokens));
    json_object_set_new(object, "tokens_per_s", number(p->tokens_per_second));
    json_object_set_new(object, "seconds", number(p->seconds));
    if (p->skipped) json_object_set_new(object, "skipped", json_integer(p->skipped));
    return write_line(t, object);
}

att_status att_trainer_log_validation(att_trainer *t, const att_validation *v, bool best)
{
    json_t *object = json_object();
    json_object_set_new(object, "step", json_integer(t->state.step));
    json_object_set_new(object, "seconds", number(t->seconds));
    for (int i = 0; i < v->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "valid_%s", v->score[i].name);
        json_object_set_new(object, name, number(v->score[i].value));
    }
    json_object_set_new(object, "best", json_boolean(best));
    return write_line(t, object);
}
