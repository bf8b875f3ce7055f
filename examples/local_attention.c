/* Exercise: global and local attention (Luong, Pham, Manning 2015). Global attention looks at every source word;
 * local-m at a window around its own place; local-p predicts the middle of the window, p = S sigmoid(v . tanh(W q)),
 * and lets the weights fall off around it as a Gaussian. */
#include "common.h"

enum { TQ = 8, TK = 12, D = 6, P = 4 };

int main(int argc, char **argv)
{
    float *q = normal(TQ * D, 1), *k = normal(TK * D, 2), *W = normal(D * P, 3), *v = normal(P, 4);
    float w[TQ * TK], o[TQ * D], centre[TQ];
    const char *folder = folder_of(argc, argv);
    att_mechanism_in in = {.core = {.q = att_view_3d(q, ATT_F32, 1, TQ, D), .v = att_view_3d(k, ATT_F32, 1, TK, D)}};
    att_mechanism_desc desc = {.kind = ATT_MECHANISM_DOT};
    report("global", &desc, &in, w);
    draw(folder, "global_attention", "global", w, TQ, TK, NULL, NULL);

    desc.local = ATT_LOCAL_MONOTONIC;
    desc.core.half_width = 2;
    report("local-m, D = 2", &desc, &in, w);
    draw(folder, "local_monotonic", "local-m", w, TQ, TK, NULL, NULL);
    for (int i = 0; i < TQ; i++)
        for (int j = 0; j < TK; j++) CHECK((w[i * TK + j] > 0) == (abs(i - j) <= 2));

    desc.local = ATT_LOCAL_PREDICTIVE;
    in.w_centre = att_view_2d(W, ATT_F32, D, P);
    in.v_centre = att_view_1d(v, ATT_F32, P);
    report("local-p, D = 2", &desc, &in, w);
    att_mechanism_out out = {.core = {.o = att_view_3d(o, ATT_F32, 1, TQ, D)},
                             .centre = att_view_3d(centre, ATT_F32, 1, 1, TQ)};
    run(&desc, &in, &out);
    printf("predicted centres:");
    for (int i = 0; i < TQ; i++) printf(" %.2f", (double)centre[i]);
    printf("\n");
    draw(folder, "local_predictive", "local-p", w, TQ, TK, NULL, NULL);
    for (int i = 0; i < TQ; i++)
        for (int j = 0; j < TK; j++) CHECK(w[i * TK + j] == 0 || fabsf((float)j - centre[i]) <= 2);
    free(q), free(k), free(W), free(v);
    return 0;
}
