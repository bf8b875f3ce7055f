/* Exercise: Bahdanau's attention by hand. The decoder's state s asks the encoder's states h:
 *     e_j = v . tanh(W s + U h_j),  a = softmax(e),  c = sum_j a_j h_j
 * First line by line with products of the library, then as one mechanism. */
#include "common.h"

enum { T = 6, S = 5, H = 4, A = 3 }; /* source words; widths of s, h and of what is compared */

static float *product(const float *a, const float *b, int64_t M, int64_t K, int64_t N)
{
    size_t bytes;
    float *c = zeros(M * N);
    att_view va = att_view_2d((void *)a, ATT_F32, M, K), vb = att_view_2d((void *)b, ATT_F32, K, N);
    att_view vc = att_view_2d(c, ATT_F32, M, N);
    MUST(att_product_workspace(NULL, M, N, K, &bytes));
    void *work = aligned_alloc(64, (bytes + 127) / 64 * 64);
    MUST(att_product(NULL, NULL, &vc, &va, &vb, NULL, (att_span){work, bytes}));
    free(work);
    return c;
}

int main(int argc, char **argv)
{
    static const char *const words[T] = {"la", "croissance", "economique", "a", "ralenti", "."};
    float *s = normal(S, 1), *h = normal(T * H, 2), *W = normal(S * A, 3), *U = normal(H * A, 4), *v = normal(A, 5);
    float *ws = product(s, W, 1, S, A), *uh = product(h, U, T, H, A);
    float e[T], w[T], total = 0, c[H] = {0}, context[H];
    for (int j = 0; j < T; j++) {
        e[j] = 0;
        for (int a = 0; a < A; a++) e[j] += v[a] * tanhf(ws[a] + uh[j * A + a]);
        total += expf(e[j]);
    }
    for (int j = 0; j < T; j++)
        for (int d = 0; d < H; d++) c[d] += expf(e[j]) / total * h[j * H + d];

    const att_mechanism_desc desc = {.kind = ATT_MECHANISM_ADDITIVE};
    att_mechanism_in in = {.core = {.q = att_view_3d(s, ATT_F32, 1, 1, S),
                                    .v = att_view_3d(h, ATT_F32, 1, T, H),
                                    .score_w = att_view_1d(v, ATT_F32, A)},
                           .w_query = att_view_2d(W, ATT_F32, S, A),
                           .w_key = att_view_2d(U, ATT_F32, H, A)};
    att_mechanism_out out = {
        .core = {.o = att_view_3d(context, ATT_F32, 1, 1, H), .weights = att_view_4d(w, ATT_F32, 1, 1, 1, T)}};
    run(&desc, &in, &out);
    printf("word          score  weight\n");
    for (int j = 0; j < T; j++) printf("%-11s %7.4f  %.4f\n", words[j], (double)e[j], (double)w[j]);
    for (int d = 0; d < H; d++) {
        printf("context[%d]  by hand %9.6f  mechanism %9.6f\n", d, (double)c[d], (double)context[d]);
        CHECK(near((double)context[d], (double)c[d], 1e-5));
    }
    report("Bahdanau", &desc, &in, NULL);
    draw(folder_of(argc, argv), "bahdanau", "Bahdanau's attention", w, 1, T, NULL, words);
    free(s), free(h), free(W), free(U), free(v), free(ws), free(uh);
    return 0;
}
