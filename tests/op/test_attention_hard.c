/* Hard alignments: which key they choose, and what their estimators send back. */
#include "op/attention_suite.h"

#define SAMPLE   .align = ATT_ALIGN_SAMPLE
#define THROUGH  .estimator = ATT_ESTIMATOR_STRAIGHT_THROUGH
#define REWARDED .estimator = ATT_ESTIMATOR_REINFORCE

static const attention_case cases[] = {
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"none", 2, 2, 1, 5, 9, 4, 3, {SAMPLE}, WITH_MASK | WITH_WEIGHTS, 0},
    {"through", 2, 2, 1, 5, 9, 4, 3, {SAMPLE, THROUGH, .seed = 3}, WITH_MASK | WITH_WEIGHTS, 0},
    {"argmax_through", 2, 2, 1, 5, 9, 4, 3, {.align = ATT_ALIGN_ARGMAX, THROUGH, .temperature = 0.5f}, WITH_WEIGHTS, 0},
    {"add_through", 2, 2, 2, 5, 9, 4, 3, {SAMPLE, THROUGH, .score = ATT_SCORE_ADDITIVE, .softcap = 2}, WITH_SCORE_W, 0},
    {"reinforce", 2, 2, 1, 5, 9, 4, 3, {SAMPLE, REWARDED, .seed = 4}, WITH_MASK | WITH_WEIGHTS, 0},
    {"reinforce_warm", 2, 2, 1, 5, 9, 4, 3, {SAMPLE, REWARDED, .temperature = 2, .scale = 2}, WITH_RELATIVE, 0},
    {"reinforce_bias", 2, 2, 1, 5, 9, 4, 3, {SAMPLE, REWARDED}, WITH_BIAS | WITH_LENGTHS | WITH_QUERY_MASK, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct surrogate { /* a function of the scores whose gradient the estimator gives */
    attention_run *run;
    double *chosen; /* (B,Hq,Tq,Tk): 1 at the chosen key; of the unperturbed inputs */
    const att_view *scores;
} surrogate;

static bool query_counts(const attention_run *run, int64_t row)
{
    const attention_case *c = &run->c;
    const uint8_t *mask = run->in.query_mask.data;
    return !mask || mask[row / (c->Hq * c->Tq) * c->Tq + row % c->Tq];
}

/* p = softmax of the row; returns how many keys it sees. */
static int64_t probabilities(const surrogate *s, int64_t row, double *p)
{
    int64_t n = s->run->c.Tk, seen = 0;
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) top = fmax(top, attention_get(s->scores, row * n + j));
    for (int64_t j = 0; j < n; j++) {
        double z = attention_get(s->scores, row * n + j);
        seen += !isinf(z);
        p[j] = isinf(z) ? 0 : exp(z - top);
        sum += p[j];
    }
    for (int64_t j = 0; seen && j < n; j++) p[j] /= sum;
    return seen;
}

/* Straight-through: sum of d_o . (p v), as if p had been the weights. */
static double mixed(const surrogate *s, int64_t row, const double *p)
{
    const attention_case *c = &s->run->c;
    int64_t kv = row / c->Tq / c->Hq * c->Hkv + row / c->Tq % c->Hq / (c->Hq / c->Hkv);
    double sum = 0;
    for (int64_t j = 0; j < c->Tk; j++)
        for (int64_t d = 0; d < c->Dv; d++)
            sum += p[j] * attention_get(&s->run->in.v, (kv * c->Tk + j) * c->Dv + d) *
                   attention_get(&s->run->grad.d_o, row * c->Dv + d);
    return sum;
}

/* REINFORCE: sum of d_log_prob log p(chosen) + d_entropy H(p). */
static double rewarded(const surrogate *s, int64_t row, const double *p)
{
    int64_t n = s->run->c.Tk;
    double to_log = attention_get(&s->run->grad.d_log_prob, row),
           to_entropy = attention_get(&s->run->grad.d_entropy, row);
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        if (p[j] > 0) sum += (to_log * s->chosen[row * n + j] - to_entropy * p[j]) * log(p[j]);
    return sum;
}

static double surrogate_loss(const surrogate *s)
{
    const attention_case *c = &s->run->c;
    double p[16], sum = 0;
    if (c->desc.estimator == ATT_ESTIMATOR_NONE) return 0;
    assert_ok(attention_stage(s->run, ATT_STAGE_MASKED, s->scores));
    for (int64_t row = 0; row < c->B * c->Hq * c->Tq; row++) {
        if (!query_counts(s->run, row) || probabilities(s, row, p) == 0) continue;
        sum += c->desc.estimator == ATT_ESTIMATOR_REINFORCE ? rewarded(s, row, p) : mixed(s, row, p);
    }
    return sum;
}

