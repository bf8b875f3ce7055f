#include "text/segment.h"

#include <stdio.h>
#include <string.h>

static int64_t references_of(const att_segments *in, int64_t i)
{
    int64_t count = 0;
    for (int64_t r = 0; r < in->nrefs; r++) count += in->references[r][i] != NULL;
    return count;
}

att_status att_segments_check(const att_segments *in, const char *who, int64_t *nrefs)
{
    ATT_REQUIRE(in->n > 0, ATT_E_VALUE, "%s: n is %lld, expected at least one segment", who, (long long)in->n);
    ATT_REQUIRE(in->nrefs > 0 && in->nrefs < INT32_MAX, ATT_E_VALUE, "%s: nrefs is %lld, expected at least 1", who,
                (long long)in->nrefs);
    ATT_REQUIRE(in->hypotheses && in->references, ATT_E_VALUE, "%s: %s is NULL", who,
                in->hypotheses ? "references" : "hypotheses");
    for (int64_t r = 0; r < in->nrefs; r++)
        ATT_REQUIRE(in->references[r], ATT_E_VALUE, "%s: references[%lld] is NULL", who, (long long)r);
    for (int64_t i = 0; i < in->n; i++) {
        ATT_REQUIRE(in->hypotheses[i], ATT_E_VALUE, "%s: hypotheses[%lld] is NULL", who, (long long)i);
        int64_t count = references_of(in, i);
        ATT_REQUIRE(count > 0, ATT_E_VALUE, "%s: segment %lld has no reference, expected at least one", who,
                    (long long)i + 1);
        *nrefs = i == 0 || *nrefs == count ? count : -1;
    }
    return ATT_OK;
}

int64_t att_segments_bytes(const att_segments *in, int64_t i)
{
    size_t bytes = strlen(in->hypotheses[i]);
    for (int64_t r = 0; r < in->nrefs; r++)
        if (in->references[r][i]) bytes += strlen(in->references[r][i]);
    return (int64_t)bytes;
}

static att_status bad_utf8(int64_t r, int64_t i, int64_t byte)
{
    if (r < 0)
        return att_fail(ATT_E_FORMAT, "hypothesis %lld: invalid UTF-8 at byte %lld", (long long)i + 1,
                        (long long)byte + 1);
    return att_fail(ATT_E_FORMAT, "reference %lld of segment %lld: invalid UTF-8 at byte %lld", (long long)r + 1,
                    (long long)i + 1, (long long)byte + 1);
}

att_status att_segments_read(const att_segments *in, int64_t r, int64_t i, int lowercase,
                             const att_allocator *allocator, att_codes *out, att_codes *spare)
{
    int64_t byte = 0;
    att_status st = att_codes_decode(allocator, out, r < 0 ? in->hypotheses[i] : in->references[r][i], &byte);
    if (st == ATT_E_FORMAT) return bad_utf8(r, i, byte);
    if (st != ATT_OK || !lowercase) return st;
    att_codes cased = *out;
    *out = *spare;
    *spare = cased;
    return att_codes_lower(allocator, out, spare);
}

size_t att_segments_streams_bytes(int64_t nrefs)
{
    return sizeof(const char *const *) * (size_t)nrefs;
}

att_status att_segments_streams(const att_allocator *allocator, const char *const *references, int64_t nrefs,
                                void **out)
{
    ATT_REQUIRE(nrefs > 0 && nrefs < INT32_MAX, ATT_E_VALUE, "nrefs is %lld, expected at least 1", (long long)nrefs);
    ATT_REQUIRE(references, ATT_E_VALUE, "references is NULL");
    ATT_TRY(att_alloc(allocator, att_segments_streams_bytes(nrefs), out));
    const char *const **stream = *out;
    for (int64_t r = 0; r < nrefs; r++) stream[r] = &references[r];
    return ATT_OK;
}

att_status att_nrefs_name(int64_t nrefs, char out[24])
{
    ATT_REQUIRE(nrefs == -1 || nrefs > 0, ATT_E_VALUE, "signature: nrefs is %lld, expected at least 1, or -1",
                (long long)nrefs);
    if (nrefs < 0)
        snprintf(out, 24, "var");
    else
        snprintf(out, 24, "%lld", (long long)nrefs);
    return ATT_OK;
}

att_status att_text_fits(const char *who, int needed, size_t bytes)
{
    ATT_REQUIRE(needed >= 0 && (size_t)needed < bytes, ATT_E_WORKSPACE, "%s: room for %zu bytes, expected %d", who,
                bytes, needed + 1);
    return ATT_OK;
}
