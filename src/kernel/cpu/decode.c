/* Decoding: rows of queries against one split of the keys. In blocks of BLOCK keys, as they lie in the cache: scores,
 * the running maximum m and sum l of each row (Milakov, Gimelshein 2018), o += weights . values. Nothing is packed: a
 * cache is read once and from memory, whose bandwidth is the limit, so all else has to hide behind it: the block of
 * values is fetched while scores are made, the next block of keys while values are summed.
 *
 * Types of the cache are constants of inlined functions: one copy of the loops for each. */
#include "kernel/decode.h"

#include "kernel/cpu/decode_read.h"
#include "kernel/cpu/vmath.h"

enum { BLOCK = 64, BLOCK_BYTES = 16384, FAR_BYTES = 24 << 20, ACCUMULATORS = VF_LANES == 16 ? 16 : 8 };

typedef struct piece { /* of a split, and what it works on */
    const att_decode_split *s;
    const att_attention_problem *p;
    int64_t wide_v;         /* Dv rounded up to whole vectors */
    float *q, *e, *sum;     /* vector by vector of D (.,rows,VF_LANES), (rows,BLOCK), (wide_v) */
    float *m, *l, *o;       /* of the part: (rows), (rows), (rows,wide_v) */
    const char *k, *v;      /* key and value of the block's first key */
    int64_t k_step, v_step; /* bytes from key to key */
    int64_t block, ahead;   /* keys of a block, at most BLOCK; left after this one, at most a block's */
    int64_t j, n;           /* keys j .. j + n - 1 make the block */
    bool in_order;          /* keys are read as they lie */
} piece;

static int64_t whole(int64_t n)
{
    return (n + VF_LANES - 1) / VF_LANES * VF_LANES;
}

static int64_t part_floats(const att_attention_problem *p, int64_t rows)
{
    return 2 * ATT_DECODE_ROWS + rows * ((p->Dv + 15) / 16 * 16);
}

static int64_t scratch_floats(const att_attention_problem *p)
{
    return ATT_DECODE_ROWS * ((p->D + 15) / 16 * 16 + BLOCK) + (p->Dv + 15) / 16 * 16;
}

/* ---- scores ---- */

/* Lane i of the result is the sum of x[i]'s lanes. Each step adds the halves of every sum of two vectors and lays the
 * results side by side, a's before b's: a's first half and b's second half stay where they are and meet the others. The
 * first step tells apart lanes i and i + L/2, the last neighbours. */
typedef int32_t lanes __attribute__((vector_size(VF_LANES * 4)));
VF_INLINE lanes count_up(void)
{
    lanes n;
    for (int i = 0; i < VF_LANES; i++) n[i] = i;
    return n;
}

VF_INLINE vf add_halves(vf a, vf b, const int width)
{
    lanes i = count_up(), from_b = ((i & width / 2) != 0) & VF_LANES;
    return vf_add(vf_shuffle(a, b, i + from_b), vf_shuffle(a, b, (i ^ width / 2) + from_b));
}

VF_INLINE vf sums(vf x[VF_LANES])
{
#if VF_LANES == 16
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) x[i] = add_halves(x[i], x[i + 8], 16);
#endif
#if VF_LANES >= 8
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) x[i] = add_halves(x[i], x[i + 4], 8);
#endif
    for (int i = 0; i < 2; i++) x[i] = add_halves(x[i], x[i + 2], 4);
    return add_halves(x[0], x[1], 2);
}

/* sum += q . k on one vector of columns, of `height` rows and `count` keys, which are constants. */
VF_INLINE void score_vectors(const int height, const int count, vf *sum, const float *q, const vf *key)
{
#pragma GCC unroll 4
    for (int y = 0; y < height; y++) {
        vf query = vf_in_register(vf_load(q + y * VF_LANES));
#pragma GCC unroll 16
        for (int i = 0; i < count; i++)
            sum[y * (VF_LANES / height) + i] = vf_fma(query, key[i], sum[y * (VF_LANES / height) + i]);
    }
}

