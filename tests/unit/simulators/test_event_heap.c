/*
 * test_event_heap.c - goal: events leave in the order of time, kind and push, whatever the order in
 * which they came. Method: random pushes and pops against a sorted array.
 */
#include "engine/base/rng.h"
#include "simulators/event_heap.h"

#include <criterion/criterion.h>

Test(event_heap, an_empty_heap_has_no_next_event)
{
    struct ryz_event_heap heap = {0};
    cr_assert_eq(ryz_event_heap_next_ns(&heap), INT64_MAX);
    ryz_event_heap_close(&heap);
}

Test(event_heap, ties_are_broken_by_kind_then_by_push)
{
    struct ryz_event_heap heap = {0};
    cr_assert(ryz_event_heap_reserve(&heap, 4));
    ryz_event_heap_push(&heap, (struct ryz_heap_event){.t_ns = 5, .kind = 2, .index = 0});
    ryz_event_heap_push(&heap, (struct ryz_heap_event){.t_ns = 5, .kind = 1, .index = 1});
    ryz_event_heap_push(&heap, (struct ryz_heap_event){.t_ns = 5, .kind = 1, .index = 2});
    ryz_event_heap_push(&heap, (struct ryz_heap_event){.t_ns = 4, .kind = 3, .index = 3});
    static const uint32_t expected[] = {3, 1, 2, 0};
    for (int i = 0; i < 4; i++) cr_assert_eq(ryz_event_heap_pop(&heap).index, expected[i]);
    ryz_event_heap_close(&heap);
}

Test(event_heap, random_pushes_and_pops_agree_with_a_sorted_list)
{
    enum { MOST = 300 };
    const uint64_t seed = 31;
    struct ryz_event_heap heap = {0};
    struct ryz_heap_event list[MOST];
    struct ryz_rng rng;
    uint64_t pushes = 0;
    size_t count = 0;
    ryz_rng_init(&rng, seed, 0);
    for (int round = 0; round < 20000; round++) {
        if (count == 0 || (count < MOST && ryz_rng_below(&rng, 100) < 51)) {
            struct ryz_heap_event event = {.t_ns = (int64_t)ryz_rng_below(&rng, 50),
                                           .kind = (uint32_t)ryz_rng_below(&rng, 3),
                                           .number = pushes++};
            cr_assert(ryz_event_heap_reserve(&heap, 1));
            ryz_event_heap_push(&heap, event);
            size_t i = count++;
            for (; i > 0 && (list[i - 1].t_ns < event.t_ns ||
                             (list[i - 1].t_ns == event.t_ns && list[i - 1].kind <= event.kind));
                 i--)
                list[i] = list[i - 1];
            /* The list is kept latest first, equal ones in the order of their pushes reversed. */
            list[i] = event;
            continue;
        }
        cr_assert_eq(ryz_event_heap_next_ns(&heap), list[count - 1].t_ns);
        struct ryz_heap_event event = ryz_event_heap_pop(&heap), expected = list[--count];
        cr_assert_eq(event.number, expected.number, "seed %lu, round %d", seed, round);
    }
    cr_assert_eq(heap.count, count);
    ryz_event_heap_close(&heap);
}
