/*
 * base_races.c - the ring and the thread pool under contention.
 *
 * Goal: no item is lost, doubled or torn; no slice is skipped or run twice; a plain variable that
 * a job writes is visible after the barrier; fault draws add up. Method: threads do a fixed amount
 * of work as fast as they can, the results are checked exactly; a thread-sanitizer build reports
 * the races that happened to do no harm.
 */
#include "engine/base/atomic.h"
#include "engine/base/fault.h"
#include "engine/base/ring.h"
#include "engine/base/size.h"
#include "engine/base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCERS 4u
#define ITEMS     20000u

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct item {
    uint32_t producer, number;
    uint32_t echo[7]; /* producer + number in each: a torn item shows */
};

struct producer {
    struct ryz_ring *ring;
    uint32_t index;
    uint64_t full; /* refused pushes */
};

static void *produce(void *argument)
{
    struct producer *p = argument;
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item item = {.producer = p->index, .number = i};
        for (size_t k = 0; k < RYZ_COUNT_OF(item.echo); k++) item.echo[k] = p->index + i;
        while (!ryz_ring_push(p->ring, &item)) {
            p->full++;
            (void)sched_yield();
        }
    }
    return NULL;
}

/* Many producers, one consumer: everything arrives once, each producer's items in order. */
static void test_ring(size_t capacity)
{
    struct ryz_ring *ring = NULL;
    CHECK(ryz_ring_open(capacity, sizeof(struct item), &ring, NULL) == RYZ_OK);
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.ring = ring, .index = i};
        CHECK(pthread_create(&threads[i], NULL, produce, &producers[i]) == 0);
    }
    uint32_t next[PRODUCERS] = {0};
    for (uint32_t taken = 0; taken < PRODUCERS * ITEMS;) {
        struct item item;
        CHECK(ryz_ring_count(ring) <= ryz_ring_capacity(ring));
        if (!ryz_ring_pop(ring, &item)) {
            (void)sched_yield();
            continue;
        }
        CHECK(item.producer < PRODUCERS);
        CHECK(item.number == next[item.producer]);
        for (size_t k = 0; k < RYZ_COUNT_OF(item.echo); k++)
            CHECK(item.echo[k] == item.producer + item.number);
        next[item.producer]++;
        taken++;
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(ryz_ring_count(ring) == 0);
    ryz_ring_close(ring);
}

struct job {
    uint32_t *cells; /* plain memory: the barrier alone makes it visible */
    uint32_t round;
};

static void add_round(void *context, size_t worker, size_t begin, size_t end)
{
    struct job *job = context;
    (void)worker;
    for (size_t i = begin; i < end; i++) job->cells[i] += job->round;
}

/* Jobs back to back, with pauses now and then that let the workers fall asleep. */
static void test_pool(uint32_t thread_count)
{
    enum { CELLS = 1003, ROUNDS = 3000 };
    struct ryz_thread_pool *pool = NULL;
    CHECK(ryz_thread_pool_open(thread_count, &pool, NULL) == RYZ_OK);
    uint32_t *cells = calloc(CELLS, sizeof *cells);
    CHECK(cells != NULL);
    uint32_t expected = 0;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct job job = {.cells = cells, .round = round};
        ryz_thread_pool_run(pool, CELLS, 1 + round % 17, add_round, &job);
        expected += round;
        CHECK(cells[0] == expected);
        CHECK(cells[round % CELLS] == expected);
        CHECK(cells[CELLS - 1] == expected);
        for (int pause = 0; round % 500 == 0 && pause < 2000; pause++) (void)sched_yield();
    }
    for (size_t i = 0; i < CELLS; i++) CHECK(cells[i] == expected);
    free(cells);
    ryz_thread_pool_close(pool);
}

static void *draw_faults(void *argument)
{
    struct ryz_faults *faults = argument;
    for (uint32_t i = 0; i < ITEMS; i++) {
        (void)ryz_fault_hit(faults, RYZ_FAULT_KV_ALLOC, 5, NULL);
        (void)ryz_fault_hit(faults, RYZ_FAULT_SERVER, 5, NULL);
    }
    return NULL;
}

/* How the threads interleave decides who is hit, never how many are. */
static void test_faults(void)
{
    const struct ryz_fault plan[] = {
        {"some", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 0, 10, 300, 0},
        {"once", RYZ_FAULT_SERVER, RYZ_FAULT_KILL, 0, 10, 1000, 0},
    };
    uint64_t hits[2] = {0, 0};
    for (int repeat = 0; repeat < 2; repeat++) {
        struct ryz_faults *faults = NULL;
        CHECK(ryz_faults_open(plan, 2, 99, &faults, NULL) == RYZ_OK);
        pthread_t threads[PRODUCERS];
        for (uint32_t i = 0; i < PRODUCERS; i++)
            CHECK(pthread_create(&threads[i], NULL, draw_faults, faults) == 0);
        for (uint32_t i = 0; i < PRODUCERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        hits[repeat] = ryz_fault_hits(faults, 0);
        CHECK(ryz_fault_hits(faults, 1) == 1);
        ryz_faults_close(faults);
    }
    CHECK(hits[0] == hits[1]);
    CHECK(hits[0] > PRODUCERS * ITEMS / 4 && hits[0] < PRODUCERS * ITEMS * 2 / 5);
}

int main(void)
{
    test_ring(2);
    test_ring(64);
    test_ring(4096);
    for (uint32_t threads = 1; threads <= 5; threads++) test_pool(threads);
    test_faults();
    (void)printf("base races: ok\n");
    return 0;
}
