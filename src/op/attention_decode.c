#include "op/attention_decode.h"

#include "base/parallel.h"
#include "op/dispatch.h"

enum {
    SPLIT_KEYS = 1024, /* fixed, so that the bits of a result do not depend on threads */
    FEW_KEYS = 128     /* up to here packed products are as good */
};

typedef struct decoding {
    const att_attention_problem *p;
    const att_decode_kernels *kernels;
    int64_t rows, groups;       /* queries of a key head; groups of at most ATT_DECODE_ROWS of them */
    int64_t split_keys, splits; /* of a group */
    int64_t part_floats, scratch_floats;
    float *parts, *scratch;
} decoding;

/* One group: its keys need no splits when there are groups enough. */
static decoding plan(const att_attention_problem *p, const att_exec *exec)
{
    decoding d = {.p = p, .kernels = &att_kernels_for(exec)->decode, .rows = p->Hq / p->Hkv * p->Tq};
    d.groups = att_ceil_div(d.rows, ATT_DECODE_ROWS);
    d.split_keys = d.groups == 1 ? SPLIT_KEYS : att_max64(p->Tk, 1);
    d.splits = att_max64(1, att_ceil_div(p->Tk, d.split_keys));
    d.part_floats = d.kernels->part_floats(p, att_min64(d.rows, ATT_DECODE_ROWS));
    d.scratch_floats = (d.kernels->scratch_floats(p) + 15) / 16 * 16;
    return d;
}

/* Nothing but scale, softcap, bias and what a query may see. */
static bool plain(const att_attention_problem *p)
{
    const att_attention_desc *d = &p->desc;
    return d->score == ATT_SCORE_DOT && d->align == ATT_ALIGN_SOFTMAX && d->masked_rows == ATT_MASKED_ZERO &&
           d->dropout == 0 && p->temperature == 1 && d->window != ATT_WINDOW_GAUSS && !p->query_mask.data &&
           !p->q_positions.data && !p->k_positions.data && !p->slopes.data && !p->relative.data && !p->sinks.data &&
           !p->block_starts.data;
}

bool att_decode_serves(const att_attention_problem *p, const att_exec *exec)
{
    if (!att_kernels_for(exec)->decode.split || p->dtype == ATT_F64 || !plain(p)) return false;
    if (p->kv_dtype != p->dtype) return true;
    if (p->lse.data) return false; /* a backward may follow, whose scores must be rounded as those of lse were */
    return p->Hq / p->Hkv * p->Tq <= ATT_DECODE_ROWS && p->Tk > FEW_KEYS;
}

static int64_t group_count(const decoding *d)
{
    return d->p->B * d->p->Hkv * d->groups;
}

size_t att_decode_workspace(const att_attention_problem *p, const att_exec *exec)
{
    decoding d = plan(p, exec);
    int64_t floats = group_count(&d) * d.splits * d.part_floats + att_threads(exec) * d.scratch_floats;
    return (size_t)floats * sizeof(float);
}

static att_decode_split group_of(const decoding *d, int64_t group, int worker)
{
    const att_attention_problem *p = d->p;
    int64_t head = group / d->groups, row = group % d->groups * ATT_DECODE_ROWS;
    return (att_decode_split){.p = p,
                              .b = head / p->Hkv,
                              .hkv = head % p->Hkv,
                              .row = row,
                              .rows = att_min64(ATT_DECODE_ROWS, d->rows - row),
                              .part = d->parts + group * d->splits * d->part_floats,
                              .scratch = d->scratch + worker * d->scratch_floats};
}

static void split_tile(void *ctx, int64_t tile, int worker)
{
    const decoding *d = ctx;
    att_decode_split s = group_of(d, tile / d->splits, worker);
    int64_t n = tile % d->splits;
    s.j = n * d->split_keys;
    s.keys = att_min64(d->split_keys, d->p->Tk - s.j);
    s.part += n * d->part_floats;
    d->kernels->split(&s);
}

static void combine_tile(void *ctx, int64_t tile, int worker)
{
    const decoding *d = ctx;
    att_decode_split s = group_of(d, tile, worker);
    d->kernels->combine(&s, d->splits);
}

void att_decode_forward(const att_attention_problem *p, const att_exec *exec, void *workspace)
{
    decoding d = plan(p, exec);
    d.parts = workspace;
    d.scratch = d.parts + group_count(&d) * d.splits * d.part_floats;
    att_parallel(exec, group_count(&d) * d.splits, split_tile, &d);
    att_parallel(exec, group_count(&d), combine_tile, &d);
}
