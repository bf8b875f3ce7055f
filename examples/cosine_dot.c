/* Cosine distance against dot product, of 100 random pairs of width 128: both see the angle, the dot product also the
 * lengths. Random vectors of that width are nearly orthogonal and of nearly one length, so the two almost agree. */
#include "common.h"

enum { PAIRS = 100, D = 128 };

int main(int argc, char **argv)
{
    float *a = normal(PAIRS * D, 1), *b = normal(PAIRS * D, 2);
    double distance[PAIRS], dot[PAIRS], mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < PAIRS; i++) {
        double aa = 0, bb = 0, ab = 0;
        for (int d = 0; d < D; d++) {
            double x = (double)a[i * D + d], y = (double)b[i * D + d];
            aa += x * x, bb += y * y, ab += x * y;
        }
        dot[i] = ab;
        distance[i] = 1 - ab / sqrt(aa * bb);
        mx += distance[i] / PAIRS, my += dot[i] / PAIRS;
    }
    for (int i = 0; i < PAIRS; i++) {
        double x = distance[i] - mx, y = dot[i] - my;
        xx += x * x, yy += y * y, xy += x * y;
    }
    printf("%d pairs of width %d: cosine distance %.3f on average, dot product %.3f, correlation %.4f\n", PAIRS, D, mx,
           my, xy / sqrt(xx * yy));
    const att_curves_desc desc = {.x_name = "cosine distance", .y_name = {"dot product"}, .width = 560, .height = 440};
    const att_series s = {.x = distance, .y = dot, .n = PAIRS, .mark = ATT_MARK_SCATTER};
    char path[600];
    snprintf(path, sizeof path, "%s/cosine_dot.svg", folder_of(argc, argv));
    MUST(att_plot_curves(&desc, &s, 1, path));
    MUST(att_plot_curves_terminal(NULL, &desc, &s, 1, stdout));
    CHECK(xy / sqrt(xx * yy) < -0.97);
    free(a), free(b);
    return 0;
}
