/* Reading model files. */
#ifndef ATT_MODEL_FILE_H
#define ATT_MODEL_FILE_H

#include <attend/file.h>
#include <attend/tape.h>

#include "base/base.h"

/* The metadata of `key`; ATT_E_FORMAT when there is none. */
att_status att_model_metadata(const att_file *file, const char *path, const char *key, const char **out);
/* Fill all parameters from the tensors "model.NAME". */
att_status att_model_weights(const att_file *file, const char *path, att_params *params);

#endif
