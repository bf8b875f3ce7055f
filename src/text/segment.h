/* The segments that a score compares: checked once, read one at a time. */
#ifndef ATT_TEXT_SEGMENT_H
#define ATT_TEXT_SEGMENT_H

#include "text/codes.h"

typedef struct att_segments {
    const char *const *hypotheses;        /* (n)        */
    const char *const *const *references; /* (nrefs, n) */
    int64_t n, nrefs;
} att_segments;

/* Fails with ATT_E_VALUE when something is missing. *nrefs: how many references every segment has, -1 if they differ.
 */
att_status att_segments_check(const att_segments *in, const char *who, int64_t *nrefs);
/* The bytes of segment i and all its references: no text made from them has more characters. */
int64_t att_segments_bytes(const att_segments *in, int64_t i);
/* Segment i of reference r (-1: of the hypotheses) as code points, in lower case if asked for; `spare` is scratch. */
att_status att_segments_read(const att_segments *in, int64_t r, int64_t i, int lowercase,
                             const att_allocator *allocator, att_codes *out, att_codes *spare);

/* (nrefs) references of one segment as (nrefs, 1); free with att_free and the bytes of the second function. */
att_status att_segments_streams(const att_allocator *allocator, const char *const *references, int64_t nrefs,
                                void **out);
size_t att_segments_streams_bytes(int64_t nrefs);

/* How a signature writes the number of references: "1", "var". */
att_status att_nrefs_name(int64_t nrefs, char out[24]);
/* What snprintf answered, as a status. */
att_status att_text_fits(const char *who, int needed, size_t bytes);

#endif
