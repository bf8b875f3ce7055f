/* The micro-kernel that dense products and attention share. */
#ifndef ATT_CPU_GEMM_TILE_H
#define ATT_CPU_GEMM_TILE_H

#include "kernel/cpu/gemm_pack.h"

/* Whether tiles are those of dense products, defined by who includes this: c may lie beyond the caches close to the
 * core, and a bias may follow. */
#ifndef GEMM_DENSE
#define GEMM_DENSE 0
#endif

/* One micro-tile: where it is and how deep. */
typedef struct gemm_tile {
    float *c;
    int64_t c_row, cols;
    const float *a, *b;
    int64_t b_row, b_panel, k; /* b_row, b_panel: floats, even where b is bfloat16; b_row is NR but for b as it lies */
    int64_t a_i, a_k;          /* where the body's are 0 */
    float *store;              /* GEMM_B_STORE: to here */
    const float *bias;         /* of the columns, for the last values of k, or NULL; and what then is the ... */
    float least;               /* ... least value of c: 0 for ReLU, otherwise -inf */
    bool add, next;            /* next: GEMM_A_NEXT in layout ROWS, GEMM_A_AHEAD in COLUMNS */
    bool seldom;               /* with ask: GEMM_B_FAR_SELDOM */
    const float *ask;          /* what to fetch into the second-level cache meanwhile. GEMM_B_FAR: for each k ... */
    int64_t ask_step;          /* ... so many floats further; GEMM_A_NEXT: rows so far apart, ... */
    int64_t ask_lines;         /* ... of so many lines, one for every second k: more would have to wait */
} gemm_tile;

/* float32 in panels; the same while rows of the next a are fetched, or while an a that lies transposed is read for the
 * first time; from beyond the second-level cache, the next panel fetched with every k or with every turn of the loop,
 * where tiles enough share it; float32 where it lies; the same, packed on the way; bfloat16 in panels; where it lies,
 * for few rows */
typedef enum gemm_b {
    GEMM_B_NEAR,
    GEMM_A_NEXT,
    GEMM_A_AHEAD,
    GEMM_B_FAR,
    GEMM_B_FAR_SELDOM,
    GEMM_B_LIES,
    GEMM_B_STORE,
    GEMM_B_HALF,
    GEMM_B_ROWS
} gemm_b;

enum {
    GEMM_LINE = 16,          /* floats */
    GEMM_COLUMNS_AHEAD = 32, /* rows of k of an a that lies transposed, whose strides no hardware foresees: to the */
                             /* second-level cache, for the rows of a block meet in few sets of the first           */
    GEMM_PANEL_AHEAD = 8,    /* rows of a panel of b, on their way to the first-level cache */
    GEMM_ROWS_AHEAD = 16,    /* rows of b where it lies, and ... */
    GEMM_AHEAD = 256         /* ... floats of bfloat16 that are asked for before they are needed: few rows wait */
};

/* The w vectors of one k: a row of each of w / GEMM_NV panels. In bfloat16 a panel's vectors lie as vf_load_bf16 reads
 * them. */
VF_INLINE void gemm_load_b(vf *bv, const int m, const int w, const float *row, int64_t b_panel, const gemm_b kind)
{
    if (kind != GEMM_B_HALF) {
#pragma GCC unroll 16
        for (int v = 0; v < w; v++) bv[v] = vf_load(row + (v / GEMM_NV) * b_panel + (v % GEMM_NV) * VF_LANES);
        return;
    }
#pragma GCC unroll 16
    for (int v = 0; v < w; v += GEMM_NV) {
        const float *p = row + v / GEMM_NV * b_panel;
        if (w > GEMM_NV && m > 1) __builtin_prefetch(p + GEMM_AHEAD);
        if (w > GEMM_NV && m == 1) __builtin_prefetch(p + GEMM_AHEAD, 0, 2); /* more of these can be under way */
        vf_load_bf16((const uint16_t *)(const void *)p, &bv[v], &bv[v + 1]);
    }
}

