/*
 * test_sim_prefix.c - goal: in virtual time, too, a prompt whose beginning is known is computed
 * from its first unknown block on. Method: the rig's simple world, times compared to the
 * nanosecond; the events that the core was fed, read from its log.
 */
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "tests/unit/simulators/sim_rig.h"

#include <criterion/criterion.h>

#define EVENTS_MAX 512

static struct sim_rig rig;
static struct ryz_event events[EVENTS_MAX];
static uint32_t event_count;

static const uint64_t hashes[] = {11, 12, 13, 14, 15}; /* of blocks of 4 tokens */

static void log_event(void *context, const struct ryz_event *event)
{
    (void)context;
    cr_assert_lt(event_count, (uint32_t)EVENTS_MAX);
    events[event_count++] = *event;
}

static struct ryz_sim_config config_with_cache(void)
{
    struct ryz_sim_config config = sim_rig_config();
    config.core.prefix_cache = true;
    config.core.log = log_event;
    return config;
}

static void open_rig(void)
{
    struct ryz_sim_config config = config_with_cache();
    event_count = 0;
    sim_rig_open(&rig, &config);
}

static void close_rig(void)
{
    sim_rig_close(&rig);
}

static void submit(uint64_t id, int64_t at_ns, uint32_t prompt, uint32_t output)
{
    struct ryz_sim_request request = sim_rig_request(id, at_ns, prompt, output);
    request.hashes = hashes;
    request.hash_count = prompt / 4;
    sim_rig_submit(&rig, &request);
}

TestSuite(sim_prefix, .init = open_rig, .fini = close_rig);

