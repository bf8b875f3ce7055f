#define _GNU_SOURCE
#include "harness.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/parallel.h"

enum { MOST_TILES = 5000 };

typedef struct record {
    atomic_int seen[MOST_TILES];
    int threads;
    atomic_int bad_worker;
    atomic_int busy[16]; /* a worker is one thread: it never runs two tiles at once */
} record;

static void mark(void *ctx, int64_t tile, int worker)
{
    record *r = ctx;
    if (worker < 0 || worker >= r->threads || worker >= 16 || atomic_fetch_add(&r->busy[worker], 1) != 0) {
        atomic_fetch_add(&r->bad_worker, 1);
        return;
    }
    atomic_fetch_add(&r->seen[tile], 1);
    atomic_fetch_sub(&r->busy[worker], 1);
}

static void every_tile_runs_once(void **state)
{
    (void)state;
    static const int64_t tiles[] = {0, 1, 2, 3, 7, 64, MOST_TILES};
    static const int threads[] = {0, 1, 2, 3, 8};
    record *r = malloc(sizeof *r);
    assert_non_null(r);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
        for (size_t n = 0; n < sizeof tiles / sizeof *tiles; n++) {
            memset(r, 0, sizeof *r);
            att_exec exec = {.threads = threads[t]};
            r->threads = att_threads(&exec);
            att_parallel(&exec, tiles[n], mark, r);
            assert_int_equal(r->bad_worker, 0);
            for (int64_t i = 0; i < MOST_TILES; i++) assert_int_equal(r->seen[i], i < tiles[n]);
        }
    free(r);
}

static void no_exec_is_one_thread_in_order(void **state)
{
    (void)state;
    assert_int_equal(att_threads(NULL), 1);
    assert_int_equal(att_threads(&(att_exec){.threads = -4}), 1);
    assert_int_equal(att_threads(&(att_exec){.threads = 5}), 5);
    record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->threads = 1;
    att_parallel(NULL, 100, mark, r);
    assert_int_equal(r->bad_worker, 0);
    for (int i = 0; i < 100; i++) assert_int_equal(r->seen[i], 1);
    free(r);
}

typedef struct nest {
    att_exec exec;
    atomic_int inner, foreign;
} nest;

static _Thread_local int inside; /* set on the thread that runs the outer tile */

static void inner_tile(void *ctx, int64_t tile, int worker)
{
    (void)tile;
    nest *n = ctx;
    atomic_fetch_add(&n->inner, 1);
    if (!inside || worker != 0) atomic_fetch_add(&n->foreign, 1);
}

static void outer_tile(void *ctx, int64_t tile, int worker)
{
    (void)tile, (void)worker;
    nest *n = ctx;
    inside = 1;
    att_parallel(&n->exec, 10, inner_tile, n);
    inside = 0;
}

static void nested_calls_stay_on_their_thread(void **state)
{
    (void)state;
    nest n = {.exec = {.threads = 3}};
    att_parallel(&n.exec, 12, outer_tile, &n);
    assert_int_equal(n.inner, 120);
    assert_int_equal(n.foreign, 0);
}

typedef struct places {
    atomic_int ran;          /* tiles of workers other than the caller */
    atomic_int on_processor; /* of these, where the thread may run on `processor` */
    int processor;
} places;

static void note_place(void *ctx, int64_t tile, int worker)
{
    (void)tile;
    places *p = ctx;
    cpu_set_t set;
    usleep(200); /* or the caller runs them all */
    if (worker == 0 || sched_getaffinity(0, sizeof set, &set) != 0) return;
    atomic_fetch_add(&p->ran, 1);
    if (CPU_ISSET(p->processor, &set)) atomic_fetch_add(&p->on_processor, 1);
}

/* Were the caller moved in between, another try tells. */
static void workers_leave_the_callers_processor(void **state)
{
    (void)state;
    cpu_set_t mine, after;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    if (CPU_COUNT(&mine) < 2) skip();
    att_exec exec = {.threads = 3};
    int wrong = 1, ran = 0;
    for (int tries = 0; tries < 20 && (wrong > 0 || ran == 0); tries++) {
        places p = {.processor = sched_getcpu()};
        att_parallel(&exec, 60, note_place, &p);
        wrong = p.on_processor, ran = p.ran;
    }
    assert_true(ran > 0);
    assert_int_equal(wrong, 0);
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&mine, &after)); /* the caller itself stays free */
}

static void processors_are_counted(void **state)
{
    (void)state;
    assert_true(att_cpu_count() >= 1);
    assert_true(att_cpu_count() <= 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_runs_once),
        cmocka_unit_test(no_exec_is_one_thread_in_order),
        cmocka_unit_test(nested_calls_stay_on_their_thread),
        cmocka_unit_test(workers_leave_the_callers_processor),
        cmocka_unit_test(processors_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
