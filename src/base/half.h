/* bfloat16 and float16, one number at a time: for the reference and for tails. Rounding is to nearest, ties to even. */
#ifndef ATT_HALF_H
#define ATT_HALF_H

#include <stdint.h>
#include <string.h>

static inline float att_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t att_bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float att_float_of_bf16(uint16_t h)
{
    return att_float_of_bits((uint32_t)h << 16);
}

static inline uint16_t att_bf16_of_float(float f)
{
    uint32_t bits = att_bits_of_float(f);
    if (f != f) return (uint16_t)(bits >> 16 | 0x40); /* rounding could carry a NaN over to infinity */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float att_float_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) return att_float_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13); /* infinity, NaN */
    if (rest >= 0x400) return att_float_of_bits(sign | ((rest << 13) + (112u << 23)));
    float tiny = (float)rest * 0x1p-24f; /* subnormal */
    return sign ? -tiny : tiny;
}

static inline uint16_t att_f16_of_float(float f)
{
    uint32_t bits = att_bits_of_float(f), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more: infinity */
    if (rest < 0x38800000) /* below 2^-14: adding 1/2 leaves the subnormal's bits, rounded, at the end */
        return (uint16_t)(sign | (att_bits_of_float(att_float_of_bits(rest) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13));
}

#endif
