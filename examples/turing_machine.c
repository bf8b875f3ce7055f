/* Addressing of the Neural Turing Machine (Graves, Wayne, Danihelka 2014). First by content: find the row like the key.
 * Then by location: keep the gate shut and shift by one row a step. Sharpening undoes the blur of an unsure shift. */
#include "common.h"

enum { N = 12, W = 6, STEPS = 8 };

static char scratch[4096] __attribute__((aligned(64)));

int main(int argc, char **argv)
{
    float *memory = normal(N * W, 1), key[W], strength = 20, content[N], history[STEPS * N];
    memcpy(key, memory + 3 * W, sizeof key); /* what row 3 holds */
    att_content find = {att_view_3d(memory, ATT_F32, 1, N, W), att_view_3d(key, ATT_F32, 1, 1, W),
                        att_view_2d(&strength, ATT_F32, 1, 1)};
    att_view c = att_view_3d(content, ATT_F32, 1, 1, N);
    MUST(att_content_forward(NULL, &c, &find, (att_span){scratch, sizeof scratch}));

    float previous[N] = {0}, stay[3] = {0, 1, 0}, forth[3] = {0.05f, 0.15f, 0.8f};
    for (int t = 0; t < STEPS; t++) {
        float gate = t == 0, sharpen = t < 4 ? 1 : 4; /* the first half blurs, the second does not */
        att_ntm step = {.content = c,
                        .previous = att_view_3d(previous, ATT_F32, 1, 1, N),
                        .gate = att_view_2d(&gate, ATT_F32, 1, 1),
                        .shift = att_view_3d(t == 0 ? stay : forth, ATT_F32, 1, 1, 3),
                        .sharpen = att_view_2d(&sharpen, ATT_F32, 1, 1)};
        att_view w = att_view_3d(history + t * N, ATT_F32, 1, 1, N);
        MUST(att_ntm_forward(NULL, &w, &step, (att_span){scratch, sizeof scratch}));
        memcpy(previous, history + t * N, sizeof previous);
        int best = 0;
        for (int i = 0; i < N; i++)
            if (previous[i] > previous[best]) best = i;
        printf("step %d: row %2d with weight %.3f\n", t, best, (double)previous[best]);
        CHECK(best == 3 + t);
    }
    draw(folder_of(argc, argv), "turing_machine", "where the head is, step by step", history, STEPS, N, NULL, NULL);
    CHECK(history[3 * N + 6] < 0.7f && history[7 * N + 10] > 0.9f);
    free(memory);
    return 0;
}
