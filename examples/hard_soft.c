/* Hard and soft attention. Soft attention mixes all values; hard attention takes one, the best or one drawn with the
 * soft weights as probabilities (Xu et al. 2015). Draws have the soft output as their mean, and REINFORCE gives them a
 * gradient: that of log p of what was drawn, times how much better than usual the reward was. */
#include "common.h"

enum { T = 6, D = 4, DRAWS = 4000 };

static const att_mechanism_desc soft = {0};
static float *q, *k, w[3 * T];

static double output(att_align align, uint64_t seed, float *weights)
{
    float value[T], o;
    for (int j = 0; j < T; j++) value[j] = (float)j;
    att_mechanism_desc desc = soft;
    desc.core.align = align;
    desc.core.seed = seed;
    att_mechanism_in in = {.core = {.q = att_view_3d(q, ATT_F32, 1, 1, D),
                                    .k = att_view_3d(k, ATT_F32, 1, T, D),
                                    .v = att_view_3d(value, ATT_F32, 1, T, 1)}};
    att_mechanism_out out = {
        .core = {.o = att_view_3d(&o, ATT_F32, 1, 1, 1), .weights = att_view_4d(weights, ATT_F32, 1, 1, 1, T)}};
    run(&desc, &in, &out);
    return (double)o;
}

/* The query after `steps` of REINFORCE with the value of the drawn key as reward: it learns to like the last keys. */
static double reinforce(int steps)
{
    float value[T], o, lse, d_o = 0, dq[D], factor;
    double usual = 0, last = 0;
    for (int j = 0; j < T; j++) value[j] = (float)j;
    for (int s = 0; s < steps; s++) {
        att_mechanism_desc desc = {
            .core = {.align = ATT_ALIGN_SAMPLE, .seed = 1000 + (uint64_t)s, .estimator = ATT_ESTIMATOR_REINFORCE}};
        att_mechanism_in in = {.core = {.q = att_view_3d(q, ATT_F32, 1, 1, D),
                                        .k = att_view_3d(k, ATT_F32, 1, T, D),
                                        .v = att_view_3d(value, ATT_F32, 1, T, 1)}};
        att_mechanism_out out = {
            .core = {.o = att_view_3d(&o, ATT_F32, 1, 1, 1), .lse = att_view_3d(&lse, ATT_F32, 1, 1, 1)}};
        run(&desc, &in, &out);
        factor = (float)((double)o - usual); /* reward - baseline, to be made large */
        usual += 0.05 * ((double)o - usual);
        memset(dq, 0, sizeof dq);
        att_mechanism_grad grad = {.core = {.d_o = att_view_3d(&d_o, ATT_F32, 1, 1, 1),
                                            .dq = att_view_3d(dq, ATT_F32, 1, 1, D),
                                            .d_log_prob = att_view_3d(&factor, ATT_F32, 1, 1, 1)}};
        att_span work;
        MUST(att_mechanism_workspace(&desc, NULL, &in, &work.bytes));
        work.data = aligned_alloc(64, work.bytes + 64);
        MUST(att_mechanism_backward(&desc, NULL, &grad, &out, &in, work));
        free(work.data);
        for (int d = 0; d < D; d++) q[d] += 0.1f * dq[d];
        last = usual;
    }
    return last;
}

int main(int argc, char **argv)
{
    static const char *const rows[3] = {"soft", "best", "drawn"};
    q = normal(D, 1);
    k = normal(T * D, 2);
    double mean = 0, s = output(ATT_ALIGN_SOFTMAX, 0, w), best = output(ATT_ALIGN_ARGMAX, 0, w + T);
    float one[T];
    for (int i = 0; i < DRAWS; i++) mean += output(ATT_ALIGN_SAMPLE, (uint64_t)i, one) / DRAWS;
    output(ATT_ALIGN_SAMPLE, 3, w + 2 * T);
    printf("soft %.4f, best %.4f, mean of %d draws %.4f\n", s, best, DRAWS, mean);
    draw(folder_of(argc, argv), "hard_soft", "one query, three alignments", w, 3, T, rows, NULL);
    CHECK(fabs(mean - s) < 0.12); /* four deviations of the mean */
    double after = reinforce(800);
    printf("REINFORCE: the drawn place is %.3f on average after 800 steps, %.3f before\n", after, s);
    CHECK(after > s + 0.5);
    free(q), free(k);
    return 0;
}
