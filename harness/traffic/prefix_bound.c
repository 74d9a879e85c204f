/*
 * prefix_bound.c - a hash map of blocks, and their order of use.
 *
 *   buckets[hash] -> entry -> entry        oldest <-> ... <-> newest (used last)
 *
 * Leaves to others: prompts (prompts.h). The idea: a block is the XXH3-64 of its tokens and of the
 * block before it, so a prompt's leading blocks are found one look each. A request's blocks are
 * used from its last to its first, so no block is forgotten before one that stands on it.
 */
#include "harness/traffic/prefix_bound.h"

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

#define NONE        UINT32_MAX
#define ENTRIES_MIN 1024u

struct entry {
    uint64_t hash;
    uint32_t older, newer; /* by use */
    uint32_t chain;        /* of its bucket, or of the unused */
};

struct ryz_prefix_bound {
    uint32_t block_tokens;
    uint32_t block_count;  /* 0: without an end */
    struct entry *entries; /* (capacity) */
    uint32_t *buckets;     /* (capacity, a power of two) first entry of each; NONE */
    uint32_t capacity, count;
    uint32_t unused; /* first entry of those not in use */
    uint32_t oldest, newest;
    uint64_t *hashes; /* (hash_capacity) of the prompt being added */
    uint32_t hash_capacity;
    uint64_t output_blocks; /* so far: each gets a number instead of contents */
    struct ryz_prefix_bound_result result;
};

static uint32_t *bucket_of(const struct ryz_prefix_bound *bound, uint64_t hash)
{
    return &bound->buckets[hash & (bound->capacity - 1)];
}

/* Room for `capacity` entries, a power of two. */
static bool resize(struct ryz_prefix_bound *bound, uint32_t capacity)
{
    struct entry *entries = realloc(bound->entries, capacity * sizeof *entries);
    if (entries == NULL) return false;
    bound->entries = entries;
    uint32_t *buckets = realloc(bound->buckets, capacity * sizeof *buckets);
    if (buckets == NULL) return false;
    bound->buckets = buckets;
    uint32_t old = bound->capacity;
    bound->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++) buckets[i] = NONE;
    RYZ_ASSERT(bound->count == old); /* it grows when all entries are in use */
    for (uint32_t i = 0; i < old; i++) {
        uint32_t *bucket = bucket_of(bound, entries[i].hash);
        entries[i].chain = *bucket;
        *bucket = i;
    }
    for (uint32_t i = capacity; i > old; i--) {
        entries[i - 1].chain = bound->unused;
        bound->unused = i - 1;
    }
    return true;
}

