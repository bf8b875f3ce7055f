/* c(M,N) = beta * c + a(M,K) b(K,N), all with row and column strides in elements; beta is 0 or 1, and with 0 the old
 * content of c is not read. */
void ATT_REF(gemm)(real *c, int64_t c_row, int64_t c_col, const real *a, int64_t a_row, int64_t a_col, const real *b,
                   int64_t b_row, int64_t b_col, int64_t M, int64_t N, int64_t K, int beta);