/* Floats from one row of b to the next, a constant in panels. */
VF_INLINE int64_t gemm_b_row(const gemm_b kind, const gemm_tile *t)
{
    const int64_t panel = GEMM_NV * VF_LANES;
    return kind == GEMM_B_LIES || kind == GEMM_B_STORE || kind == GEMM_B_ROWS ? t->b_row
           : kind == GEMM_B_HALF                                              ? panel / 2
                                                                              : panel;
}

/* What the sums of a micro-tile read next. */
typedef struct gemm_at {
    const float *a, *b, *ask;
    float *store;
    int64_t line;            /* GEMM_A_NEXT: how many lines of the row were asked for */
    const float *c, *c_last; /* the row of c whose lines are asked for, to be stored when the sums are done; the last */
    int64_t c_at;            /* which of them next */
} gemm_at;

#define GEMM_ADD_ROW(a, sum, next_sum)                                                                                 \
    "vbroadcastss " a ", %%ymm15\n\t"                                                                                  \
    "vfmadd231ps %[b0], %%ymm15, " sum "\n\t"                                                                          \
    "vfmadd231ps %[b1], %%ymm15, " next_sum "\n\t"

/* acc(m,w) += a b for one k: element i of a at i * a_row, a row of b in bv. On AVX2 tiles that fill the registers say
 * which of them b and the broadcast have, and what fewer rows leave free is not to be had: the compiler's own code
 * copies sums from register to register, twice in 86 instructions for six rows and six times in 78 for five. */
VF_INLINE void gemm_add_products(vf *acc, const int m, const int w, const float *a, int64_t a_row, const vf *bv)
{
#if VF_LANES == 8
    if (w == GEMM_NV && m >= 4) {
        register vf b0 __asm__("ymm13") = bv[0], b1 __asm__("ymm14") = bv[1];
        if (m == 4) __asm__ volatile("" : : : "ymm8", "ymm9");
        if (m <= 5) __asm__ volatile("" : : : "ymm10", "ymm11", "ymm12");
#pragma GCC unroll 4
        for (int i = 0; i + 1 < m; i += 2)
            __asm__ volatile(GEMM_ADD_ROW("%[a]", "%0", "%1") GEMM_ADD_ROW("%[next]", "%2", "%3")
                             : "+x"(acc[2 * i]), "+x"(acc[2 * i + 1]), "+x"(acc[2 * i + 2]), "+x"(acc[2 * i + 3])
                             : [b0] "x"(b0), [b1] "x"(b1), [a] "m"(a[i * a_row]), [next] "m"(a[(i + 1) * a_row])
                             : "ymm15");
        if (m % 2)
            __asm__ volatile(GEMM_ADD_ROW("%[a]", "%0", "%1")
                             : "+x"(acc[2 * m - 2]), "+x"(acc[2 * m - 1])
                             : [b0] "x"(b0), [b1] "x"(b1), [a] "m"(a[(m - 1) * a_row])
                             : "ymm15");
        return;
    }
#endif
#pragma GCC unroll 16
    for (int i = 0; i < m; i++) {
        vf av = vf_set1(a[i * a_row]);
#pragma GCC unroll 16
        for (int v = 0; v < w; v++) acc[i * w + v] = vf_fma(av, bv[v], acc[i * w + v]);
    }
}

