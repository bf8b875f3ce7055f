/* The tile registers of Intel's AMX as this project uses them: eight of 16 rows of 64 bytes. Four hold a micro-tile of
 * 32 x 32 floats, 4 and 5 the upper and lower rows of a left operand, 6 and 7 the left and right columns of a right
 * one. */
#ifndef ATT_CPU_TILES_AMX_H
#define ATT_CPU_TILES_AMX_H

#include "kernel/cpu/layout_bf16.h"

enum { LINE = 64 };

/* What LDTILECFG reads. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_config;

static inline void begin_tiles(void)
{
    static const tile_config whole __attribute__((aligned(64))) = {
        .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&whole);
}

static inline void end_tiles(void)
{
    _tile_release();
}

/* c: the micro-tile whose rows lie c_row floats apart. */
VF_INLINE void load_micro_tile(const float *c, int64_t c_row)
{
    const int64_t bytes = c_row * (int64_t)sizeof *c;
    _tile_loadd(0, c, bytes);
    _tile_loadd(1, c + HALF, bytes);
    _tile_loadd(2, c + HALF * c_row, bytes);
    _tile_loadd(3, c + HALF * c_row + HALF, bytes);
}

VF_INLINE void zero_micro_tile(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

VF_INLINE void store_micro_tile(float *c, int64_t c_row)
{
    const int64_t bytes = c_row * (int64_t)sizeof *c;
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + HALF, bytes);
    _tile_stored(2, c + HALF * c_row, bytes);
    _tile_stored(3, c + HALF * c_row + HALF, bytes);
}

VF_INLINE void load_left(const uint16_t *a)
{
    _tile_loadd(4, a, LINE);
    _tile_loadd(5, a + ONE, LINE);
}

VF_INLINE void load_right(const uint16_t *b)
{
    _tile_loadd(6, b, LINE);
    _tile_loadd(7, b + ONE, LINE);
}

VF_INLINE void multiply_tiles(void)
{
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/* c(32,32) = [c +] a b over so many steps. Operands may be sums of parts that lie behind each other in each step; of
 * two such sums the products i j with i + j < parts count. */
VF_INLINE void micro_tile(float *c, int64_t c_row, bool add, const uint16_t *a, const uint16_t *b, int64_t steps,
                          const int a_parts, const int b_parts)
{
    const int parts = a_parts > b_parts ? a_parts : b_parts;
    add ? load_micro_tile(c, c_row) : zero_micro_tile();
    for (int64_t s = 0; s < steps; s++, a += a_parts * STEP, b += b_parts * STEP) {
        if (b_parts == 1) load_right(b);
#pragma GCC unroll 3
        for (int i = 0; i < a_parts; i++) {
            const int end = b_parts < parts - i ? b_parts : parts - i;
            load_left(a + i * STEP);
#pragma GCC unroll 3
            for (int j = 0; j < end; j++) {
                if (b_parts > 1) load_right(b + j * STEP);
                multiply_tiles();
            }
        }
    }
    store_micro_tile(c, c_row);
}

#endif
