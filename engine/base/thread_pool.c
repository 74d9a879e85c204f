/*
 * thread_pool.c - a fork-join pool with one job at a time.
 *
 * Leaves to others: what a slice means, and queues of jobs (there is none). The idea: each thread
 * owns one contiguous slice of the range (the same rows of a matrix every time: they stay in its
 * cache) and takes it in a few bites; who is done takes bites of the others. So a worker that
 * sleeps, or whose core the kernel gave to somebody else, holds nobody up: the caller does its
 * part.
 *
 * `gate` orders all of it: a bit that says a job is open, its number, and how many workers are
 * inside. A worker enters with compare-and-swap while the bit is set; the caller clears the bit
 * when no bite is left, waits until nobody is inside, and only then changes the job.
 *
 * Workers spin between two jobs, since the gap between two matrix products is a few microseconds,
 * and sleep when that was in vain. Sleep without lost wake-ups: a sleeper announces itself
 * (sequentially consistent), then looks again; a waker changes the gate (sequentially consistent),
 * then looks for sleepers. One of the two sees the other.
 */
#include "engine/base/thread_pool.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 256u
#define SPINS       4096u /* pauses before a thread sleeps: some 100 us */
#define BITES       4u    /* of a slice */
#define LINE_BYTES  64u
#define GATE_OPEN   0x80000000u
#define GATE_INSIDE 0x0000FFFFu /* workers that take bites */
#define GATE_JOB    0x00010000u /* one job more; its number has 15 bits */

struct worker {
    /* Its slice, in grains, and how many bites of it are taken. Others take from it too. */
    _Alignas(LINE_BYTES) _Atomic uint32_t taken;
    size_t begin, end, bite;
    struct ryz_thread_pool *pool;
    pthread_t thread;
    size_t index; /* 0: the caller */
};

/* What threads spin on stands apart from what they only read. */
struct ryz_thread_pool { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    _Alignas(LINE_BYTES) _Atomic uint32_t gate;
    _Alignas(LINE_BYTES) _Atomic uint32_t sleepers; /* workers asleep or about to be */
    _Atomic uint32_t woken;                         /* a wake-up is under way */
    _Atomic uint32_t caller_sleeps;                 /* 1: the caller is or will be asleep */
    _Atomic uint32_t stop;

    /* The job: changed by the caller while nobody is inside. */
    _Alignas(LINE_BYTES) ryz_pool_task task;
    void *context;
    size_t count, grain;
    struct worker *workers; /* (threads) */
    uint32_t threads;

