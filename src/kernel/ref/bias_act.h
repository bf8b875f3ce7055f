/* c(M,N) = act(c + bias(N)), in place; bias may be NULL. The activations are att_activation's. */
void ATT_REF(bias_act)(real *c, int64_t c_row, int64_t c_col, const real *bias, int64_t bias_stride, int64_t M,
                       int64_t N, int activation);
