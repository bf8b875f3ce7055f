/* Keras's Attention and AdditiveAttention from their parts. Attention is a product with the keys, a softmax and a
 * product with the values, without a scale; AdditiveAttention sums tanh(q + k), with one learned factor for each
 * feature. Both layers have no projections. The parts by hand, then the library's one call. */
#include "common.h"

enum { B = 2, TQ = 3, TK = 5, D = 4 };

static float *q, *v, *scale;

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int d = 0; d < D; d++) sum += (double)a[d] * (double)b[d];
    return sum;
}

static double additive(const float *a, const float *b)
{
    double sum = 0;
    for (int d = 0; d < D; d++) sum += (double)scale[d] * tanh((double)a[d] + (double)b[d]);
    return sum;
}

/* scores, weights, output; returns the sum of the output. */
static double by_hand(const char *title, double (*score)(const float *, const float *))
{
    double scores = 0, squares = 0, output = 0;
    for (int b = 0; b < B; b++)
        for (int i = 0; i < TQ; i++) {
            double e[TK], total = 0;
            for (int j = 0; j < TK; j++) {
                e[j] = score(q + (b * TQ + i) * D, v + (b * TK + j) * D);
                scores += e[j];
                total += exp(e[j]);
            }
            for (int j = 0; j < TK; j++) {
                double w = exp(e[j]) / total;
                squares += w * w;
                for (int d = 0; d < D; d++) output += w * (double)v[(b * TK + j) * D + d];
            }
        }
    printf("%-28s sum of scores %10.4f   variance of weights %.6f   sum of output %10.4f\n", title, scores,
           squares / (B * TQ * TK) - 1.0 / (TK * TK), output);
    return output;
}

int main(int argc, char **argv)
{
    float w[B * TQ * TK];
    q = normal(B * TQ * D, 1);
    v = normal(B * TK * D, 2);
    scale = normal(D, 3);
    att_mechanism_in in = {.core = {.q = att_view_3d(q, ATT_F32, B, TQ, D), .v = att_view_3d(v, ATT_F32, B, TK, D)}};
    const att_mechanism_desc attention = {.kind = ATT_MECHANISM_DOT}, bahdanau = {.kind = ATT_MECHANISM_ADDITIVE};
    double parts = by_hand("Attention by hand", dot), layer = report("Attention", &attention, &in, w);
    CHECK(near(layer, parts, 1e-5));
    draw(folder_of(argc, argv), "keras_attention", "Attention", w, TQ, TK, NULL, NULL);
    in.core.score_w = att_view_1d(scale, ATT_F32, D);
    parts = by_hand("AdditiveAttention by hand", additive);
    layer = report("AdditiveAttention", &bahdanau, &in, w);
    CHECK(near(layer, parts, 1e-5));
    draw(folder_of(argc, argv), "keras_additive_attention", "AdditiveAttention", w, TQ, TK, NULL, NULL);
    free(q), free(v), free(scale);
    return 0;
}