    pthread_mutex_t lock; /* guards nothing but the two conditions; held for no callback */
    pthread_cond_t work;  /* a job is open, or the pool stops */
    pthread_cond_t done;  /* nobody is inside */
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

/* Is there a job that a worker has not been to? `seen`: the number of its last one. */
static bool is_new(uint32_t gate, uint32_t seen)
{
    return (gate & GATE_OPEN) != 0 && (gate & ~(GATE_OPEN | GATE_INSIDE)) != seen;
}

/* Spins until there is a job for the worker, or the pool stops; false if that was in vain. */
static bool spin(struct ryz_thread_pool *pool, uint32_t seen)
{
    for (uint32_t i = 0; i < SPINS; i++) {
        if (is_new(ryz_load_acquire(&pool->gate), seen)) return true;
        if (ryz_load_relaxed(&pool->stop) != 0) return true;
        pause_cpu();
    }
    return false;
}

/* Sleeps until somebody wakes the workers. */
static void sleep_once(struct ryz_thread_pool *pool, uint32_t seen)
{
    (void)pthread_mutex_lock(&pool->lock);
    (void)atomic_fetch_add(&pool->sleepers, 1);
    if (!is_new(atomic_load(&pool->gate), seen) && ryz_load_relaxed(&pool->stop) == 0)
        (void)pthread_cond_wait(&pool->work, &pool->lock);
    (void)atomic_fetch_sub(&pool->sleepers, 1);
    ryz_store_relaxed(&pool->woken, 0);
    (void)pthread_mutex_unlock(&pool->lock);
}

static void wake_workers(struct ryz_thread_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    if (ryz_load_relaxed(&pool->sleepers) > 0) {
        ryz_store_relaxed(&pool->woken, 1);
        (void)pthread_cond_broadcast(&pool->work);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static void open_job(struct ryz_thread_pool *pool)
{
    uint32_t number = (ryz_load_relaxed(&pool->gate) + GATE_JOB) & ~(GATE_OPEN | GATE_INSIDE);
    atomic_store(&pool->gate, GATE_OPEN | number);
    /* One call to the kernel for each sleep: until a worker is up, the caller works alone. */
    if (atomic_load(&pool->sleepers) > 0 && ryz_load_relaxed(&pool->woken) == 0) wake_workers(pool);
}

/* Joins the open job; false if it was closed meanwhile. *seen becomes its number. */
static bool enter(struct ryz_thread_pool *pool, uint32_t *seen)
{
    uint32_t gate = ryz_load_acquire(&pool->gate);
    while ((gate & GATE_OPEN) != 0)
        if (ryz_cas_acq_rel(&pool->gate, &gate, gate + 1)) {
            *seen = gate & ~(GATE_OPEN | GATE_INSIDE);
            return true;
        }
    return false;
}

static void leave(struct ryz_thread_pool *pool)
{
    uint32_t gate = atomic_fetch_sub(&pool->gate, 1) - 1;
    if ((gate & (GATE_OPEN | GATE_INSIDE)) == 0 && atomic_load(&pool->caller_sleeps) != 0) {
        (void)pthread_mutex_lock(&pool->lock);
        (void)pthread_cond_signal(&pool->done);
        (void)pthread_mutex_unlock(&pool->lock);
    }
}

/* Closes the job and waits for the bites that others have in hand. */
static void close_job(struct ryz_thread_pool *pool)
{
    uint32_t gate = atomic_fetch_and(&pool->gate, ~GATE_OPEN);
    for (uint32_t i = 0; i < SPINS && (gate & GATE_INSIDE) != 0; i++) {
        pause_cpu();
        gate = ryz_load_acquire(&pool->gate);
    }
    if ((gate & GATE_INSIDE) == 0) return;
    (void)pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, 1);
    while ((atomic_load(&pool->gate) & GATE_INSIDE) != 0)
        (void)pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->caller_sleeps, 0);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Cuts the range, in grains, into one slice a thread. */
static void cut_slices(struct ryz_thread_pool *pool)
{
    size_t grains = pool->count / pool->grain + (pool->count % pool->grain != 0);
    size_t each = grains / pool->threads, extra = grains % pool->threads, at = 0;
    for (uint32_t i = 0; i < pool->threads; i++) {
        struct worker *worker = &pool->workers[i];
        size_t size = each + (i < extra);
        ryz_store_relaxed(&worker->taken, 0);
        worker->begin = at;
        worker->end = at += size;
        worker->bite = size / BITES + (size % BITES != 0);
    }
}

/* Takes bites of `owner` until none is left. */
static void eat(struct ryz_thread_pool *pool, struct worker *owner, size_t worker)
{
    size_t size = owner->end - owner->begin, whole = pool->count / pool->grain;
    uint32_t bites = size > 0 ? (uint32_t)((size - 1) / owner->bite + 1) : 0;
    while (ryz_load_relaxed(&owner->taken) < bites) {
        uint32_t mine = ryz_add_relaxed(&owner->taken, 1);
        if (mine >= bites) return;
        size_t begin = owner->begin + mine * owner->bite;
        size_t end = owner->end - begin < owner->bite ? owner->end : begin + owner->bite;
        size_t last = end > whole ? pool->count : end * pool->grain;
        pool->task(pool->context, worker, begin * pool->grain, last);
    }
}

static void take_part(struct ryz_thread_pool *pool, size_t worker)
{
    for (uint32_t i = 0; i < pool->threads; i++)
        eat(pool, &pool->workers[(worker + i) % pool->threads], worker);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ryz_thread_pool *pool = worker->pool;
    uint32_t seen = 0;
    while (ryz_load_relaxed(&pool->stop) == 0) {
        if (!spin(pool, seen)) {
            sleep_once(pool, seen);
        } else if (enter(pool, &seen)) {
            take_part(pool, worker->index);
            leave(pool);
        }
    }
    return NULL;
}

/* Stops and joins workers 1 .. started. */
static void stop_workers(struct ryz_thread_pool *pool, uint32_t started)
{
    ryz_store_relaxed(&pool->stop, 1);
    wake_workers(pool);
    for (uint32_t i = 1; i <= started; i++) (void)pthread_join(pool->workers[i].thread, NULL);
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
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->done, NULL);
    pool->workers = aligned_alloc(LINE_BYTES, threads * sizeof *pool->workers);
    if (pool->workers == NULL) {
        free_pool(pool);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u workers", threads);
    }
    memset(pool->workers, 0, threads * sizeof *pool->workers);
    for (uint32_t i = 1; i < threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        int rc = pthread_create(&worker->thread, NULL, work, worker);
        if (rc != 0) {
            stop_workers(pool, i - 1);
            free_pool(pool);
            return ryz_fail_errno(error, RYZ_NO_MEMORY, rc, "cannot start thread %u of %u", i + 1,
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
    if (count == 0) return;
    if (pool->threads == 1) {
        task(context, 0, 0, count);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->count = count;
    pool->grain = grain;
    cut_slices(pool);
    open_job(pool);
    take_part(pool, 0);
    close_job(pool);
}

uint32_t ryz_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}
