/* Inside of the key/value cache. */
#ifndef ATT_TRANSFORMER_CACHE_H
#define ATT_TRANSFORMER_CACHE_H

#include "model/transformer.h"

/* Whether T more positions for these rows fit, and the tape does not record. */
att_status att_transformer_cache_check(const att_transformer_cache *cache, const att_tape *tape, const att_view *ids);
/* Layer l's keys and values with T more positions: (R,Hkv,length + T,D). */
void att_transformer_cache_views(const att_transformer_cache *cache, int64_t l, int64_t T, att_view *k, att_view *v);
void att_transformer_cache_grow(att_transformer_cache *cache, int64_t T);

#endif