/* e of one row of float32 and keys c .. c + VF_LANES - 1, key after key as they lie; the bits are score_tile's. */
VF_INLINE void score_in_order(const piece *x, int64_t c, fetcher *f)
{
    const char *k = x->k + c * x->k_step;
    const int64_t D = x->p->D;
    vf sum[VF_LANES];
    for (int i = 0; i < VF_LANES; i++, k += x->k_step) {
        vf y = vf_zero();
        int64_t d = 0;
        for (; d + 2 * VF_LANES <= D; d += 2 * VF_LANES) {
            y = vf_fma(vf_load(x->q + d), load(k, ATT_F32, d), y);
            y = vf_fma(vf_load(x->q + d + VF_LANES), load(k, ATT_F32, d + VF_LANES), y);
            fetch_for(ATT_F32, 2, d / (2 * VF_LANES), f);
        }
        for (; d < D; d += VF_LANES) y = vf_fma(vf_load(x->q + d), load_some(k, ATT_F32, d, D - d), y);
        sum[i] = y;
    }
    vf_store(x->e + c, sums(sum));
}

/* e of `height` rows from r and keys c .. c + VF_LANES / height - 1 of the block; the first three are constants. */
VF_INLINE void score_tile(const att_dtype type, const int height, const int count, const piece *x, int64_t r, int64_t c,
                          fetcher *f)
{
    const int keys = VF_LANES / height;
    const char *k = x->k + c * x->k_step;
    const float *q = x->q + r * VF_LANES;
    const int64_t D = x->p->D, step = x->s->rows * VF_LANES;
    vf sum[VF_LANES], key[VF_LANES];
    float lane[VF_LANES];
    int64_t d = 0;
#pragma GCC unroll 16
    for (int i = 0; i < VF_LANES; i++) sum[i] = vf_zero();
    for (; d + 2 * VF_LANES <= D; d += 2 * VF_LANES)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
#pragma GCC unroll 16
            for (int i = 0; i < count; i++) key[i] = load_half(k + i * x->k_step, type, d, half);
            score_vectors(height, count, sum, q, key);
            q += step;
            fetch_for(type, count, d / (2 * VF_LANES) * 2 + half, f);
        }
    for (; d < D; d += VF_LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < count; i++) key[i] = load_some(k + i * x->k_step, type, d, D - d);
        score_vectors(height, count, sum, q, key);
        q += step;
        fetch_for(type, count, d / VF_LANES, f);
    }
    vf_store(lane, sums(sum));
    for (int y = 0; y < height; y++) memcpy(x->e + (r + y) * BLOCK + c, lane + y * keys, (size_t)count * sizeof *lane);
}

VF_INLINE void score_rows(const att_dtype type, const int height, const piece *x, int64_t r, fetcher *f)
{
    const int keys = VF_LANES / height;
    int64_t c = 0;
    if (type == ATT_F32 && height == 1 && x->in_order)
        for (; c + keys <= x->n; c += keys) score_in_order(x, c, f);
    for (; c + keys <= x->n; c += keys) score_tile(type, height, keys, x, r, c, f);
    for (; c < x->n; c++) score_tile(type, height, 1, x, r, c, f);
}

/* All of the block; meanwhile its values come nearer. */
VF_INLINE void score_block(const att_dtype type, const piece *x)
{
    int64_t r = 0, n = x->s->rows;
    fetcher f = fetch(x->v, x->n, x->p->Dv * element_bytes(type), x->v_step);
    for (; r + 4 <= n; r += 4) score_rows(type, 4, x, r, &f);
    if (r + 2 <= n) {
        score_rows(type, 2, x, r, &f);
        r += 2;
    }
    if (r < n) score_rows(type, 1, x, r, &f);
}

static void query_of(const piece *x, int64_t r, int64_t *h, int64_t *i)
{
    const att_attention_problem *p = x->p;
    int64_t row = x->s->row + r;
    *h = x->s->hkv * (p->Hq / p->Hkv) + row / p->Tq;
    *i = row % p->Tq;
}

static void scale_scores(const piece *x, float *e)
{
    const att_attention_problem *p = x->p;
    const float scale = (float)p->scale, cap = p->desc.softcap;
    if (p->k_scale.data)
        for (int64_t c = 0; c < x->n; c++) e[c] *= *float_at(&p->k_scale, x->s->b, x->s->hkv, x->j + c);
    for (int64_t c = 0; c < x->n; c += VF_LANES) {
        vf y = vf_mul(vf_set1(scale), vf_load(e + c)); /* rows of e are whole vectors */
        if (cap > 0) y = vf_mul(vf_set1(cap), vf_tanh(vf_div(y, vf_set1(cap))));
        vf_store(e + c, y);
    }
}