Test(sim_prefix, a_known_beginning_costs_nothing)
{
    submit(0, 0, 10, 1);
    submit(1, 10000, 10, 1); /* two blocks known, two tokens to compute */
    submit(2, 20000, 8, 1);  /* its last token is computed anew, and so is its block */
    submit(3, 30000, 20, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    const uint32_t cached[] = {0, 8, 4, 8};
    const int64_t done_ns[] = {1100, 11020, 21040, 31120};
    for (uint32_t i = 0; i < RYZ_COUNT_OF(cached); i++) {
        cr_assert_eq(rig.requests[i].cached_tokens, cached[i]);
        cr_assert_eq(rig.requests[i].done_ns, done_ns[i], "%ld", rig.requests[i].done_ns);
        cr_assert_eq(rig.requests[i].starts, 1u);
        cr_assert_eq(rig.requests[i].started_ns, (int64_t)i * 10000);
    }
    struct ryz_core_stats stats = ryz_core_stats(ryz_sim_core(rig.sim));
    cr_assert_eq(stats.prompt_tokens_cached, 20u);
    cr_assert_eq(stats.cache_lookup_tokens, 8u + 8u + 4u + 16u);
    cr_assert_eq(stats.prompt_tokens_computed, 48u - 20u);
}

Test(sim_prefix, the_core_gets_the_hashes_before_the_arrival)
{
    submit(7, 0, 21, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(events[0].kind, (uint32_t)RYZ_EV_HASHES);
    cr_assert_eq(events[1].kind, (uint32_t)RYZ_EV_HASHES);
    cr_assert_eq(events[2].kind, (uint32_t)RYZ_EV_ARRIVE);
    cr_assert(events[0].flags == 3 && events[1].flags == 2);
    cr_assert(events[0].request_id == 7 && events[1].request_id == 7);
    for (uint32_t i = 0; i < 5; i++) cr_assert_eq(ryz_event_hash(&events[i / 3], i % 3), hashes[i]);
}

Test(sim_prefix, the_blocks_that_an_output_fills_have_hashes_of_their_own)
{
    uint64_t seen[16];
    uint32_t count = 0, tokens = 0;
    submit(0, 0, 6, 8); /* fills a block with its second and its sixth token */
    submit(1, 20000, 6, 8);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    for (uint32_t i = 0; i < event_count; i++) {
        if (events[i].kind != RYZ_EV_TOKEN) continue;
        uint32_t decoded = tokens++ % 8 + 1;
        cr_assert_eq(events[i].hash != 0, decoded == 2 || decoded == 6);
        if (events[i].hash == 0) continue;
        for (uint32_t k = 0; k < count; k++) cr_assert_neq(seen[k], events[i].hash);
        seen[count++] = events[i].hash;
    }
    cr_assert_eq(tokens, 16u);
    cr_assert_eq(count, 4u);
    struct ryz_core_stats stats = ryz_core_stats(ryz_sim_core(rig.sim));
    cr_assert_eq(stats.kv_blocks_cached, 1u + 2u + 2u, "the prompt's is shared");
}

Test(sim_prefix, after_a_preemption_a_request_finds_its_own_output)
{
    uint64_t recomputed[2];
    for (int cache = 0; cache < 2; cache++) {
        struct ryz_sim_config config = config_with_cache();
        config.core.prefix_cache = cache == 1;
        config.core.limits.kv_blocks = 9;
        sim_rig_close(&rig);
        event_count = 0;
        sim_rig_open(&rig, &config);
        for (uint64_t id = 0; id < 2; id++) { /* 6 blocks each in the end; no prompt is known */
            struct ryz_sim_request request = sim_rig_request(id, 0, 4, 20);
            uint64_t own = 100 + id;
            request.hashes = cache == 1 ? &own : NULL;
            request.hash_count = cache == 1 ? 1 : 0;
            sim_rig_submit(&rig, &request);
        }
        ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
        struct ryz_core_stats stats = ryz_core_stats(ryz_sim_core(rig.sim));
        cr_assert_gt(stats.preempted, 0u);
        for (uint32_t i = 0; i < 2; i++) {
            cr_assert_eq(rig.requests[i].tokens, 20u);
            cr_assert_eq(rig.requests[i].starts, 1u);
            cr_assert_eq(rig.requests[i].cached_tokens, 0u);
        }
        recomputed[cache] = stats.tokens_recomputed;
    }
    cr_assert_lt(recomputed[1], recomputed[0], "%lu with, %lu without a cache", recomputed[1],
                 recomputed[0]);
}

/* Two requests that do not fit together, with a host tier of so many blocks. */
static struct ryz_core_stats swap(uint32_t host_blocks)
{
    struct ryz_sim_config config = config_with_cache();
    config.core.limits.kv_blocks = 9;
    config.core.limits.kv_host_blocks = host_blocks;
    sim_rig_close(&rig);
    event_count = 0;
    sim_rig_open(&rig, &config);
    for (uint64_t id = 0; id < 2; id++) {
        struct ryz_sim_request request = sim_rig_request(id, 0, 6, 26);
        uint64_t own = 100 + id;
        request.hashes = &own;
        request.hash_count = 1;
        sim_rig_submit(&rig, &request);
    }
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    for (uint32_t i = 0; i < 2; i++) cr_assert_eq(rig.requests[i].tokens, 26u);
    struct ryz_core_stats stats = ryz_core_stats(ryz_sim_core(rig.sim));
    cr_assert_gt(stats.preempted, 0u);
    cr_assert_eq(stats.kv_blocks_used, 0u);
    return stats;
}

Test(sim_prefix, with_a_host_tier_a_preempted_request_computes_almost_nothing_again)
{
    struct ryz_core_stats without = swap(0), with = swap(16);
    cr_assert(without.host_out_blocks == 0 && without.host_in_blocks == 0);
    cr_assert_gt(without.tokens_recomputed, 4 * without.preempted);
    cr_assert_gt(with.host_in_blocks, 0u);
    /* What is lost of it is the block that was not full yet. */
    cr_assert_leq(with.tokens_recomputed, 3 * with.preempted, "%lu in %lu preemptions",
                  with.tokens_recomputed, with.preempted);
    cr_assert_eq(with.host_dropped_blocks, 0u);
}

Test(sim_prefix, what_was_evicted_to_the_host_is_found_and_told_apart)
{
    struct ryz_sim_config config = config_with_cache();
    const uint64_t others[] = {21, 22, 23, 24};
    config.core.limits.kv_blocks = 5;
    config.core.limits.kv_host_blocks = 8;
    sim_rig_close(&rig);
    event_count = 0;
    sim_rig_open(&rig, &config);
    submit(0, 0, 14, 1);
    struct ryz_sim_request other = sim_rig_request(1, 10000, 16, 1);
    other.hashes = others;
    other.hash_count = 4;
    sim_rig_submit(&rig, &other);
    submit(2, 20000, 14, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[2].cached_tokens, 12u);
    /* Of its three blocks the first was evicted last, and one block was free all the time. */
    struct ryz_core_stats stats = ryz_core_stats(ryz_sim_core(rig.sim));
    cr_assert_eq(rig.requests[2].waste.host_tokens, stats.prompt_tokens_host);
    cr_assert(stats.prompt_tokens_host > 0 && stats.prompt_tokens_host <= 12);
    cr_assert_eq(stats.prompt_tokens_cached, 12u);
    cr_assert_eq(stats.host_in_blocks * 4, stats.prompt_tokens_host);
    cr_assert_eq(stats.cache_missed_blocks, 0u);
    cr_assert_eq(rig.requests[0].waste.host_tokens, 0u);
}

Test(sim_prefix, a_prompt_beyond_the_context_is_refused_hashes_or_not)
{
    static uint64_t many[64];
    struct ryz_sim_request request = sim_rig_request(0, 0, 256, 1);
    for (uint32_t i = 0; i < RYZ_COUNT_OF(many); i++) many[i] = 1 + i;
    request.hashes = many;
    request.hash_count = RYZ_COUNT_OF(many);
    sim_rig_submit(&rig, &request);
    request = sim_rig_request(1, 0, 64, 1); /* the prompt alone would fit */
    request.hashes = many;
    request.hash_count = 16;
    sim_rig_submit(&rig, &request);
    submit(2, 0, 10, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[0].status, RYZ_INVALID);
    cr_assert_eq(rig.requests[1].status, RYZ_INVALID);
    cr_assert_eq(rig.requests[2].status, RYZ_OK);
    cr_assert_eq(rig.requests[0].starts, 0u);
}

Test(sim_prefix, impossible_hashes_are_refused_at_once)
{
    const uint64_t zero[] = {1, 0};
    struct ryz_error error;
    struct ryz_sim_request request = sim_rig_request(0, 0, 9, 1);
    request.hashes = hashes;
    request.hash_count = 3;
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID, "more than full blocks");
    request.hashes = zero;
    request.hash_count = 2;
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID, "a hash of 0");
    request.hashes = NULL;
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID, "no hashes");
    request.hashes = hashes;
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_OK); /* never run: freed by close */

    struct ryz_sim_config config = sim_rig_config();
    sim_rig_close(&rig);
    sim_rig_open(&rig, &config);
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID, "no prefix cache");
}
