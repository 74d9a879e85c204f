/*
 * thread_pool.c - a fork-join pool with one job at a time.
 *
 * Leaves to others: what a slice means, and queues of jobs (there is none). The idea: the caller
 * publishes a job and bumps `generation`; a worker that sees a new generation runs its slice and
 * counts `pending` down. Both sides first spin, since the gap between two matrix products is a few
 * microseconds, and sleep when that was in vain. How long a thread spins adapts: a wait that ended
 * in sleep halves its budget, so on an oversubscribed machine the spinning dies out; now and then
 * a wait spins to the limit, and when that succeeds the budget becomes what was needed.
 *
 * Sleep without lost wake-ups: a sleeper announces itself (sequentially consistent), then looks
 * again; a waker changes the state (sequentially consistent), then looks for sleepers. One of the
 * two sees the other.
 */
#include "engine/base/thread_pool.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 256u
#define SPIN_MIN    32u
#define SPIN_MAX    4096u /* pauses, about 40 ns each: some 160 us */
#define SPIN_PROBE  64u   /* every so many waits spin to the limit */
#define LINE_BYTES  64u

/* How long one thread spins before it sleeps. */
struct patience {
    uint32_t budget; /* pauses, SPIN_MIN .. SPIN_MAX */
    uint32_t waits;  /* so far */
};

struct worker {
    struct ryz_thread_pool *pool;
    pthread_t thread;
    size_t index; /* 1 .. threads - 1 */
};

/* What threads spin on stands apart from what they only read. */
struct ryz_thread_pool { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    _Alignas(LINE_BYTES) _Atomic uint32_t generation; /* one more for each job */
    _Alignas(LINE_BYTES) _Atomic uint32_t pending;    /* workers that have not finished the job */
    _Alignas(LINE_BYTES) _Atomic uint32_t sleepers;   /* workers asleep or about to be */
    _Atomic uint32_t caller_sleeps;                   /* 1: the caller is or will be asleep */

    /* The job: written by the caller before it bumps `generation`, read by workers after. */
    _Alignas(LINE_BYTES) ryz_pool_task task;
    void *context;
    size_t count, grain;
    struct worker *workers;
    uint32_t threads;
    struct patience caller; /* touched by the caller only */
    bool stop;

    pthread_mutex_t lock; /* guards nothing but the two conditions; held for no callback */
    pthread_cond_t work;  /* generation has changed */
    pthread_cond_t done;  /* pending is 0 */
};

#if defined(__x86_64__) || defined(__i386__)
static inline void pause_cpu(void)
{
    __builtin_ia32_pause();
}
#elif defined(__aarch64__)
static inline void pause_cpu(void)
{
    __asm__ __volatile__("yield");
}
#else
static inline void pause_cpu(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}
#endif

/* Spins until *word is (until_equal) or is not (!until_equal) `value`; true if that came about.
 * Adapts the patience as the head of the file says. */
static bool spin(_Atomic uint32_t *word, uint32_t value, bool until_equal,
                 struct patience *patience)
{
    bool probe = ++patience->waits % SPIN_PROBE == 0;
    uint32_t limit = probe ? SPIN_MAX : patience->budget;
    for (uint32_t i = 0; i < limit; i++) {
        if ((ryz_load_acquire(word) == value) == until_equal) {
            /* Twice what was needed, approached slowly from above. */
            uint32_t wanted = 2 * i + SPIN_MIN;
            uint32_t decayed = patience->budget - patience->budget / 16;
            patience->budget = wanted > decayed ? wanted : decayed;
            if (patience->budget > SPIN_MAX) patience->budget = SPIN_MAX;
            return true;
        }
        pause_cpu();
    }
    if (patience->budget > SPIN_MIN) patience->budget /= 2;
    return false;
}

static void await_job(struct ryz_thread_pool *pool, uint32_t seen, struct patience *patience)
{
    if (spin(&pool->generation, seen, false, patience)) return;
    (void)pthread_mutex_lock(&pool->lock);
    (void)atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        (void)pthread_cond_wait(&pool->work, &pool->lock);
    (void)atomic_fetch_sub(&pool->sleepers, 1);
    (void)pthread_mutex_unlock(&pool->lock);
}

