/*
 * Goal: a step allocates nothing, whatever is in the batch. Method: the linker sends the engine's
 * calls of malloc and its kin through the counters below (--wrap).
 */
#include "engine/model/sampler.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static unsigned allocations; /* one thread at a time runs the tests, and workers do not allocate */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __real_aligned_alloc(alignment, size);
}

Test(allocation, a_step_and_a_draw_allocate_nothing)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.type = RYZ_DTYPE_Q4_0}, NULL);
    uint32_t tokens[128], blocks[3][16], n = ryz_model_info(model)->n_vocab;
    seeded_tokens(model, 1, tokens, 128);
    for (uint32_t i = 0; i < 48; i++) blocks[i / 16][i % 16] = i;
    struct ryz_candidate *scratch = malloc(n * sizeof *scratch);
    struct rig rig;
    rig_open(&rig, model, &(struct rig_options){.threads = 2, .n_blocks = 48});
    cr_assert_gt(allocations, 10, "the counters are not linked in");
    unsigned before = allocations;
    for (uint32_t step = 0; step < 40; step++) {
        uint32_t chunk = step % 4 == 0 ? 60 : 1;
        struct ryz_batch_sequence sequences[] = {{tokens, blocks[0], chunk, step, true},
                                                 {tokens + 60, blocks[1], 5, 2 * step, false},
                                                 {tokens + 70, blocks[2], 1, step, true}};
        struct ryz_batch batch = {sequences, 3, chunk + 6};
        ryz_forward_run(rig.forward, &batch);
        struct ryz_sampling sampling = {
            .temperature = 1, .top_p = 0.9F, .top_k = step % 2 ? 40 : 0, .seed = step};
        (void)ryz_sample(&sampling, ryz_forward_logits(rig.forward, 1), n, step, scratch, NULL);
    }
    cr_assert_eq(allocations, before);
    free(scratch);
    rig_close(&rig);
    ryz_model_close(model);
}