static void check_input(const surrogate *s, const attention_pair *pair)
{
    const double h = 1e-5;
    for (int64_t i = 0; pair->x.data && i < att_view_count(&pair->x); i++) {
        double at = attention_get(&pair->x, i);
        if (isinf(at)) continue;
        attention_set(&pair->x, i, at + h);
        double up = surrogate_loss(s);
        attention_set(&pair->x, i, at - h);
        double down = surrogate_loss(s);
        attention_set(&pair->x, i, at);
        double want = (up - down) / (2 * h), got = attention_get(&pair->dx, i);
        if (!(fabs(got - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s: %s[%lld] is %.12g, differences give %.12g", s->run->c.name, pair->name, (long long)i, got,
                     want);
    }
}

/* dv_j gathers d_o of the queries that chose j. */
static void check_values(const surrogate *s)
{
    const attention_case *c = &s->run->c;
    int64_t group = c->Hq / c->Hkv;
    for (int64_t e = 0; e < att_view_count(&s->run->grad.dv); e++) {
        int64_t d = e % c->Dv, j = e / c->Dv % c->Tk, kv = e / c->Dv / c->Tk;
        double want = 0;
        for (int64_t g = 0; g < group; g++)
            for (int64_t i = 0; i < c->Tq; i++) {
                int64_t row = (kv / c->Hkv * c->Hq + kv % c->Hkv * group + g) * c->Tq + i;
                if (query_counts(s->run, row))
                    want += s->chosen[row * c->Tk + j] * attention_get(&s->run->grad.d_o, row * c->Dv + d);
            }
        assert_true(fabs(attention_get(&s->run->grad.dv, e) - want) < 1e-12);
    }
}

static void estimators_give_their_surrogates_gradient(void **state)
{
    (void)state;
    for (int n = 0; n < CASES; n++) {
        attention_case c = cases[n];
        c.with |= WITH_WEIGHTS;
        attention_run run, room;
        attention_pair pair[ATTENTION_GRADIENTS];
        suite_run(&run, &c, ATT_F64, NULL);
        attention_create(&room, &c, ATT_F64);
        surrogate s = {&run, attention_values(&run.out.weights), &room.out.weights};
        attention_gradients(&run, pair);
        check_values(&s);
        for (int i = 0; i < ATTENTION_GRADIENTS; i++)
            if (strcmp(pair[i].name, "dv") != 0) check_input(&s, &pair[i]);
        free(s.chosen);
        attention_destroy(&run);
        attention_destroy(&room);
    }
}

/* ---- draws ---- */

/* 4000 queries with the same scores: key j should come about 4000 p_j times. */
static void keys_are_drawn_by_their_probability(void **state)
{
    (void)state;
    const int64_t N = 4000;
    const double score[] = {0, 1, -1, 0.5, -3};
    attention_case c = {"drawn", 1, 1, 1, N, 5, 1, 1, {SAMPLE, .scale = 1, .seed = 9}, WITH_WEIGHTS, 0};
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    attention_fill(&run.in.q, 1);
    double sum = 0, count[5] = {0}, distance = 0;
    for (int j = 0; j < 5; j++) {
        attention_set(&run.in.k, j, score[j]);
        sum += exp(score[j]);
    }
    assert_ok(attention_forward(&run, NULL));
    for (int64_t e = 0; e < 5 * N; e++) count[e % 5] += attention_get(&run.out.weights, e);
    for (int j = 0; j < 5; j++) {
        double want = exp(score[j]) / sum * (double)N;
        distance += (count[j] - want) * (count[j] - want) / want;
    }
    print_message("chi-square of %lld draws, 4 degrees of freedom: %.2f\n", (long long)N, distance);
    assert_true(distance < 18.5); /* 0.1 % of all seeds would be above */
    attention_destroy(&run);
}

/* The draw belongs to (seed, b, h, i, j): queries alone draw what they draw together, another seed draws otherwise. */
static void a_seed_draws_the_same_in_any_tiling(void **state)
{
    (void)state;
    attention_case c = {"tiles", 1, 2, 1, 40, 70, 4, 3, {SAMPLE, .scale = 0.1f, .seed = 9}, WITH_WEIGHTS, 0};
    attention_run run, other;
    attention_create(&run, &c, ATT_F32);
    assert_ok(attention_forward(&run, NULL));
    attention_create(&other, &c, ATT_F32);
    assert_ok(attention_forward(&other, &(att_exec){.threads = 8}));
    suite_same(&run, &other, "threads");
    other.c.desc.seed = 10;
    assert_ok(attention_forward(&other, NULL));
    int64_t same = 0;
    for (int64_t e = 0; e < att_view_count(&run.out.weights); e++)
        same += attention_get(&run.out.weights, e) != 0 && attention_get(&other.out.weights, e) != 0;
    assert_true(same < 20); /* of 80 */
    attention_destroy(&run);
    attention_destroy(&other);
}

static void the_first_of_equal_scores_is_the_hard_one(void **state)
{
    (void)state;
    attention_case c = {"ties", 1, 1, 1, 3, 5, 2, 1, {.align = ATT_ALIGN_ARGMAX}, WITH_WEIGHTS, 0};
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    attention_fill(&run.in.k, 0);
    assert_ok(attention_forward(&run, NULL));
    for (int64_t e = 0; e < 15; e++) assert_true(attention_get(&run.out.weights, e) == (e % 5 == 0));
    attention_destroy(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimators_give_their_surrogates_gradient),
        cmocka_unit_test(keys_are_drawn_by_their_probability),
        cmocka_unit_test(a_seed_draws_the_same_in_any_tiling),
        cmocka_unit_test(the_first_of_equal_scores_is_the_hard_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