static void publish_job(struct ryz_thread_pool *pool)
{
    ryz_store_relaxed(&pool->pending, pool->threads - 1);
    (void)atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) > 0) {
        (void)pthread_mutex_lock(&pool->lock);
        (void)pthread_cond_broadcast(&pool->work);
        (void)pthread_mutex_unlock(&pool->lock);
    }
}

static void finish_slice(struct ryz_thread_pool *pool)
{
    if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->caller_sleeps) != 0) {
        (void)pthread_mutex_lock(&pool->lock);
        (void)pthread_cond_signal(&pool->done);
        (void)pthread_mutex_unlock(&pool->lock);
    }
}

static void await_slices(struct ryz_thread_pool *pool)
{
    if (spin(&pool->pending, 0, true, &pool->caller)) return;
    (void)pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, 1);
    while (atomic_load(&pool->pending) != 0) (void)pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->caller_sleeps, 0);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* First index of the slice of `worker`; that of worker `threads` is the end of the range. */
static size_t slice_begin(const struct ryz_thread_pool *pool, size_t worker)
{
    size_t units = pool->count / pool->grain + (pool->count % pool->grain != 0);
    size_t each = units / pool->threads, extra = units % pool->threads;
    size_t unit = worker * each + (worker < extra ? worker : extra);
    return unit > pool->count / pool->grain ? pool->count : unit * pool->grain;
}

static void run_slice(struct ryz_thread_pool *pool, size_t worker)
{
    pool->task(pool->context, worker, slice_begin(pool, worker), slice_begin(pool, worker + 1));
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ryz_thread_pool *pool = worker->pool;
    struct patience patience = {.budget = SPIN_MAX};
    /* Generations count jobs and every job waits for every worker, so none is missed. */
    for (uint32_t seen = 0;; seen++) {
        await_job(pool, seen, &patience);
        if (pool->stop) return NULL;
        run_slice(pool, worker->index);
        finish_slice(pool);
    }
}

/* Stops and joins workers 1 .. started. */
static void stop_workers(struct ryz_thread_pool *pool, uint32_t started)
{
    pool->stop = true;
    publish_job(pool);
    for (uint32_t i = 0; i < started; i++) (void)pthread_join(pool->workers[i].thread, NULL);
}

static void free_pool(struct ryz_thread_pool *pool)
{
    (void)pthread_cond_destroy(&pool->done);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

enum ryz_status ryz_thread_pool_open(uint32_t threads, struct ryz_thread_pool **out,
                                     struct ryz_error *error)
{
    *out = NULL;
    if (threads < 1 || threads > THREADS_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u threads; 1 to %u are possible", threads,
                        THREADS_MAX);
    struct ryz_thread_pool *pool = aligned_alloc(LINE_BYTES, sizeof *pool);
    if (pool == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a thread pool");
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->caller.budget = SPIN_MAX;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->done, NULL);
    pool->workers = calloc(threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        free_pool(pool);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u workers", threads);
    }
    for (uint32_t i = 0; i + 1 < threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = (size_t)i + 1;
        int rc = pthread_create(&worker->thread, NULL, work, worker);
        if (rc != 0) {
            stop_workers(pool, i);
            free_pool(pool);
            return ryz_fail_errno(error, RYZ_NO_MEMORY, rc, "cannot start thread %u of %u", i + 2,
                                  threads);
        }
    }
    *out = pool;
    return RYZ_OK;
}

void ryz_thread_pool_close(struct ryz_thread_pool *pool)
{
    if (pool == NULL) return;
    stop_workers(pool, pool->threads - 1);
    free_pool(pool);
}

uint32_t ryz_thread_pool_threads(const struct ryz_thread_pool *pool)
{
    return pool->threads;
}

void ryz_thread_pool_run(struct ryz_thread_pool *pool, size_t count, size_t grain,
                         ryz_pool_task task, void *context)
{
    RYZ_ASSERT(grain >= 1);
    RYZ_ASSERT(task != NULL);
    if (pool->threads == 1) {
        task(context, 0, 0, count);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->count = count;
    pool->grain = grain;
    publish_job(pool);
    run_slice(pool, 0);
    await_slices(pool);
}

uint32_t ryz_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}