/* -inf wherever a key is hidden, by selection: its score may be NaN. */
static void hide(const piece *x, int64_t r, float *e)
{
    const att_attention_problem *p = x->p;
    const att_grid *bias = &p->bias, *mask = &p->mask;
    int64_t h, i, lo, hi;
    query_of(x, r, &h, &i);
    if (bias->data) {
        const float *y = float_at(bias, x->s->b, h, i) + x->j * bias->d;
        for (int64_t c = 0; c < x->n; c++) e[c] = y[c * bias->d] == -INFINITY ? -INFINITY : e[c] + y[c * bias->d];
    }
    if (mask->data) {
        const uint8_t *y = (const uint8_t *)mask->data + x->s->b * mask->b + h * mask->h + i * mask->t + x->j * mask->d;
        for (int64_t c = 0; c < x->n; c++)
            if (y[c * mask->d] == 0) e[c] = -INFINITY;
    }
    att_attention_range(p, x->s->b, i, &lo, &hi);
    if (lo <= x->j && hi >= x->j + x->n) return;
    for (int64_t c = 0; c < x->n; c++)
        if (x->j + c < lo || x->j + c >= hi) e[c] = -INFINITY;
}

/* ---- weights ---- */

static void scale_row(float *y, float by, int64_t n)
{
    for (int64_t d = 0; d < n; d += VF_LANES) vf_store(y + d, vf_mul(vf_set1(by), vf_load(y + d)));
}

static float largest(const float *e, int64_t n)
{
    vf top = vf_set1(-INFINITY);
    for (int64_t c = 0; c < n; c += VF_LANES) top = vf_max(vf_load(e + c), top); /* NaN is passed over */
    return vf_hmax(top);
}

/* e -> e^(e - m), with m and l brought up to date; returns whether all weights of the block are usable at once: none is
 * 0, whose value must not be read, since it may be hidden and NaN. */
static bool weigh(const piece *x, int64_t r)
{
    float *e = x->e + r * BLOCK, old = x->m[r];
    for (int64_t c = x->n; c < whole(x->n); c++) e[c] = -INFINITY;
    float top = largest(e, x->n);
    if (top > old) x->m[r] = top;
    float shift = x->m[r] == -INFINITY ? 0 : x->m[r]; /* hidden so far: e^(-inf - 0) = 0, or NaN */
    if (top > old && old != -INFINITY) {
        float shrink = expf(old - top);
        x->l[r] *= shrink;
        scale_row(x->o + r * x->wide_v, shrink, x->wide_v);
    }
    vf sum = vf_zero(), least = vf_set1(1);
    for (int64_t c = 0; c < x->n; c += VF_LANES) {
        vf w = vf_exp(vf_sub(vf_load(e + c), vf_set1(shift)));
        vf_store(e + c, w);
        sum = vf_add(sum, w);
        if (c + VF_LANES <= x->n) least = vf_min(w, least); /* NaN is passed over */
    }
    x->l[r] += vf_sum(sum);
    bool usable = !vm_any(vf_le(least, vf_zero()));
    for (int64_t c = x->n / VF_LANES * VF_LANES; c < x->n; c++) usable = usable && e[c] != 0;
    if (x->p->v_scale.data)
        for (int64_t c = 0; c < x->n; c++) e[c] *= *float_at(&x->p->v_scale, x->s->b, x->s->hkv, x->j + c);
    return usable;
}

/* ---- values ---- */

/* sum += w v of one key, of `height` rows and `count` vectors of columns from d; the first three are constants. */
VF_INLINE void mix_key(const att_dtype type, const int height, const int count, vf *sum, const float *w, const char *v,
                       int64_t d)
{
    vf value[ACCUMULATORS];
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        value[i] = count == 1 ? load(v, type, d) : load_half(v, type, d + i / 2 * 2 * VF_LANES, i % 2);
#pragma GCC unroll 4
    for (int y = 0; y < height; y++) {
        vf weight = vf_set1(w[y * BLOCK]);
#pragma GCC unroll 16
        for (int i = 0; i < count; i++) sum[y * count + i] = vf_fma(weight, value[i], sum[y * count + i]);
    }
}

