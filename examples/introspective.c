/* A memory of one's own states. The network reads eight pairs (key, value) in a row, then one key again, and must say
 * its value. A plain recurrent network has to hold all eight pairs in its state; the introspective one looks back at
 * the state in which it read the key. Both have the same sizes and the same training. */
#include "common.h"

enum { PAIRS = 8, T = PAIRS + 1, SYMBOLS = 8, C = 2 * SYMBOLS + 1, U = 24, BATCH = 32, STEPS = 600 };

/* x (BATCH,T,C): one-hot key, one-hot value, "asked"; the keys are in random order, values may repeat. */
static void make_batch(att_random *r, float *x, int32_t *target, int64_t asked_at[BATCH])
{
    memset(x, 0, sizeof(float) * BATCH * T * C);
    for (int b = 0; b < BATCH; b++) {
        int64_t key[PAIRS], value[PAIRS];
        for (int t = 0; t < PAIRS; t++) key[t] = t, value[t] = (int64_t)att_random_below(r, SYMBOLS);
        att_random_shuffle(r, key, PAIRS);
        int64_t asked = (int64_t)att_random_below(r, PAIRS);
        for (int t = 0; t < PAIRS; t++) {
            x[(b * T + t) * C + key[t]] = 1;
            x[(b * T + t) * C + SYMBOLS + value[t]] = 1;
        }
        x[(b * T + PAIRS) * C + key[asked]] = 1;
        x[(b * T + PAIRS) * C + C - 1] = 1;
        target[b] = (int32_t)value[asked];
        asked_at[b] = asked;
    }
}

typedef struct learner {
    att_params *params;
    att_introspective *net;
    att_parameter *kernel, *bias; /* of the answer: (2U, SYMBOLS) */
    att_tape *tape;
    float *m, *v; /* Adam's */
} learner;

static learner create(int blind)
{
    learner l = {0};
    const att_introspective_desc desc = {.cell = ATT_CELL_GRU, .inputs = C, .units = U, .blind = blind};
    MUST(att_params_create(NULL, &l.params));
    MUST(att_introspective_create(l.params, "net", &desc, &l.net));
    MUST(att_params_add(l.params, "answer.kernel", 2, (int64_t[]){2 * U, SYMBOLS}, ATT_INIT_GLOROT, 0, &l.kernel));
    MUST(att_params_add(l.params, "answer.bias", 1, (int64_t[]){SYMBOLS}, ATT_INIT_ZERO, 0, &l.bias));
    MUST(att_params_allocate(l.params, 1, 1));
    att_introspective_start(l.net);
    MUST(att_tape_create(NULL, NULL, &l.tape));
    l.m = zeros(att_params_elements(l.params));
    l.v = zeros(att_params_elements(l.params));
    return l;
}

static void destroy(learner *l)
{
    att_introspective_destroy(l->net);
    att_tape_destroy(l->tape);
    att_params_destroy(l->params);
    free(l->m), free(l->v);
}

/* Forward; and backward and a step of Adam when step > 0. */
static att_loss answer(learner *l, float *x, int32_t *target, int64_t step, att_view *weights)
{
    att_view vx = att_view_3d(x, ATT_F32, BATCH, T, C), vt = att_view_1d(target, ATT_I32, BATCH);
    att_loss loss = {0};
    att_tape_begin(l->tape, step > 0);
    att_node *y = att_introspective_run(l->tape, l->net, att_tape_constant(l->tape, &vx), weights);
    att_node *last = att_tape_at(l->tape, y, 1, T - 1);
    att_node *logits = att_tape_linear(l->tape, last, att_tape_parameter(l->tape, l->kernel),
                                       att_tape_parameter(l->tape, l->bias), ATT_ACT_NONE);
    att_tape_cross_entropy(l->tape, logits, &vt, 0, 1.0 / BATCH, &loss);
    MUST(att_tape_status(l->tape));
    if (step == 0) return loss;
    att_params_zero_gradients(l->params);
    MUST(att_tape_backward(l->tape));
    att_params_settle_gradients(l->params);
    const att_adam_desc adam = {.lr = 5e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .gscale = 1, .step = step};
    MUST(att_adam_step(&adam, NULL, att_params_values(l->params), l->m, l->v, att_params_gradients(l->params),
                       att_params_elements(l->params)));
    att_params_changed(l->params);
    return loss;
}

/* Train, then the share of right answers to 20 unseen batches. a (T,T): the weights of the last sequence. */
static double learn(int blind, float *a, int64_t *asked)
{
    static float x[BATCH * T * C];
    int32_t target[BATCH];
    int64_t at[BATCH];
    att_random draw_train = {.seed = 7}, draw_test = {.seed = 8};
    learner l = create(blind);
    int64_t right = 0;
    for (int step = 1; step <= STEPS; step++) {
        make_batch(&draw_train, x, target, at);
        att_loss loss = answer(&l, x, target, step, NULL);
        if (step % 200 == 0) printf("  step %4d   loss %.3f\n", step, loss.sum / (double)loss.count);
    }
    att_view w = {0};
    for (int i = 0; i < 20; i++) {
        make_batch(&draw_test, x, target, at);
        right += answer(&l, x, target, 0, &w).correct;
    }
    memcpy(a, (const float *)w.data + (BATCH - 1) * T * T, sizeof(float) * T * T);
    *asked = at[BATCH - 1];
    destroy(&l);
    return (double)right / (20.0 * BATCH);
}

int main(int argc, char **argv)
{
    static float plain_weights[T * T], weights[T * T];
    int64_t asked;
    printf("plain recurrent network\n");
    double plain = learn(1, plain_weights, &asked);
    printf("introspective network\n");
    double introspective = learn(0, weights, &asked);
    printf("right answers: plain %.1f %%, introspective %.1f %% (chance: %.1f %%)\n", 100 * plain, 100 * introspective,
           100.0 / SYMBOLS);
    draw(folder_of(argc, argv), "introspective", "which of its own states the network looks at", weights, T, T, NULL,
         NULL);
    printf("The last row, the question, is about pair %d.\n", (int)asked);
    CHECK(introspective > 0.95);
    CHECK(plain < 0.75);
    return 0;
}
