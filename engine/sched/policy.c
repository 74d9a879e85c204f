/*
 * policy.c - the policies there are: one step, six orders.
 *
 * Leaves to others: serving in an order (policy_step.c), turns of tenants (fair_share.h). The idea:
 * what sets policies apart is who comes before whom; budgets, chunks, blocks and preemption are the
 * same for all, and so are their proofs.
 */
#include "engine/sched/policy.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"

#include <string.h>

static const struct ryz_step_tunables keeping = {.headroom_permille = 10};
static const struct ryz_step_tunables displacing = {.headroom_permille = 10, .displaced_max = 3};

/* The earlier of a request's deadlines, as an order: none is last. */
static uint64_t due(const struct ryz_request_view *request)
{
    int64_t first = request->first_deadline_ns, last = request->deadline_ns;
    int64_t due_ns = first < last ? first : last;
    return due_ns > 0 ? (uint64_t)due_ns : 0;
}

static struct ryz_order_key key_equal(const struct ryz_request_view *request)
{
    (void)request;
    return (struct ryz_order_key){1, 0};
}

static struct ryz_order_key key_priority(const struct ryz_request_view *request)
{
    return (struct ryz_order_key){1 + (uint64_t)request->priority, 0};
}

static struct ryz_order_key key_deadline(const struct ryz_request_view *request)
{
    return (struct ryz_order_key){1, due(request)};
}

/* By what was asked for: the true length of an output is known to nobody. */
static struct ryz_order_key key_size(const struct ryz_request_view *request)
{
    return (struct ryz_order_key){1, (uint64_t)request->prompt_tokens + request->output_tokens_max};
}

static struct ryz_order_key key_tiered(const struct ryz_request_view *request)
{
    return (struct ryz_order_key){1 + (uint64_t)request->priority, due(request)};
}

static const struct ryz_sched_policy policies[] = {
    {.name = "fcfs", .key = key_equal, .step = ryz_policy_step, .tunables = &keeping},
    {.name = "priority",
     .key = key_priority,
     .step = ryz_policy_step,
     .tunables = &displacing,
     .displaces = true},
    {.name = "edf", .key = key_deadline, .step = ryz_policy_step, .tunables = &keeping},
    {.name = "sjf", .key = key_size, .step = ryz_policy_step, .tunables = &keeping},
    {.name = "vtc", .key = key_equal, .fair = true, .step = ryz_policy_step, .tunables = &keeping},
    {.name = "tiered",
     .key = key_tiered,
     .fair = true,
     .step = ryz_policy_step,
     .tunables = &displacing,
     .displaces = true},
};

const struct ryz_sched_policy *ryz_sched_policy_find(const char *name)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(policies); i++) {
        if (strcmp(policies[i].name, name) == 0) return &policies[i];
    }
    return NULL;
}

const char *ryz_sched_policy_name(uint32_t i)
{
    return i < RYZ_COUNT_OF(policies) ? policies[i].name : NULL;
}

bool ryz_admit_parse(const char *word, enum ryz_admit *admit)
{
    static const char *const words[RYZ_ADMIT_COUNT] = {"prompt", "whole", "chunk"};
    for (unsigned i = 0; i < RYZ_ADMIT_COUNT; i++) {
        if (strcmp(words[i], word) != 0) continue;
        *admit = (enum ryz_admit)i;
        return true;
    }
    return false;
}
