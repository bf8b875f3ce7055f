/* How fast attention runs, per instruction set: bench_attention SCORE B H Tq Tk D [runs]. Prints the fastest and the
 * median time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <attend/attention.h>
#include <attend/random.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static att_view tensor(int64_t B, int64_t H, int64_t T, int64_t D, uint64_t seed)
{
    size_t n = (size_t)(B * H * T * D);
    float *p = aligned_alloc(64, (n * sizeof *p + 63) / 64 * 64);
    att_random r = {.seed = seed};
    for (size_t i = 0; i < n; i++) p[i] = seed ? (float)(2 * att_random_uniform(&r) - 1) : 0;
    return att_view_4d(p, ATT_F32, B, H, T, D);
}

typedef struct problem {
    att_attention_desc desc;
    att_exec exec;
    att_attention_in in;
    att_attention_out out;
    att_attention_grad grad;
    att_span workspace;
} problem;

static void forward(const problem *p)
{
    if (att_attention_forward(&p->desc, &p->exec, &p->out, &p->in, p->workspace) != ATT_OK) puts(att_last_error());
}

static void backward(const problem *p)
{
    if (att_attention_backward(&p->desc, &p->exec, &p->grad, &p->out, &p->in, p->workspace) != ATT_OK)
        puts(att_last_error());
}

static void measure(const char *what, void (*fn)(const problem *), const problem *p, int runs, double elements)
{
    double ms[1000];
    fn(p);
    for (int i = 0; i < runs; i++) {
        double start = now_ms();
        fn(p);
        ms[i] = now_ms() - start;
    }
    qsort(ms, (size_t)runs, sizeof *ms, ascending);
    printf("%-20s %-9s best %9.4f ms  median %9.4f ms  %7.3f G elements/s\n",
           att_attention_path(&p->desc, &p->exec, &p->in), what, ms[0], ms[runs / 2], elements / ms[runs / 2] * 1e-6);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: bench_attention additive|dot B H Tq Tk D [runs] [threads] [causal|prepared|far]\n");
        return 2;
    }
    int64_t n[5];
    for (int i = 0; i < 5; i++) n[i] = atoll(argv[2 + i]);
    int runs = argc > 7 ? atoi(argv[7]) : 20, threads = argc > 8 ? atoi(argv[8]) : 1;
    if (runs < 1 || runs > 1000) runs = 20;
    problem p = {.exec = {.threads = threads}};
    if (strcmp(argv[1], "additive") == 0) p.desc.score = ATT_SCORE_ADDITIVE;
    if (argc > 9 && strcmp(argv[9], "causal") == 0) p.desc.window = ATT_WINDOW_CAUSAL;
    p.in.q = tensor(n[0], n[1], n[2], n[4], 1);
    p.in.k = tensor(n[0], n[1], n[3], n[4], 2);
    p.in.v = tensor(n[0], n[1], n[3], n[4], 3);
    p.out.o = tensor(n[0], n[1], n[2], n[4], 0);
    p.out.lse = att_view_3d(tensor(n[0], n[1], n[2], 1, 0).data, ATT_F32, n[0], n[1], n[2]);
    p.grad = (att_attention_grad){.d_o = tensor(n[0], n[1], n[2], n[4], 4),
                                  .dq = tensor(n[0], n[1], n[2], n[4], 0),
                                  .dk = tensor(n[0], n[1], n[3], n[4], 0),
                                  .dv = tensor(n[0], n[1], n[3], n[4], 0)};
    if (p.desc.score == ATT_SCORE_ADDITIVE) {
        p.in.score_w = att_view_1d(tensor(1, 1, 1, n[4], 5).data, ATT_F32, n[4]);
        p.grad.dscore_w = att_view_1d(tensor(1, 1, 1, n[4], 0).data, ATT_F32, n[4]);
    }
    if (argc > 9 && strcmp(argv[9], "prepared") == 0) {
        p.in.k_prepared = tensor(n[0], n[1], n[3], n[4], 0);
        if (att_attention_prepare_keys(&p.exec, &p.in.k_prepared, &p.in.k) != ATT_OK) puts(att_last_error());
    }
    if (argc > 9 && strcmp(argv[9], "far") == 0) /* beyond the reach of e^(2q): every score by tanh(q + k) */
        for (int64_t row = 0; row < n[0] * n[1] * n[2]; row++) ((float *)p.in.q.data)[row * n[4]] = 100;
    double elements = (double)(n[0] * n[1]) * (double)n[2] * (double)n[3] * (double)n[4];
    for (att_isa isa = att_isa_detect(); isa >= ATT_ISA_PORTABLE; isa--) {
        p.exec.isa = isa;
        if (att_attention_workspace(&p.desc, &p.exec, &p.in, &p.workspace.bytes) != ATT_OK) puts(att_last_error());
        p.workspace.data = aligned_alloc(64, (p.workspace.bytes + 63) / 64 * 64);
        measure("forward", forward, &p, runs, elements);
        measure("backward", backward, &p, runs, elements);
        free(p.workspace.data);
    }
    return 0;
}