/* `steps` values of k for m rows and w vectors of columns; the parameters are those of gemm_tile_body. */
VF_INLINE void gemm_add_steps(vf *acc, gemm_at *at, const int steps, const int m, const int w, const int a_i,
                              const int64_t a_step, const gemm_b kind, const gemm_tile *t)
{
    const bool fetches_c = GEMM_FETCHES && GEMM_DENSE && m > 3; /* a panel's row in a turn, of UNROLL == NV steps */
    const int64_t b_row = gemm_b_row(kind, t), ahead = kind == GEMM_B_STORE ? GEMM_ROWS_AHEAD * b_row : 0;
    const int64_t a_row = a_i ? a_i : t->a_i;
#pragma GCC unroll 8
    for (int s = 0; s < steps; s++) {
        const float *a = at->a, *b = at->b;
        vf bv[GEMM_ACC];
        gemm_load_b(bv, m, w, b, t->b_panel, kind);
        for (int v = 0; kind == GEMM_B_STORE && v < GEMM_NV; v++) vf_store(at->store + v * VF_LANES, bv[v]);
        for (int j = 0; kind == GEMM_B_STORE && j < GEMM_NV * VF_LANES; j += GEMM_LINE)
            __builtin_prefetch(b + ahead + j);
        if (kind == GEMM_B_STORE) at->store += GEMM_NV * VF_LANES;
        for (int v = 0; GEMM_FETCHES && kind < GEMM_B_STORE && m > 3 && v < w; v++)
            __builtin_prefetch(b + GEMM_PANEL_AHEAD * b_row + (v / GEMM_NV) * t->b_panel + (v % GEMM_NV) * VF_LANES);
        for (int v = 0; kind == GEMM_B_ROWS && v < w * VF_LANES; v += GEMM_LINE)
            __builtin_prefetch(b + GEMM_ROWS_AHEAD * b_row + v, 0, 2);
        if (fetches_c) __builtin_prefetch(at->c + at->c_at + s % GEMM_NV * GEMM_LINE, 1);
        gemm_add_products(acc, m, w, a, a_row, bv);
        const bool asks = kind == GEMM_B_FAR || (kind == GEMM_B_FAR_SELDOM && s == 0);
        for (int j = 0; asks && j < GEMM_NV * VF_LANES; j += GEMM_LINE) __builtin_prefetch(at->ask + j, 0, 2);
        if (asks) at->ask += t->ask_step;
        if (kind == GEMM_A_NEXT && s % 2 == 0) {
            __builtin_prefetch(at->ask + at->line * GEMM_LINE, 0, 2);
            const bool ends = ++at->line == t->ask_lines;
            at->line = ends ? 0 : at->line;
            at->ask += ends ? t->ask_step : 0;
        }
        if (kind == GEMM_A_AHEAD) {
            __builtin_prefetch(a + GEMM_COLUMNS_AHEAD * a_step, 0, 2);
            __builtin_prefetch(a + GEMM_COLUMNS_AHEAD * a_step + m - 1, 0, 2);
        }
        at->a += a_step;
        at->b += b_row;
    }
    if (fetches_c) {
        const bool whole = w <= GEMM_NV || at->c_at > 0;
        at->c_at = whole ? 0 : GEMM_NV * GEMM_LINE;
        at->c += whole && at->c < at->c_last ? t->c_row : 0;
    }
}

/* c = the sums, or c += them; ends: then the bias. */
VF_INLINE void gemm_store(const vf *acc, const int m, const int w, const bool add, const bool ends, const gemm_tile *t)
{
    const vf least = vf_set1(t->least);
    vf bias[GEMM_ACC];
    for (int v = 0; v < w; v++) bias[v] = ends ? vf_load(t->bias + v * VF_LANES) : vf_zero();
#pragma GCC unroll 16
    for (int i = 0; i < m; i++) {
        float *row = t->c + i * t->c_row;
#pragma GCC unroll 16
        for (int v = 0; v < w; v++) {
            float *p = row + v * VF_LANES;
            vf x = add ? vf_add(vf_load(p), acc[i * w + v]) : acc[i * w + v];
            vf_store(p, ends ? vf_max(least, vf_add(x, bias[v])) : x);
        }
    }
}

/* The same where not all columns are c's, which is seldom: not worth a copy for every m and w. */
static __attribute__((noinline)) void gemm_store_some(const float *sums, int m, int w, const gemm_tile *t)
{
    for (int i = 0; i < m; i++)
        for (int v = 0; v < w && v * VF_LANES < t->cols; v++) {
            const int64_t at = v * VF_LANES, left = t->cols - at;
            float *p = t->c + i * t->c_row + at;
            vf x = vf_load(sums + (i * w + v) * VF_LANES);
            if (t->add) x = vf_add(vf_load_some(p, left), x);
            if (t->bias) x = vf_max(vf_set1(t->least), vf_add(x, vf_load_some(t->bias + at, left)));
            vf_store_some(p, x, left);
        }
}

