/* Self-attention: a sentence asks itself. Then the same with four heads, each with projections of its own, and causal,
 * as a decoder needs it: no word looks at a later one. */
#include "common.h"

enum { T = 6, C = 16, HEADS = 4 };

int main(int argc, char **argv)
{
    static const char *const words[T] = {"the", "animal", "crossed", "the", "street", "."};
    const char *folder = folder_of(argc, argv);
    float *x = normal(T * C, 1), *W[4], w[HEADS * T * T];
    memcpy(x + 3 * C, x, C * sizeof *x); /* "the" is one word */
    for (int i = 0; i < 4; i++) {
        W[i] = normal(C * C, 10 + (uint64_t)i);
        for (int j = 0; j < C * C; j++) W[i][j] /= 4; /* 1 / sqrt(C): states keep their size */
    }
    att_mechanism_in in = {.core = {.q = att_view_3d(x, ATT_F32, 1, T, C), .v = att_view_3d(x, ATT_F32, 1, T, C)}};
    att_mechanism_desc desc = {0};
    report("self-attention", &desc, &in, w);
    draw(folder, "self_attention", "self-attention", w, T, T, words, words);
    for (int j = 0; j < T; j++) CHECK(near((double)w[j], (double)w[3 * T + j], 1e-6)); /* equal words, equal rows */

    att_view *matrix[4] = {&in.w_query, &in.w_key, &in.w_value, &in.w_output};
    for (int i = 0; i < 4; i++) *matrix[i] = att_view_2d(W[i], ATT_F32, C, C);
    desc.heads = HEADS;
    desc.core.window = ATT_WINDOW_CAUSAL;
    report("multi-head, causal", &desc, &in, w);
    char path[600];
    snprintf(path, sizeof path, "%s/multi_head.svg", folder);
    MUST(att_plot_heatmap_grid(NULL, w, 1, HEADS, T, T, words, words, NULL, path));
    for (int h = 0; h < HEADS; h++) {
        char title[20];
        snprintf(title, sizeof title, "head %d", h + 1);
        MUST(att_plot_terminal(NULL, &(att_heatmap_desc){.title = title}, w + h * T * T, T, T, words, words, stdout));
        for (int i = 0; i < T; i++)
            for (int j = i + 1; j < T; j++) CHECK(w[(h * T + i) * T + j] == 0);
    }
    desc.kv_heads = 1; /* one key and value for all heads: multi-query attention */
    in.w_key = att_view_slice(&in.w_key, 1, 0, C / HEADS);
    in.w_value = att_view_slice(&in.w_value, 1, 0, C / HEADS);
    report("multi-query, causal", &desc, &in, NULL);
    for (int i = 0; i < 4; i++) free(W[i]);
    free(x);
    return 0;
}
