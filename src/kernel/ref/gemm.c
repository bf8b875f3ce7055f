#include "kernel/ref/real.h"
#include "kernel/ref/gemm.h"

void ATT_REF(gemm)(real *c, int64_t c_row, int64_t c_col, const real *a, int64_t a_row, int64_t a_col, const real *b,
                   int64_t b_row, int64_t b_col, int64_t M, int64_t N, int64_t K, int beta)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            real sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a[m * a_row + k * a_col] * b[k * b_row + n * b_col];
            real *out = &c[m * c_row + n * c_col];
            *out = beta ? *out + sum : sum;
        }
}