/* m rows, w vectors of columns; element (i,k) of a at i * a_i + k * a_k; `kind`: of b. All but the last are
 * constants after inlining: the loops over i and v unroll and acc lives in registers. */
VF_INLINE void gemm_tile_body(const int m, const int w, const int a_i, const int a_k, const gemm_b kind,
                              const gemm_tile *t)
{
    vf acc[GEMM_ACC];
    gemm_at at = {t->a, t->b, t->ask, t->store, 0, t->c, t->c + (m - 1) * t->c_row, 0};
    const int64_t a_step = a_k ? a_k : t->a_k;
    const float *end = t->a + t->k * a_step, *turns = t->a + t->k / GEMM_UNROLL * GEMM_UNROLL * a_step;
#pragma GCC unroll 32
    for (int i = 0; i < m * w; i++) acc[i] = vf_in_register(vf_zero()); /* or they come from one register, in turns */
    while (at.a != turns) gemm_add_steps(acc, &at, GEMM_UNROLL, m, w, a_i, a_step, kind, t);
    while (GEMM_UNROLL > 1 && at.a != end) gemm_add_steps(acc, &at, 1, m, w, a_i, a_step, kind, t);
    if (t->cols < w * VF_LANES) {
        float sums[GEMM_ACC * VF_LANES];
#pragma GCC unroll 32
        for (int i = 0; i < m * w; i++) vf_store(sums + i * VF_LANES, acc[i]);
        gemm_store_some(sums, m, w, t);
    } else if (GEMM_DENSE && t->bias)
        t->add ? gemm_store(acc, m, w, true, true, t) : gemm_store(acc, m, w, false, true, t);
    else
        t->add ? gemm_store(acc, m, w, true, false, t) : gemm_store(acc, m, w, false, false, t);
}

/* gemm_tile_body, if its sums have registers. */
VF_INLINE void gemm_tile_if(const int m, const int w, const int a_i, const int a_k, const gemm_b kind,
                            const gemm_tile *t)
{
    if (m * w <= GEMM_ACC) gemm_tile_body(m, w, a_i, a_k, kind, t);
}

/* The code for m rows, at most GEMM_ACC / w: one copy of tile_body each. */
VF_INLINE void gemm_tile_rows_of(int64_t m, const int w, const int a_i, const int a_k, const gemm_b kind,
                                 const gemm_tile *t)
{
    switch (m) {
    case 1: gemm_tile_if(1, w, a_i, a_k, kind, t); break;
    case 2: gemm_tile_if(2, w, a_i, a_k, kind, t); break;
    case 3: gemm_tile_if(3, w, a_i, a_k, kind, t); break;
    case 4: gemm_tile_if(4, w, a_i, a_k, kind, t); break;
#if GEMM_MR > 4
    case 5: gemm_tile_if(5, w, a_i, a_k, kind, t); break;
    case 6: gemm_tile_if(6, w, a_i, a_k, kind, t); break;
#endif
#if GEMM_MR > 6
    case 7: gemm_tile_if(7, w, a_i, a_k, kind, t); break;
    case 8: gemm_tile_if(8, w, a_i, a_k, kind, t); break;
    case 9: gemm_tile_if(9, w, a_i, a_k, kind, t); break;
    case 10: gemm_tile_if(10, w, a_i, a_k, kind, t); break;
    case 11: gemm_tile_if(11, w, a_i, a_k, kind, t); break;
    case 12: gemm_tile_if(12, w, a_i, a_k, kind, t); break;
    case 13: gemm_tile_if(13, w, a_i, a_k, kind, t); break;
    case 14: gemm_tile_if(14, w, a_i, a_k, kind, t); break;
#endif
    default: break;
    }
}

#endif