/* o += w v of the block. */
VF_INLINE void mix_tile(const att_dtype type, const int height, const int count, const piece *x, int64_t r, int64_t d,
                        fetcher *f)
{
    const int keys = height > 1 ? 2 : 1; /* a turn */
    vf sum[ACCUMULATORS];
    float *o = x->o + r * x->wide_v + d;
    const float *w = x->e + r * BLOCK;
    const char *v = x->v;
#pragma GCC unroll 16
    for (int i = 0; i < height * count; i++) sum[i] = vf_load(o + i / count * x->wide_v + i % count * VF_LANES);
    int64_t c = 0;
    for (; c + keys <= x->n; c += keys)
#pragma GCC unroll 2
        for (int i = 0; i < keys; i++, v += x->v_step) {
            mix_key(type, height, count, sum, w + c + i, v, d);
            fetch_for(type, count, c / keys * keys + i, f); /* c + i, seen to be even or odd */
        }
    if (c < x->n) mix_key(type, height, count, sum, w + c, v, d);
#pragma GCC unroll 16
    for (int i = 0; i < height * count; i++) vf_store(o + i / count * x->wide_v + i % count * VF_LANES, sum[i]);
}

/* One column of vectors at the ragged end of Dv. */
static void mix_tail(att_dtype type, const piece *x, int64_t r, int64_t d)
{
    float *o = x->o + r * x->wide_v + d;
    const int64_t n = x->p->Dv - d;
    vf sum = vf_load(o);
    for (int64_t c = 0; c < x->n; c++)
        sum = vf_fma(vf_set1(x->e[r * BLOCK + c]), load_some(x->v + c * x->v_step, type, d, n), sum);
    vf_store(o, sum);
}

VF_INLINE void mix_rows(const att_dtype type, const int height, const piece *x, int64_t r, fetcher *f)
{
    const int count = ACCUMULATORS / height;
    const int64_t Dv = x->p->Dv;
    int64_t d = 0;
    for (; d + count * VF_LANES <= Dv; d += count * VF_LANES) mix_tile(type, height, count, x, r, d, f);
    for (; count > 8 && d + 8 * VF_LANES <= Dv; d += 8 * VF_LANES) mix_tile(type, height, 8, x, r, d, f);
    for (; count > 4 && d + 4 * VF_LANES <= Dv; d += 4 * VF_LANES) mix_tile(type, height, 4, x, r, d, f);
    for (; d + 2 * VF_LANES <= Dv; d += 2 * VF_LANES) mix_tile(type, height, 2, x, r, d, f);
    for (; d + VF_LANES <= Dv; d += VF_LANES) mix_tile(type, height, 1, x, r, d, f);
    for (int y = 0; d < Dv && y < height; y++) mix_tail(type, x, r + y, d);
}

/* All of the block; meanwhile the keys of the next come nearer, unless they come in order. */
VF_INLINE void mix_block(const att_dtype type, const piece *x)
{
    int64_t r = 0, n = x->s->rows;
    fetcher f = fetch(x->k + x->n * x->k_step, x->in_order ? 0 : x->ahead, x->p->D * element_bytes(type), x->k_step);
    for (; r + 4 <= n; r += 4) mix_rows(type, 4, x, r, &f);
    if (r + 2 <= n) {
        mix_rows(type, 2, x, r, &f);
        r += 2;
    }
    if (r < n) mix_rows(type, 1, x, r, &f);
}

/* The same where some weights are 0: those values are not read. The order of additions is that above. */
static void mix_seen(att_dtype type, const piece *x)
{
    const int64_t Dv = x->p->Dv;
    for (int64_t r = 0; r < x->s->rows; r++)
        for (int64_t c = 0; c < x->n; c++) {
            float w = x->e[r * BLOCK + c], *o = x->o + r * x->wide_v;
            const char *v = x->v + c * x->v_step;
            if (w == 0) continue;
            for (int64_t d = 0; d < Dv; d += VF_LANES)
                vf_store(o + d, vf_fma(vf_set1(w), load_at(v, type, d, Dv), vf_load(o + d)));
        }
}

