#include "task/model_file.h"

#include <stdio.h>
#include <string.h>

#define MODEL_PREFIX "model."

att_status att_model_metadata(const att_file *file, const char *path, const char *key, const char **out)
{
    *out = att_file_metadata(file, key);
    ATT_REQUIRE(*out, ATT_E_FORMAT, "%s: not a model that was trained: its metadata lacks '%s'", path, key);
    return ATT_OK;
}

att_status att_model_weights(const att_file *file, const char *path, att_params *params)
{
    char name[192];
    for (int64_t i = 0; i < att_params_count(params); i++) {
        const att_parameter *p = att_params_at(params, i);
        const att_view *to = att_parameter_value(p);
        att_view from;
        snprintf(name, sizeof name, MODEL_PREFIX "%s", att_parameter_name(p));
        ATT_TRY(att_file_tensor(file, name, &from));
        bool same = from.dtype == ATT_F32 && from.ndim == to->ndim &&
                    memcmp(from.dim, to->dim, (size_t)to->ndim * sizeof *to->dim) == 0;
        ATT_REQUIRE(same, ATT_E_FORMAT, "%s: tensor '%s' has another shape or type than the model's configuration says",
                    path, name);
        memcpy(to->data, from.data, (size_t)att_view_count(to) * sizeof(float));
    }
    att_params_changed(params);
    return ATT_OK;
}
