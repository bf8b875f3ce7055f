/* The micro-kernel of kernel/gemm_bf16.h on Intel's AMX: eight tile registers of 16 rows of 64 bytes. Four hold a
 * micro-tile of c of 32 x 32, two 32 rows of a for 32 k, two 32 columns of b, whose row i holds the pairs of k = 2 i
 * and 2 i + 1. */
#include <immintrin.h>

#include "kernel/cpu/finish.h"
#include "kernel/tables.h"

enum { TILE = ATT_BF16_TILE, HALF = TILE / 2, ONE = ATT_BF16_STEP / 2, LINE = 64 };

/* What LDTILECFG reads. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_config;

static const tile_config whole_tiles __attribute__((aligned(64))) = {
    .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

/* The first n lanes. */
VF_INLINE __mmask16 lanes_below(int64_t n)
{
    return (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1u << n) - 1 : 0);
}

VF_INLINE __m512i rounded(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

static void pack_a(uint16_t *dst, const float *a, int64_t a_row, int64_t rows, int64_t k)
{
    for (int64_t at = 0; at < k; at += TILE, dst += ATT_BF16_STEP) {
        const __mmask16 low = lanes_below(k - at), high = lanes_below(k - at - HALF);
        for (int64_t i = 0; i < TILE; i++) {
            __m512i x = _mm512_setzero_si512();
            if (i < rows) {
                const float *row = a + i * a_row + at;
                x = rounded(_mm512_maskz_loadu_ps(low, row),
                            high ? _mm512_maskz_loadu_ps(high, row + HALF) : _mm512_setzero_ps());
            }
            _mm512_store_si512(dst + i / HALF * ONE + i % HALF * TILE, x);
        }
    }
}

/* Columns of two rows as sixteen pairs. */
VF_INLINE void store_pairs(uint16_t *dst, __m512 even, __m512 odd)
{
    static const uint16_t turns[32]
        __attribute__((aligned(64))) = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    _mm512_store_si512(dst, _mm512_permutexvar_epi16(_mm512_load_si512(turns), rounded(even, odd)));
}

static void pack_b(uint16_t *dst, const float *b, int64_t b_row, int64_t k, int64_t cols)
{
    const __mmask16 left = lanes_below(cols), right = lanes_below(cols - HALF);
    for (int64_t at = 0; at < k; at += TILE, dst += ATT_BF16_STEP)
        for (int64_t i = 0; i < HALF; i++) {
            const float *row = b + (at + 2 * i) * b_row;
            const __mmask16 even = at + 2 * i < k ? 0xffff : 0, odd = at + 2 * i + 1 < k ? 0xffff : 0;
            __m512 e[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, o[2] = {e[0], e[0]};
            if (even) e[0] = _mm512_maskz_loadu_ps(left, row);
            if (even && right) e[1] = _mm512_maskz_loadu_ps(right, row + HALF);
            if (odd) o[0] = _mm512_maskz_loadu_ps(left, row + b_row);
            if (odd && right) o[1] = _mm512_maskz_loadu_ps(right, row + b_row + HALF);
            store_pairs(dst + i * TILE, e[0], o[0]);
            store_pairs(dst + ONE + i * TILE, e[1], o[1]);
        }
}

/* c(32,32) = [c +] a b. */
VF_INLINE void micro_tile(float *c, int64_t c_row, const uint16_t *a, const uint16_t *b, int64_t steps, bool add)
{
    float *below = c + HALF * c_row;
    const int64_t bytes = c_row * (int64_t)sizeof *c;
    if (add) {
        _tile_loadd(0, c, bytes);
        _tile_loadd(1, c + HALF, bytes);
        _tile_loadd(2, below, bytes);
        _tile_loadd(3, below + HALF, bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t s = 0; s < steps; s++, a += ATT_BF16_STEP, b += ATT_BF16_STEP) {
        _tile_loadd(4, a, LINE);
        _tile_loadd(6, b, LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + ONE, LINE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + ONE, LINE);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + HALF, bytes);
    _tile_stored(2, below, bytes);
    _tile_stored(3, below + HALF, bytes);
}

static void copy(float *dst, int64_t dst_row, const float *src, int64_t src_row, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows; i++) memcpy(dst + i * dst_row, src + i * src_row, (size_t)cols * sizeof *dst);
}

/* A micro-tile that c has not wholly. */
static void edge_tile(float *c, int64_t c_row, const uint16_t *a, const uint16_t *b, int64_t steps, bool add,
                      int64_t rows, int64_t cols)
{
    float whole[TILE * TILE] __attribute__((aligned(64)));
    if (add) {
        memset(whole, 0, sizeof whole);
        copy(whole, TILE, c, c_row, rows, cols);
    }
    micro_tile(whole, TILE, a, b, steps, add);
    copy(c, c_row, whole, TILE, rows, cols);
}

static void block(const att_bf16_block *g)
{
    _tile_loadconfig(&whole_tiles);
    for (int64_t n = 0; n < g->cols; n += TILE) {
        const uint16_t *b = g->b + n / TILE * g->b_panel;
        for (int64_t m = 0; m < g->rows; m += TILE) {
            const uint16_t *a = g->a + m / TILE * g->steps * ATT_BF16_STEP;
            float *c = g->c + m * g->c_row + n;
            int64_t rows = g->rows - m < TILE ? g->rows - m : TILE, cols = g->cols - n < TILE ? g->cols - n : TILE;
            if (rows == TILE && cols == TILE)
                micro_tile(c, g->c_row, a, b, g->steps, g->add);
            else
                edge_tile(c, g->c_row, a, b, g->steps, g->add, rows, cols);
            if (g->last && (g->bias || g->activation != ATT_ACT_NONE))
                finish(c, g->c_row, rows, cols, g->bias ? g->bias + n : NULL, g->activation);
        }
    }
    _tile_release();
}

void ATT_VARIANT(att_register_gemm_bf16)(att_bf16_kernels *t);
void ATT_VARIANT(att_register_gemm_bf16)(att_bf16_kernels *t)
{
    *t = (att_bf16_kernels){.pack_a = pack_a, .pack_b = pack_b, .block = block};
}
