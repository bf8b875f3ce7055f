/* Times products of the shapes that training and inference use: bench.product [threads [isa [runs]]].
 * One line a shape: best of the runs in GFLOP/s for b as it is, b packed beforehand and, if built in, CBLAS; last the
 * limit, a loop of independent multiply-adds timed after each shape, times the threads, and the share of it. */
#include <attend/product.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(HAVE_BLAS)
#include <cblas.h>
void openblas_set_num_threads(int n);
#endif

typedef struct shape {
    int64_t M, N, K;
    int transpose_a, transpose_b;
} shape;

static const shape shapes[] = {
    {64, 768, 256, 0, 0},   {64, 768, 768, 0, 0},    {64, 256, 768, 0, 1},   {64, 5000, 256, 0, 0},
    {1024, 768, 256, 0, 0}, {1024, 5000, 256, 0, 0}, {256, 768, 1024, 1, 0}, {64, 2048, 512, 0, 0},
    {512, 512, 512, 0, 0},  {512, 512, 512, 0, 1},   {1, 4096, 4096, 0, 0},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(att_status status)
{
    if (status == ATT_OK) return;
    fprintf(stderr, "bench.product: %s\n", att_last_error());
    exit(1);
}

static void *memory(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(1);
    memset(p, 0, bytes);
    return p;
}

static float *numbers(int64_t n)
{
    float *p = memory((size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = (float)((i * 2654435761) % 1000) * 0.001f - 0.5f;
    return p;
}

typedef struct job {
    const shape *s;
    att_exec exec;
    att_view a, b, c;
    att_packed packed;
    att_span workspace;
} job;

static void run_plain(job *j)
{
    must(att_product(NULL, &j->exec, &j->c, &j->a, &j->b, NULL, j->workspace));
}

static void run_packed(job *j)
{
    must(att_product_packed(NULL, &j->exec, &j->c, &j->a, &j->packed, NULL, j->workspace));
}

#if defined(HAVE_BLAS)
static void run_blas(job *j)
{
    const shape *s = j->s;
    cblas_sgemm(CblasRowMajor, s->transpose_a ? CblasTrans : CblasNoTrans, s->transpose_b ? CblasTrans : CblasNoTrans,
                (int)s->M, (int)s->N, (int)s->K, 1.0f, j->a.data, (int)(s->transpose_a ? s->M : s->K), j->b.data,
                (int)(s->transpose_b ? s->K : s->N), 0.0f, j->c.data, (int)s->N);
}
#endif

/* GFLOP/s of the fastest of `runs` spans of calls, each span at least 2 ms long. */
static double best(job *j, void (*run)(job *), int runs)
{
    double flops = 2.0 * (double)j->s->M * (double)j->s->N * (double)j->s->K, fastest = 1e30;
    int calls = (int)(2e8 / flops) + 1;
    run(j);
    for (int r = 0; r < runs; r++) {
        double start = now();
        for (int i = 0; i < calls; i++) run(j);
        double each = (now() - start) / calls;
        fastest = each < fastest ? each : fastest;
    }
    return flops / fastest * 1e-9;
}

static att_view operand(int64_t rows, int64_t cols, int transpose)
{
    att_view v = transpose ? att_view_2d(NULL, ATT_F32, cols, rows) : att_view_2d(NULL, ATT_F32, rows, cols);
    v.data = numbers(rows * cols);
    return transpose ? att_view_transpose(&v, 0, 1) : v;
}

/* GFLOP/s of one thread on independent multiply-adds in registers: the limit. */
#define LIMIT_SUMS 12
#define LIMIT_RUN  (1 << 18)

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float limit_avx512(void)
{
    __m512 sum[LIMIT_SUMS], x = _mm512_set1_ps(0.999f);
    for (int i = 0; i < LIMIT_SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < LIMIT_RUN; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < LIMIT_SUMS; i++) sum[i] = _mm512_fmadd_ps(sum[i], x, x);
    }
    for (int i = 1; i < LIMIT_SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_reduce_add_ps(sum[0]);
}

__attribute__((target("avx2,fma"))) static float limit_avx2(void)
{
    __m256 sum[LIMIT_SUMS], x = _mm256_set1_ps(0.999f);
    for (int i = 0; i < LIMIT_SUMS; i++) sum[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < LIMIT_RUN; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < LIMIT_SUMS; i++) sum[i] = _mm256_fmadd_ps(sum[i], x, x);
    }
    for (int i = 1; i < LIMIT_SUMS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}
#endif

typedef float four __attribute__((vector_size(16)));

static float limit_portable(void)
{
    four sum[LIMIT_SUMS], x = {0.999f, 0.999f, 0.999f, 0.999f};
    for (int i = 0; i < LIMIT_SUMS; i++) sum[i] = x * (float)i;
    for (int r = 0; r < LIMIT_RUN; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < LIMIT_SUMS; i++) sum[i] = sum[i] * x + x;
    }
    for (int i = 1; i < LIMIT_SUMS; i++) sum[0] += sum[i];
    return sum[0][0];
}

static double limit(att_isa isa, int runs)
{
    float (*loop)(void) = limit_portable;
    int lanes = 4;
    if (isa == ATT_ISA_BEST || isa > att_isa_detect()) isa = att_isa_detect();
#if defined(__x86_64__)
    if (isa == ATT_ISA_AVX512) loop = limit_avx512, lanes = 16;
    if (isa == ATT_ISA_AVX2) loop = limit_avx2, lanes = 8;
#endif
    double fastest = 1e30;
    volatile float keep = loop();
    for (int r = 0; r < runs; r++) {
        double start = now();
        keep = loop();
        double each = now() - start;
        fastest = each < fastest ? each : fastest;
    }
    (void)keep;
    return 2.0 * lanes * LIMIT_SUMS * LIMIT_RUN / fastest * 1e-9;
}

static void time_shape(const shape *s, att_exec exec, int runs)
{
    job j = {.s = s, .exec = exec};
    j.a = operand(s->M, s->K, s->transpose_a);
    j.b = operand(s->K, s->N, s->transpose_b);
    j.c = operand(s->M, s->N, 0);
    must(att_product_workspace(&exec, s->M, s->N, s->K, &j.workspace.bytes));
    j.workspace.data = memory(j.workspace.bytes);
    att_span span = {.bytes = att_product_pack_bytes(&exec, s->K, s->N)};
    span.data = memory(span.bytes);
    must(att_product_pack(&exec, &j.packed, &j.b, span));
    double plain = best(&j, run_plain, runs), packed = best(&j, run_packed, runs), top = limit(exec.isa, runs / 2 + 1);
    top *= exec.threads > 1 ? exec.threads : 1;
    printf("%5d x %5d x %5d %s%s  plain %7.1f  packed %7.1f", (int)s->M, (int)s->N, (int)s->K,
           s->transpose_a ? "a^T" : "   ", s->transpose_b ? " b^T" : "    ", plain, packed);
#if defined(HAVE_BLAS)
    openblas_set_num_threads(exec.threads);
    printf("  blas %7.1f", best(&j, run_blas, runs));
#endif
    printf("  limit %6.1f  share %3.0f %% / %3.0f %%\n", top, 100 * plain / top, 100 * packed / top);
    free(j.a.data), free(j.b.data), free(j.c.data), free(span.data), free(j.workspace.data);
}

int main(int argc, char **argv)
{
    att_exec exec = {.threads = argc > 1 ? atoi(argv[1]) : 1};
    int runs = argc > 3 ? atoi(argv[3]) : 30;
    if (argc > 2) must(att_isa_parse(argv[2], &exec.isa));
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) time_shape(&shapes[i], exec, runs);
    return 0;
}
