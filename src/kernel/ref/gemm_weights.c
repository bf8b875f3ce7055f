#include "kernel/ref/real.h"
#include "kernel/ref/gemm_weights.h"

#include "base/half.h"

void ATT_REF(gemm_bf16)(real *c, int64_t c_row, int64_t c_col, const real *a, int64_t a_row, int64_t a_col,
                        const uint16_t *b, int64_t M, int64_t N, int64_t K, int beta)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            real sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a[m * a_row + k * a_col] * (real)att_float_of_bf16(b[k * N + n]);
            real *out = &c[m * c_row + n * c_col];
            *out = beta ? *out + sum : sum;
        }
}

void ATT_REF(gemm_i8)(real *c, int64_t c_row, int64_t c_col, const real *a, int64_t a_row, int64_t a_col,
                      const int8_t *b, const float *scale, int64_t M, int64_t N, int64_t K, int beta)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            real sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a[m * a_row + k * a_col] * (real)b[k * N + n];
            real *out = &c[m * c_row + n * c_col];
            *out = beta ? *out + sum * (real)scale[n] : sum * (real)scale[n];
        }
}
