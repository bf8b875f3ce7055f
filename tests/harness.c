#define _GNU_SOURCE
#include "harness.h"

#include <sys/mman.h>
#include <unistd.h>

static size_t page_rounded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

void *guard_alloc(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = page_rounded(bytes);
    char *base = mmap(NULL, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) fail_msg("no memory for %zu bytes", bytes);
    if (mprotect(base + body, page, PROT_NONE) != 0) fail_msg("mprotect failed");
    return base + body - bytes;
}

void guard_free(void *p, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = page_rounded(bytes);
    if (p) munmap((char *)p + bytes - body, body + page);
}

void fill_f32(float *p, int64_t n, uint64_t seed, float scale)
{
    att_random r = {.seed = seed};
    for (int64_t i = 0; i < n; i++) p[i] = scale * (float)(2.0 * att_random_uniform(&r) - 1.0);
}

void fill_f64(double *p, int64_t n, uint64_t seed, double scale)
{
    att_random r = {.seed = seed};
    for (int64_t i = 0; i < n; i++) p[i] = (double)((float)scale * (float)(2.0 * att_random_uniform(&r) - 1.0));
}

int all_within(const float *got, const double *want, const float *plain, int64_t n, double eps, const char *what)
{
    double worst = 0.0;
    for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)plain[i] - want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2.0 * worst + eps)) {
            print_error("%s: element %lld is %.9g, expected %.9g (reference error %.3g, eps %.3g)\n", what,
                        (long long)i, (double)got[i], want[i], worst, eps);
            return 0;
        }
    return 1;
}

const char *scratch_folder(void)
{
    return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

int testable_isas(att_isa isa[8])
{
    int n = 0;
    for (int i = ATT_ISA_REF; i <= (int)att_isa_detect(); i++) isa[n++] = (att_isa)i;
    return n;
}