/* ---- a split ---- */

VF_INLINE void one_block(const att_dtype type, const piece *x)
{
    bool usable = true;
    score_block(type, x);
    for (int64_t r = 0; r < x->s->rows; r++) {
        float *e = x->e + r * BLOCK;
        int64_t h, i;
        scale_scores(x, e);
        hide(x, r, e);
        query_of(x, r, &h, &i);
        if (x->p->weights.data) /* to become weights when lse is known */
            for (int64_t c = 0; c < x->n; c++)
                float_at(&x->p->weights, x->s->b, h, i)[(x->j + c) * x->p->weights.d] = e[c];
        usable &= weigh(x, r);
    }
    usable ? mix_block(type, x) : mix_seen(type, x);
}

static void block_f32(const piece *x)
{
    one_block(ATT_F32, x);
}
static void block_bf16(const piece *x)
{
    one_block(ATT_BF16, x);
}
static void block_f16(const piece *x)
{
    one_block(ATT_F16, x);
}
static void block_i8(const piece *x)
{
    one_block(ATT_I8, x);
}

/* Keys from memory, in order: the processor foresees that, and then reads faster than it is asked to; but only for as
 * little work as one row of float32 is, and from a cache it is slower. With AVX-512 not measured. */
static bool reads_in_order(const att_attention_problem *p, int64_t rows)
{
    int64_t floats = p->B * p->Hkv * p->Tk * (p->D + p->Dv);
    return VF_LANES == 8 && rows == 1 && p->kv_dtype == ATT_F32 && floats > FAR_BYTES / 4;
}

static piece piece_of(const att_decode_split *s)
{
    const att_attention_problem *p = s->p;
    piece x = {.s = s, .p = p, .wide_v = whole(p->Dv), .block = BLOCK};
    x.q = s->scratch;
    x.e = x.q + ATT_DECODE_ROWS * whole(p->D);
    x.sum = x.e + ATT_DECODE_ROWS * BLOCK;
    x.m = s->part;
    x.l = x.m + ATT_DECODE_ROWS;
    x.o = x.l + ATT_DECODE_ROWS;
    while (x.block > VF_LANES && x.block * p->D * element_bytes(p->kv_dtype) > BLOCK_BYTES) x.block /= 2;
    x.k_step = p->k.t * element_bytes(p->kv_dtype);
    x.v_step = p->v.t * element_bytes(p->kv_dtype);
    x.in_order = reads_in_order(p, s->rows);
    return x;
}

static void start(piece *x)
{
    const att_attention_problem *p = x->p;
    for (int64_t r = 0; r < x->s->rows; r++) {
        int64_t h, i;
        query_of(x, r, &h, &i);
        const char *q = at(&p->q, p->dtype, x->s->b, h, i);
        for (int64_t d = 0; d < p->D; d += 2 * VF_LANES) {
            float pair[2 * VF_LANES], *to = x->q + d * x->s->rows + r * VF_LANES;
            const int64_t n = p->D - d < 2 * VF_LANES ? p->D - d : 2 * VF_LANES;
            for (int64_t c = 0; c < n; c += VF_LANES) vf_store(pair + c, load_some(q, p->dtype, d + c, n - c));
            swap_order(pair, p->kv_dtype, n, false);
            for (int64_t c = 0; c < n; c += VF_LANES) vf_store(to + c * x->s->rows, vf_load(pair + c));
        }
        x->m[r] = -INFINITY;
        x->l[r] = 0;
    }
    memset(x->o, 0, (size_t)(x->s->rows * x->wide_v) * sizeof *x->o);
}

/* The keys of the split that some of its rows may see. */
static void seen_range(const piece *x, int64_t *from, int64_t *to)
{
    const att_decode_split *s = x->s;
    *from = s->j + s->keys;
    *to = s->j;
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t h, i, lo, hi;
        query_of(x, r, &h, &i);
        att_attention_range(x->p, s->b, i, &lo, &hi);
        if (hi > lo && lo < *from) *from = lo;
        if (hi > lo && hi > *to) *to = hi;
    }
    if (*from < s->j) *from = s->j;
    if (*to > s->j + s->keys) *to = s->j + s->keys;
}

