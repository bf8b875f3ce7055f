/* Attention as search. A dictionary answers when the key is equal; attention answers with all values, each as much as
 * its key is like the query. The sharper the comparison, the more it is a dictionary again. */
#include "common.h"

enum { N = 5, D = 4 };

int main(int argc, char **argv)
{
    static const char *const words[N] = {"cat", "dog", "car", "bus", "tree"};
    /* animal, vehicle, big, green */
    float key[N * D] = {1, 0, 0, 0, 1, 0, 0.4f, 0, 0, 1, 0.3f, 0, 0, 1, 1, 0, 0, 0, 0.8f, 1};
    float value[N] = {4, 30, 1200, 9000, 2000}; /* weight in kg */
    float query[D] = {0, 1, 0.9f, 0}, w[3 * N], o;
    const float sharp[3] = {1, 5, 50};
    const char *names[3] = {"times 1", "times 5", "times 50"};
    att_mechanism_in in = {.core = {.q = att_view_3d(query, ATT_F32, 1, 1, D),
                                    .k = att_view_3d(key, ATT_F32, 1, N, D),
                                    .v = att_view_3d(value, ATT_F32, 1, N, 1)}};
    printf("What does something like a big vehicle weigh?\n");
    for (int i = 0; i < 3; i++) {
        att_mechanism_desc desc = {.kind = ATT_MECHANISM_COSINE, .core = {.scale = sharp[i]}};
        att_mechanism_out out = {
            .core = {.o = att_view_3d(&o, ATT_F32, 1, 1, 1), .weights = att_view_4d(w + i * N, ATT_F32, 1, 1, 1, N)}};
        run(&desc, &in, &out);
        printf("cosine %-9s  %8.1f kg, %s weighs %.3f\n", names[i], (double)o, words[3], (double)w[i * N + 3]);
    }
    draw(folder_of(argc, argv), "search", "how much each word answers", w, 3, N, names, words);
    CHECK(w[2 * N + 3] > 0.95f && w[3] < 0.5f);
    CHECK(near((double)o, 9000, 0.1));
    return 0;
}