enum ryz_status ryz_prefix_bound_open(uint32_t block_tokens, uint32_t block_count,
                                      struct ryz_prefix_bound **out, struct ryz_error *error)
{
    *out = NULL;
    if (block_tokens == 0 || block_count > RYZ_PREFIX_BOUND_BLOCKS_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u blocks of %u tokens; allowed are %u, not of 0",
                        block_count, block_tokens, RYZ_PREFIX_BOUND_BLOCKS_MAX);
    struct ryz_prefix_bound *bound = calloc(1, sizeof *bound);
    if (bound == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a prefix bound");
    bound->block_tokens = block_tokens;
    bound->block_count = block_count;
    bound->unused = bound->oldest = bound->newest = NONE;
    if (!resize(bound, ENTRIES_MIN)) {
        ryz_prefix_bound_close(bound);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a prefix bound");
    }
    *out = bound;
    return RYZ_OK;
}

void ryz_prefix_bound_close(struct ryz_prefix_bound *bound)
{
    if (bound == NULL) return;
    free(bound->hashes);
    free(bound->buckets);
    free(bound->entries);
    free(bound);
}

static uint32_t find(const struct ryz_prefix_bound *bound, uint64_t hash)
{
    uint32_t i = *bucket_of(bound, hash);
    while (i != NONE && bound->entries[i].hash != hash) i = bound->entries[i].chain;
    return i;
}

static void unlink_entry(struct ryz_prefix_bound *bound, uint32_t i)
{
    const struct entry *entry = &bound->entries[i];
    *(entry->older == NONE ? &bound->oldest : &bound->entries[entry->older].newer) = entry->newer;
    *(entry->newer == NONE ? &bound->newest : &bound->entries[entry->newer].older) = entry->older;
}

static void link_newest(struct ryz_prefix_bound *bound, uint32_t i)
{
    bound->entries[i].older = bound->newest;
    bound->entries[i].newer = NONE;
    *(bound->newest == NONE ? &bound->oldest : &bound->entries[bound->newest].newer) = i;
    bound->newest = i;
}

static void forget_oldest(struct ryz_prefix_bound *bound)
{
    uint32_t i = bound->oldest, *at = bucket_of(bound, bound->entries[i].hash);
    while (*at != i) at = &bound->entries[*at].chain;
    *at = bound->entries[i].chain;
    unlink_entry(bound, i);
    bound->entries[i].chain = bound->unused;
    bound->unused = i;
    bound->count--;
}

/* Makes a block the one that was used last, known or not. */
static enum ryz_status use(struct ryz_prefix_bound *bound, uint64_t hash, struct ryz_error *error)
{
    uint32_t i = find(bound, hash);
    if (i != NONE) {
        unlink_entry(bound, i);
        link_newest(bound, i);
        return RYZ_OK;
    }
    if (bound->unused == NONE) {
        if (bound->capacity >= RYZ_PREFIX_BOUND_BLOCKS_MAX)
            return ryz_fail(error, RYZ_FULL, "more than %u blocks to remember",
                            RYZ_PREFIX_BOUND_BLOCKS_MAX);
        if (!resize(bound, 2 * bound->capacity))
            return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u blocks", 2 * bound->capacity);
    }
    i = bound->unused;
    bound->unused = bound->entries[i].chain;
    bound->count++;
    uint32_t *bucket = bucket_of(bound, hash);
    bound->entries[i] = (struct entry){.hash = hash, .chain = *bucket};
    *bucket = i;
    link_newest(bound, i);
    return RYZ_OK;
}

/* Hashes of the prompt's full blocks into bound->hashes. */
static enum ryz_status hash_blocks(struct ryz_prefix_bound *bound,
                                   const struct ryz_prefix_bound_request *request,
                                   struct ryz_error *error)
{
    uint32_t count = request->prompt_tokens / bound->block_tokens;
    if (count > bound->hash_capacity) {
        uint64_t *hashes = realloc(bound->hashes, count * sizeof *hashes);
        if (hashes == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u blocks", count);
        bound->hashes = hashes;
        bound->hash_capacity = count;
    }
    uint64_t digest = ryz_hash64(&request->tenant, sizeof request->tenant);
    for (uint32_t i = 0; i < count; i++) {
        digest = ryz_hash64_extend(digest, request->tokens + (size_t)i * bound->block_tokens,
                                   bound->block_tokens * sizeof *request->tokens);
        bound->hashes[i] = digest;
    }
    return RYZ_OK;
}

/* Uses the blocks of a request that found `found`, forgetting others where there is no room. */
static enum ryz_status use_blocks(struct ryz_prefix_bound *bound,
                                  const struct ryz_prefix_bound_request *request,
                                  uint64_t computed_tokens, uint32_t found, struct ryz_error *error)
{
    uint32_t prompt = request->prompt_tokens / bound->block_tokens;
    enum ryz_status status = RYZ_OK;
    for (uint32_t i = found; i > 0 && status == RYZ_OK; i--)
        status = use(bound, bound->hashes[i - 1], error);
    if (bound->block_count > 0) {
        uint64_t needed = (computed_tokens + bound->block_tokens - 1) / bound->block_tokens;
        while (bound->count + (needed - found) > bound->block_count) forget_oldest(bound);
        for (uint64_t i = prompt; i < computed_tokens / bound->block_tokens && status == RYZ_OK;
             i++)
            status = use(bound, ryz_rng_at(0, ~UINT64_C(0), bound->output_blocks++), error);
    }
    for (uint32_t i = prompt; i > 0 && status == RYZ_OK; i--)
        status = use(bound, bound->hashes[i - 1], error);
    return status;
}

enum ryz_status ryz_prefix_bound_add(struct ryz_prefix_bound *bound,
                                     const struct ryz_prefix_bound_request *request,
                                     uint32_t *hit_tokens, struct ryz_error *error)
{
    uint32_t output = request->output_tokens;
    uint64_t computed_tokens = (uint64_t)request->prompt_tokens + (output > 0 ? output - 1 : 0);
    if (request->prompt_tokens == 0) return ryz_fail(error, RYZ_INVALID, "an empty prompt");
    if (bound->block_count > 0 &&
        computed_tokens > (uint64_t)bound->block_count * bound->block_tokens)
        return ryz_fail(error, RYZ_INVALID, "%llu tokens in %u blocks of %u",
                        (unsigned long long)computed_tokens, bound->block_count,
                        bound->block_tokens);
    enum ryz_status status = hash_blocks(bound, request, error);
    if (status != RYZ_OK) return status;
    uint32_t asked = (request->prompt_tokens - 1) / bound->block_tokens, found = 0;
    while (found < asked && find(bound, bound->hashes[found]) != NONE) found++;
    bound->result.prompt_tokens += request->prompt_tokens;
    bound->result.lookup_tokens += (uint64_t)asked * bound->block_tokens;
    bound->result.hit_tokens += (uint64_t)found * bound->block_tokens;
    if (hit_tokens != NULL) *hit_tokens = found * bound->block_tokens;
    return use_blocks(bound, request, computed_tokens, found, error);
}

struct ryz_prefix_bound_result ryz_prefix_bound_result(const struct ryz_prefix_bound *bound)
{
    return bound->result;
}