static void hide_all(const piece *x)
{
    const att_grid *w = &x->p->weights;
    for (int64_t r = 0; r < x->s->rows; r++) {
        int64_t h, i;
        query_of(x, r, &h, &i);
        for (int64_t c = x->s->j; c < x->s->j + x->s->keys; c++) float_at(w, x->s->b, h, i)[c * w->d] = -INFINITY;
    }
}

static void split(const att_decode_split *s)
{
    piece x = piece_of(s);
    const att_attention_problem *p = x.p;
    void (*block)(const piece *) = p->kv_dtype == ATT_BF16  ? block_bf16
                                   : p->kv_dtype == ATT_F16 ? block_f16
                                   : p->kv_dtype == ATT_I8  ? block_i8
                                                            : block_f32;
    int64_t from, to;
    start(&x);
    seen_range(&x, &from, &to);
    if (p->weights.data) hide_all(&x);
    for (x.j = from; x.j < to; x.j += x.n) { /* blocks end at fixed keys, whatever is visible */
        int64_t end = (x.j / x.block + 1) * x.block;
        x.n = (end < to ? end : to) - x.j;
        x.ahead = to - x.j - x.n < x.block ? to - x.j - x.n : x.block;
        x.k = at(&p->k, p->kv_dtype, s->b, s->hkv, x.j);
        x.v = at(&p->v, p->kv_dtype, s->b, s->hkv, x.j);
        fetcher f = fetch(x.k, x.j == from ? x.n : 0, p->D * element_bytes(p->kv_dtype), x.k_step);
        while (f.rows > 0) fetch_lines(8, &f); /* the first block: nobody has asked for its keys */
        block(&x);
    }
}

/* ---- all splits ---- */

/* o = sum of the parts, each brought from its own maximum to the common one; returns lse. */
static float combine_row(const piece *first, int64_t r, int64_t splits, int64_t step, float *o)
{
    const float *m = first->m + r, *l = first->l + r, *part = first->o + r * first->wide_v;
    float top = -INFINITY, sum = 0;
    for (int64_t s = 0; s < splits; s++)
        if (m[s * step] > top) top = m[s * step];
    float shift = top == -INFINITY ? 0 : top;
    memset(o, 0, (size_t)first->wide_v * sizeof *o);
    for (int64_t s = 0; s < splits; s++) {
        float factor = expf(m[s * step] - shift);
        if (l[s * step] == 0) continue; /* saw nothing */
        sum += factor * l[s * step];
        for (int64_t d = 0; d < first->wide_v; d += VF_LANES)
            vf_store(o + d, vf_fma(vf_set1(factor), vf_load(part + s * step + d), vf_load(o + d)));
    }
    if (sum == 0) return -INFINITY;
    scale_row(o, 1 / sum, first->wide_v);
    return shift + logf(sum);
}

static void finish_weights(const att_attention_problem *p, float *w, float lse)
{
    for (int64_t j = 0; j < p->Tk; j++, w += p->weights.d) *w = *w == -INFINITY ? 0 : expf(*w - lse);
}

static void combine(const att_decode_split *s, int64_t splits)
{
    piece x = piece_of(s);
    const att_attention_problem *p = x.p;
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t h, i;
        query_of(&x, r, &h, &i);
        float lse = combine_row(&x, r, splits, part_floats(p, s->rows), x.sum);
        swap_order(x.sum, p->kv_dtype, p->Dv, true);
        char *to = at(&p->o, p->dtype, s->b, h, i);
        for (int64_t d = 0; d < p->Dv; d += VF_LANES) store_some(to, p->dtype, d, vf_load(x.sum + d), p->Dv - d);
        if (p->lse.data) *float_at(&p->lse, s->b, h, i) = lse;
        if (p->weights.data) finish_weights(p, float_at(&p->weights, s->b, h, i), lse);
    }
}

void ATT_VARIANT(att_register_decode)(att_decode_kernels *t);
void ATT_VARIANT(att_register_decode)(att_decode_kernels *t)
{
    *t = (att_decode_kernels){
        .part_floats = part_floats, .scratch_floats = scratch_floats, .split = split, .combine = combine};
}
