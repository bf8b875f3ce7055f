/* The micro-kernel of kernel/gemm_bf16.h, on Intel's AMX or by AVX512_BF16. */
#include "kernel/cpu/finish.h"
#include "kernel/cpu/tiles_bf16.h"
#include "kernel/tables.h"

_Static_assert((int)TILE == (int)ATT_BF16_TILE && (int)STEP == (int)ATT_BF16_STEP, "one layout in both headers");

/* The first n lanes. */
VF_INLINE __mmask16 lanes_below(int64_t n)
{
    return (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1u << n) - 1 : 0);
}

static void pack_a(uint16_t *dst, const float *a, int64_t a_row, int64_t rows, int64_t k)
{
    for (int64_t at = 0; at < k; at += TILE, dst += STEP) {
        const __mmask16 low = lanes_below(k - at), high = lanes_below(k - at - HALF);
        for (int64_t i = 0; i < TILE; i++) {
            __m512i x = _mm512_setzero_si512();
            if (i < rows) {
                const float *row = a + i * a_row + at;
                x = two_rounded(_mm512_maskz_loadu_ps(low, row),
                                high ? _mm512_maskz_loadu_ps(high, row + HALF) : _mm512_setzero_ps());
            }
            _mm512_store_si512(dst + left_row(i), x);
        }
    }
}

static void turn_a(uint16_t *dst, const float *a, int64_t a_col, int64_t rows, int64_t k)
{
    for (int64_t at = 0; at < k; at += TILE, a += TILE * a_col, dst += STEP)
        for (int64_t half = 0; half < TILE; half += HALF) {
            const __mmask16 some = lanes_below(rows - half);
            __m512i r[HALF];
            for (int64_t i = 0; i < HALF; i++) {
                const float *from = a + 2 * i * a_col + half;
                __m512 even = _mm512_setzero_ps(), odd = even;
                if (some && at + 2 * i < k) even = _mm512_maskz_loadu_ps(some, from);
                if (some && at + 2 * i + 1 < k) odd = _mm512_maskz_loadu_ps(some, from + a_col);
                __m512i both = two_rounded(even, odd);
                r[i] = lower_pairs(both, _mm512_shuffle_i64x2(both, both, 0xee));
            }
            transpose_words(r);
            for (int64_t i = 0; i < HALF; i++) _mm512_store_si512(dst + left_row(half + i), r[i]);
        }
}

static void pack_b(uint16_t *dst, const float *b, int64_t b_row, int64_t k, int64_t cols)
{
    const __mmask16 left = lanes_below(cols), right = lanes_below(cols - HALF);
    for (int64_t at = 0; at < k; at += TILE, dst += STEP)
        for (int64_t i = 0; i < HALF; i++) {
            const float *row = b + (at + 2 * i) * b_row;
            const __mmask16 even = at + 2 * i < k ? 0xffff : 0, odd = at + 2 * i + 1 < k ? 0xffff : 0;
            __m512 e[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, o[2] = {e[0], e[0]};
            if (even) e[0] = _mm512_maskz_loadu_ps(left, row);
            if (even && right) e[1] = _mm512_maskz_loadu_ps(right, row + HALF);
            if (odd) o[0] = _mm512_maskz_loadu_ps(left, row + b_row);
            if (odd && right) o[1] = _mm512_maskz_loadu_ps(right, row + b_row + HALF);
            __m512i evens = two_rounded(e[0], e[1]), odds = two_rounded(o[0], o[1]);
            _mm512_store_si512(dst + i * TILE, lower_pairs(evens, odds));
            _mm512_store_si512(dst + ONE + i * TILE, upper_pairs(evens, odds));
        }
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
    micro_tile(whole, TILE, add, a, b, steps, 1, 1);
    copy(c, c_row, whole, TILE, rows, cols);
}

static void block(const att_bf16_block *g)
{
    begin_tiles();
    for (int64_t n = 0; n < g->cols; n += TILE) {
        const uint16_t *b = g->b + n / TILE * g->b_panel;
        for (int64_t m = 0; m < g->rows; m += TILE) {
            const uint16_t *a = g->a + m / TILE * g->steps * STEP;
            float *c = g->c + m * g->c_row + n;
            int64_t rows = g->rows - m < TILE ? g->rows - m : TILE, cols = g->cols - n < TILE ? g->cols - n : TILE;
            if (rows == TILE && cols == TILE)
                micro_tile(c, g->c_row, g->add, a, b, g->steps, 1, 1);
            else
                edge_tile(c, g->c_row, a, b, g->steps, g->add, rows, cols);
            if (g->last && (g->bias || g->activation != ATT_ACT_NONE))
                finish(c, g->c_row, rows, cols, g->bias ? g->bias + n : NULL, g->activation);
        }
    }
    end_tiles();
}

void ATT_VARIANT(att_register_gemm_bf16)(att_bf16_kernels *t);
void ATT_VARIANT(att_register_gemm_bf16)(att_bf16_kernels *t)
{
    *t = (att_bf16_kernels){.pack_a = pack_a, .turn_a = turn_a, .pack_b = pack_b, .block = block};
}
