/* A pool of sleeping workers. The caller publishes a job, everybody claims tiles from one counter, and the caller waits
 * for the claimed tiles only, never for a worker that has not woken up: on a machine that is busy with other work a job
 * costs what the processors that are free make of it. (A team of OpenMP waits for every member at every barrier.) */
#define _GNU_SOURCE
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define MOST_WORKERS 1023
#define IDLE_SPINS   4000 /* looks at the counter before a worker sleeps: some tens of microseconds */
#define NO_TILE      UINT32_MAX
#define WAIT_SPINS   2000 /* before the caller lets others run while the last tiles finish */
#define MOST_TOLD    15   /* workers that are told where not to run: among more, one processor counts for little */

typedef void tile_fn(void *ctx, int64_t tile, int worker);

/* The job. Its fields change only while no tile of it can be claimed: `state` holds the job's number in the upper half
 * and the next tile in the lower one, so a claim that succeeds proves that the fields read before it are this job's. */
static struct {
    _Atomic(tile_fn *) fn;
    _Atomic(void *) ctx;
    atomic_uint tiles, threads;
    atomic_ullong state;
    atomic_uint done; /* finished tiles */
} job;

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER; /* held by the caller of the running job */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;  /* guards sleeping */
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static atomic_int sleeping;
static int workers; /* started so far; changed by the owner only */
static pthread_t told[MOST_TOLD];
static int left_processor = -1; /* the one that the workers have been told not to run on */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool inside; /* this thread is running a tile */

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Claim and run tiles of the job that `state` shows until none is left. */
static void work(int worker)
{
    for (;;) {
        unsigned long long seen = atomic_load(&job.state);
        unsigned tile = (unsigned)seen, tiles = atomic_load(&job.tiles);
        tile_fn *fn = atomic_load(&job.fn);
        void *ctx = atomic_load(&job.ctx);
        if (tile >= tiles || (unsigned)worker >= atomic_load(&job.threads)) return;
        if (!atomic_compare_exchange_weak(&job.state, &seen, seen + 1)) continue;
        fn(ctx, tile, worker);
        atomic_fetch_add(&job.done, 1);
    }
}

static void sleep_until_new(unsigned number)
{
    pthread_mutex_lock(&gate);
    atomic_fetch_add(&sleeping, 1);
    while ((unsigned)(atomic_load(&job.state) >> 32) == number) pthread_cond_wait(&bell, &gate);
    atomic_fetch_sub(&sleeping, 1);
    pthread_mutex_unlock(&gate);
}

static void *worker_main(void *arg)
{
    int worker = (int)(intptr_t)arg;
    unsigned number = 0;
    inside = true;
    for (;;) {
        for (int i = 0; i < IDLE_SPINS && (unsigned)(atomic_load(&job.state) >> 32) == number; i++) pause_cpu();
        if ((unsigned)(atomic_load(&job.state) >> 32) == number) sleep_until_new(number);
        number = (unsigned)(atomic_load(&job.state) >> 32);
        work(worker);
    }
    return NULL;
}

/* A forked child has the memory of the pool but none of its threads. */
static void forget_workers(void)
{
    workers = 0;
    left_processor = -1;
    atomic_store(&sleeping, 0);
    owner = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    gate = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    bell = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_workers);
}

/* Fewer workers than wanted is no error: the tiles are run by those there are. */
static void start_workers(int wanted)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_once(&once, watch_forks);
    if (pthread_attr_init(&attributes) != 0) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (workers < wanted &&
           pthread_create(&thread, &attributes, worker_main, (void *)(intptr_t)(workers + 1)) == 0) {
        if (workers < MOST_TOLD) told[workers] = thread;
        workers++;
        left_processor = -1;
    }
    pthread_attr_destroy(&attributes);
}

/* Workers keep to the other processors the caller may use. A scheduler that wakes a worker on the caller's own, as that
 * of a virtual machine likes to, leaves it waiting there for milliseconds, longer than most jobs last. */
static void leave_my_processor(void)
{
    int processor = sched_getcpu();
    if (processor == left_processor || processor < 0 || processor >= CPU_SETSIZE || workers > MOST_TOLD) return;
    left_processor = processor;
    cpu_set_t others;
    if (sched_getaffinity(0, sizeof others, &others) != 0 || CPU_COUNT(&others) < 2) return;
    CPU_CLR(processor, &others);
    for (int i = 0; i < workers; i++) pthread_setaffinity_np(told[i], sizeof others, &others);
}

static void publish(tile_fn *fn, void *ctx, unsigned tiles, unsigned threads)
{
    unsigned long long number = (atomic_load(&job.state) >> 32) + 1;
    atomic_store(&job.state, (number - 1) << 32 | NO_TILE); /* a late claim of the old job fails from here on */
    atomic_store(&job.fn, fn);
    atomic_store(&job.ctx, ctx);
    atomic_store(&job.tiles, tiles);
    atomic_store(&job.threads, threads);
    atomic_store(&job.done, 0);
    atomic_store(&job.state, number << 32);
    if (atomic_load(&sleeping) == 0) return;
    pthread_mutex_lock(&gate);
    pthread_cond_broadcast(&bell);
    pthread_mutex_unlock(&gate);
}

static void run_here(int64_t tiles, tile_fn *fn, void *ctx)
{
    bool was_inside = inside;
    inside = true;
    for (int64_t i = 0; i < tiles; i++) fn(ctx, i, 0);
    inside = was_inside;
}

void att_parallel(const att_exec *exec, int64_t tiles, tile_fn *fn, void *ctx)
{
    int threads = att_threads(exec);
    if (threads > MOST_WORKERS + 1) threads = MOST_WORKERS + 1;
    if (threads > tiles) threads = (int)tiles;
    if (threads <= 1 || inside || tiles >= NO_TILE || pthread_mutex_trylock(&owner) != 0) {
        run_here(tiles, fn, ctx); /* also when another thread of the program has the pool */
        return;
    }
    start_workers(threads - 1);
    leave_my_processor();
    publish(fn, ctx, (unsigned)tiles, (unsigned)threads);
    inside = true;
    work(0);
    inside = false;
    for (int spins = 0; atomic_load(&job.done) < (unsigned)tiles; spins++) {
        if (spins < WAIT_SPINS)
            pause_cpu();
        else
            sched_yield();
    }
    pthread_mutex_unlock(&owner);
}

int att_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
