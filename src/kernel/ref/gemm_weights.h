/* c(M,N) = beta * c + a(M,K) b(K,N) with the weights b in few bits and dense rows: bfloat16, or scale[n] b[k,n]. */
void ATT_REF(gemm_bf16)(real *c, int64_t c_row, int64_t c_col, const real *a, int64_t a_row, int64_t a_col,
                        const uint16_t *b, int64_t M, int64_t N, int64_t K, int beta);
void ATT_REF(gemm_i8)(real *c, int64_t c_row, int64_t c_col, const real *a, int64_t a_row, int64_t a_col,
                      const int8_t *b, const float *scale, int64_t M, int64_t N, int64_t K, int beta);
