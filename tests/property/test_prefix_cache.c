/*
 * test_prefix_cache.c - goal: whatever requests come, share, grow and go in whatever order, the
 * ledger with its prefix cache does exactly what a model does that is too simple to be wrong.
 *
 * Method: 100,000 random operations on pools of 1 to 40 blocks, two of three with a host tier of 1
 * to
 * 30. The model keeps an owner count, a hash and the time of the last release per block and
 * searches all blocks for everything: the next block to be allocated is the unindexed one freed
 * last, else the indexed one freed first. After every operation results, block ids, counts and
 * statistics must be the same. The copies ordered are carried out on what the blocks hold, and then
 * every block must hold what its hash says, and every hash be in one place. RYZ_TEST_SEED sets the
 * seed.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/kv_ledger.h"
#include "engine/sched/prefix_hash.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
    ROUNDS = 50,
    ROUND_STEPS = 2000,
    POOL_MAX = 40,
    HOST_MAX = 30,
    LIVE_MAX = 8, /* requests at a time */
    LENGTH = 10,  /* blocks of the longest request */
    SYMBOLS = 2,  /* different contents of a block, few: requests begin alike */
    BLOCK_TOKENS = 3,
    GARBAGE = 7,   /* contents of a block that is being written; no hash */
    NONE = 1 << 20 /* no block */
};

struct sequence {
    uint64_t hashes[LENGTH];
    uint32_t length;         /* hashes */
    uint32_t blocks[LENGTH]; /* [count] held */
    uint32_t count;
    uint32_t published; /* leading blocks taken or published, or tried to */
};

static struct {
    struct ryz_kv_ledger *ledger;
    struct ryz_rng rng;
    uint64_t seed;
    uint32_t step, pool;
    struct sequence live[LIVE_MAX]; /* [live_count] */
    uint32_t live_count;
    /* The model. */
    uint32_t owners[POOL_MAX];
    uint64_t hashes[POOL_MAX], freed_at[POOL_MAX], now;
    uint64_t ghosts[POOL_MAX]; /* [pool] lost last, newest first; 0: came back */
    uint32_t host;             /* blocks of the host tier */
    uint64_t host_hashes[HOST_MAX], host_at[HOST_MAX]; /* host_at: since when, kept or free */
    bool promised[HOST_MAX];
    struct ryz_kv_cache_stats stats;
    /* What the blocks hold, and what is to be copied. */
    uint64_t contents[POOL_MAX], host_contents[HOST_MAX];
    struct ryz_kv_copy entries[2 * POOL_MAX];
    struct ryz_kv_copies copies;
    /* What the walk met, over all rounds. */
    uint64_t refused, copies_dropped, copies_moved, hits, evictions, regrets;
    uint64_t host_hits, host_in, host_shared, host_dropped, host_overtaken;
} t;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            cr_assert_fail("seed %llu, step %u, pool of %u: %s", (unsigned long long)t.seed,       \
                           t.step, t.pool, #condition);                                            \
    } while (0)

static uint32_t below(uint32_t bound)
{
    return (uint32_t)ryz_rng_below(&t.rng, bound);
}

/* ---- the model ---- */

static uint32_t model_find(uint64_t hash)
{
    for (uint32_t i = 0; i < t.pool; i++)
        if (t.hashes[i] == hash) return i;
    return NONE;
}

static uint32_t model_count(bool cached_only)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < t.pool; i++)
        count += t.owners[i] == 0 && (!cached_only || t.hashes[i] != 0) ? 1 : 0;
    return count;
}

/* Whether block a is allocated before block b, both without owners. */
static bool model_before(uint32_t a, uint32_t b)
{
    bool a_cached = t.hashes[a] != 0, b_cached = t.hashes[b] != 0;
    if (a_cached != b_cached) return b_cached;
    return a_cached ? t.freed_at[a] < t.freed_at[b] : t.freed_at[a] > t.freed_at[b];
}

static void model_forget_ghost(uint64_t hash)
{
    for (uint32_t i = 0; i < t.pool; i++)
        if (t.ghosts[i] == hash) t.ghosts[i] = 0;
}

static bool model_is_ghost(uint64_t hash)
{
    for (uint32_t i = 0; i < t.pool; i++)
        if (t.ghosts[i] == hash) return true;
    return false;
}

static uint32_t model_find_host(uint64_t hash)
{
    for (uint32_t i = 0; i < t.host; i++)
        if (t.host_hashes[i] == hash) return i;
    return NONE;
}

static void model_lose(uint64_t hash)
{
    model_forget_ghost(hash);
    memmove(t.ghosts + 1, t.ghosts, (t.pool - 1) * sizeof t.ghosts[0]);
    t.ghosts[0] = hash;
}

/* Whether host block a is used before b: a free one, freed last, before the one kept longest. */
static bool model_host_before(uint32_t a, uint32_t b)
{
    bool a_kept = t.host_hashes[a] != 0, b_kept = t.host_hashes[b] != 0;
    if (a_kept != b_kept) return b_kept;
    return a_kept ? t.host_at[a] < t.host_at[b] : t.host_at[a] > t.host_at[b];
}

static void model_put(uint64_t hash)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < t.host; i++)
        if (!t.promised[i] && (best == NONE || model_host_before(i, best))) best = i;
    uint64_t lost = best == NONE ? hash : t.host_hashes[best];
    if (lost != 0) model_lose(lost);
    if (t.host > 0 && lost != 0) t.stats.host_dropped_blocks++;
    if (best == NONE) return;
    t.host_hashes[best] = hash;
    t.host_at[best] = ++t.now;
    t.stats.host_out_blocks++;
}

static uint32_t model_pop(void)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < t.pool; i++)
        if (t.owners[i] == 0 && (best == NONE || model_before(i, best))) best = i;
    if (t.hashes[best] != 0) {
        model_put(t.hashes[best]);
        t.hashes[best] = 0;
        t.stats.evicted_blocks++;
    }
    t.owners[best] = 1;
    return best;
}

static uint32_t model_match(const uint64_t *hashes, uint32_t count, uint32_t *cached)
{
    uint32_t found = 0;
    *cached = 0;
    for (; found < count; found++) {
        uint32_t block = model_find(hashes[found]);
        if (block == NONE && model_find_host(hashes[found]) == NONE) break;
        *cached += block == NONE || t.owners[block] == 0 ? 1 : 0;
    }
    return found;
}

static void model_take(const uint64_t *hashes, uint32_t asked, uint32_t found, uint32_t *blocks)
{
    for (uint32_t i = 0; i < found; i++) {
        blocks[i] = model_find(hashes[i]);
        if (blocks[i] == NONE) {
            uint32_t from = model_find_host(hashes[i]);
            t.promised[from] = true;
            t.stats.host_hit_blocks++;
            blocks[i] = RYZ_KV_IN_HOST | from;
        } else {
            t.owners[blocks[i]]++;
        }
    }
    if (asked == 0) return;
    t.stats.lookups++;
    t.stats.lookup_blocks += asked;
    t.stats.hit_blocks += found;
    for (uint32_t i = found; i < asked; i++) {
        bool ghost = model_is_ghost(hashes[i]);
        if (!ghost && model_find(hashes[i]) == NONE && model_find_host(hashes[i]) == NONE) break;
        t.stats.evicted_missed_blocks += ghost ? 1 : 0;
    }
}

static void model_load(const uint64_t *hashes, uint32_t count, uint32_t *blocks)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((blocks[i] & RYZ_KV_IN_HOST) == 0) continue;
        uint32_t from = blocks[i] & ~RYZ_KV_IN_HOST;
        blocks[i] = model_find(hashes[i]);
        if (blocks[i] != NONE) {
            t.owners[blocks[i]]++;
            t.host_shared++;
            continue;
        }
        blocks[i] = model_pop();
        t.hashes[blocks[i]] = hashes[i];
        t.stats.host_in_blocks++;
        t.host_hashes[from] = 0;
        t.host_at[from] = ++t.now;
        t.promised[from] = false;
    }
}

static void model_release(uint32_t block)
{
    if (--t.owners[block] == 0) t.freed_at[block] = ++t.now;
}

static bool model_publish(uint32_t block, uint64_t hash)
{
    uint32_t other = model_find(hash);
    if (other != NONE && t.owners[other] > 0) {
        t.copies_dropped++;
        return false;
    }
    if (other != NONE) {
        t.hashes[other] = 0;
        t.freed_at[other] = ++t.now;
        t.copies_moved++;
    }
    uint32_t copy = model_find_host(hash);
    if (copy != NONE) {
        t.host_hashes[copy] = 0;
        t.host_at[copy] = ++t.now;
        t.host_overtaken++;
    }
    t.hashes[block] = hash;
    model_forget_ghost(hash);
    return true;
}

/* ---- contents ---- */

/* Does what the ledger has ordered. */
static void carry_out(void)
{
    for (uint32_t i = 0; i < t.copies.count; i++) {
        const struct ryz_kv_copy *copy = &t.copies.entries[i];
        CHECK(copy->kind == RYZ_KV_COPY_OUT || copy->kind == RYZ_KV_COPY_IN);
        if (copy->kind == RYZ_KV_COPY_OUT) {
            CHECK(copy->from < t.pool && copy->to < t.host);
            t.host_contents[copy->to] = t.contents[copy->from];
        } else {
            CHECK(copy->from < t.host && copy->to < t.pool);
            t.contents[copy->to] = t.host_contents[copy->from];
        }
    }
    t.copies.count = 0;
}

/* New blocks are written once the copies are done. */
static void write_new(const uint32_t *blocks, uint32_t count)
{
    carry_out();
    for (uint32_t i = 0; i < count; i++) t.contents[blocks[i]] = GARBAGE;
}

/* ---- operations on both ---- */

static void draw_sequence(struct sequence *sequence)
{
    struct ryz_prefix_hash hash;
    uint32_t tokens[LENGTH * BLOCK_TOKENS];
    *sequence = (struct sequence){.length = 1 + below(LENGTH)};
    for (uint32_t i = 0; i < sequence->length; i++) {
        uint32_t symbol = below(SYMBOLS);
        for (uint32_t k = 0; k < BLOCK_TOKENS; k++) tokens[i * BLOCK_TOKENS + k] = symbol;
    }
    ryz_prefix_hash_init(&hash, t.seed, (uint16_t)below(2), BLOCK_TOKENS);
    CHECK(ryz_prefix_hash_extend(&hash, tokens, sequence->length * BLOCK_TOKENS,
                                 sequence->hashes) == sequence->length);
}

static void claim(void)
{
    struct sequence *s = &t.live[t.live_count];
    draw_sequence(s);
    const struct ryz_kv_claim wanted = {
        s->hashes, s->length, below(4) == 0 ? below(LENGTH + 1) : s->length, below(s->length + 1)};
    uint32_t asked = ryz_min_u32(s->length, wanted.take_max);
    uint32_t cached, taken = NONE, expected[LENGTH];
    uint32_t found = model_match(s->hashes, ryz_min_u32(asked, wanted.block_count), &cached);
    bool fits = wanted.block_count - found + cached <= model_count(false);
    memset(s->blocks, 0x7f, sizeof s->blocks);
    memset(expected, 0x7f, sizeof expected);
    CHECK(ryz_kv_ledger_claim(t.ledger, &wanted, s->blocks, &taken) == fits);
    if (fits) {
        model_take(s->hashes, asked, found, expected);
        model_load(s->hashes, found, expected);
        for (uint32_t i = found; i < wanted.block_count; i++) expected[i] = model_pop();
        s->count = wanted.block_count;
        s->published = found;
        t.live_count++;
    } else {
        t.refused++;
    }
    CHECK(taken == (fits ? found : NONE));
    CHECK(memcmp(s->blocks, expected, sizeof expected) == 0);
    if (fits) write_new(s->blocks + found, wanted.block_count - found);
}

/* One or two sequences take what is found, as far as there is room for what must be loaded, and
 * load it then. */
static void take(void)
{
    uint32_t taken = 0, wanted = 1 + below(2), room = model_count(false), expected[2][LENGTH];
    struct sequence *first = &t.live[t.live_count];
    for (; taken < wanted && t.live_count < LIVE_MAX; taken++, t.live_count++) {
        struct sequence *s = &first[taken];
        uint32_t cached;
        draw_sequence(s);
        uint32_t found = model_match(s->hashes, s->length, &cached);
        if (cached > room) break;
        room -= cached;
        model_take(s->hashes, s->length, found, expected[taken]);
        CHECK(ryz_kv_ledger_take(t.ledger, s->hashes, s->length, s->blocks) == found);
        CHECK(memcmp(s->blocks, expected[taken], found * sizeof expected[0][0]) == 0);
        s->count = s->published = found;
    }
    for (uint32_t i = 0; i < taken; i++) {
        struct sequence *s = &first[i];
        model_load(s->hashes, s->count, expected[i]);
        ryz_kv_ledger_load(t.ledger, s->hashes, s->count, s->blocks);
        CHECK(memcmp(s->blocks, expected[i], s->count * sizeof expected[0][0]) == 0);
    }
    carry_out();
}

static void match(void)
{
    struct sequence s;
    uint32_t cached, expected_cached;
    draw_sequence(&s);
    uint32_t found = model_match(s.hashes, s.length, &expected_cached);
    CHECK(ryz_kv_ledger_match(t.ledger, s.hashes, s.length, &cached) == found);
    CHECK(cached == expected_cached);
    CHECK(ryz_kv_ledger_match(t.ledger, s.hashes, s.length, NULL) == found);
}

static void grow(struct sequence *s)
{
    uint32_t count = below(s->length - s->count + 1);
    bool fits = count <= model_count(false);
    CHECK(ryz_kv_ledger_alloc(t.ledger, count, s->blocks + s->count) == fits);
    t.refused += fits ? 0 : 1;
    if (!fits) return;
    for (uint32_t i = 0; i < count; i++) CHECK(s->blocks[s->count++] == model_pop());
    write_new(s->blocks + s->count - count, count);
}

static void publish(struct sequence *s)
{
    if (s->published == s->count) return;
    uint32_t block = s->blocks[s->published];
    uint64_t hash = s->hashes[s->published++];
    if (t.hashes[block] != 0) return; /* a fork has published it */
    t.contents[block] = hash;
    CHECK(ryz_kv_ledger_publish(t.ledger, block, hash) == model_publish(block, hash));
}

static void fork_sequence(const struct sequence *s)
{
    t.live[t.live_count++] = *s;
    for (uint32_t i = 0; i < s->count; i++) {
        ryz_kv_ledger_retain(t.ledger, s->blocks[i]);
        t.owners[s->blocks[i]]++;
    }
}

static void release_last(struct sequence *s)
{
    if (s->count == 0) return;
    uint32_t block = s->blocks[--s->count];
    ryz_kv_ledger_release(t.ledger, block);
    model_release(block);
    s->published = ryz_min_u32(s->published, s->count);
}

static void end(struct sequence *s)
{
    ryz_kv_ledger_release_all(t.ledger, s->blocks, s->count);
    while (s->count > 0) model_release(s->blocks[--s->count]);
    *s = t.live[--t.live_count];
}

static void compare(void)
{
    struct ryz_kv_cache_stats stats = ryz_kv_ledger_cache_stats(t.ledger);
    for (uint32_t i = 0; i < t.pool; i++) {
        CHECK(ryz_kv_ledger_owners(t.ledger, i) == t.owners[i]);
        CHECK(ryz_kv_ledger_hash(t.ledger, i) == t.hashes[i]);
        CHECK(t.hashes[i] == 0 || t.contents[i] == t.hashes[i]);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t.host; i++) {
        uint64_t hash = t.host_hashes[i];
        CHECK(ryz_kv_ledger_host_hash(t.ledger, i) == hash);
        if (hash == 0) continue;
        CHECK(t.host_contents[i] == hash);
        CHECK(ryz_kv_ledger_find(t.ledger, hash) == UINT32_MAX);
        kept++;
    }
    CHECK(ryz_kv_ledger_host_count(t.ledger) == kept);
    CHECK(ryz_kv_ledger_free_count(t.ledger) == model_count(false));
    CHECK(ryz_kv_ledger_cached_count(t.ledger) == model_count(true));
    CHECK(memcmp(&stats, &t.stats, sizeof stats) == 0);
}

static void operate(void)
{
    uint32_t what = below(12);
    bool room = t.live_count < LIVE_MAX;
    struct sequence *s = t.live_count > 0 ? &t.live[below(t.live_count)] : NULL;
    if (what < 2 && room)
        claim();
    else if (what == 2 && room)
        take();
    else if (what == 3)
        match();
    else if (s == NULL)
        return;
    else if (what == 4 && room)
        fork_sequence(s);
    else if (what == 5)
        release_last(s);
    else if (what < 8)
        end(s);
    else if (what == 8)
        grow(s);
    else
        publish(s);
}

static void walk(uint32_t round)
{
    t.pool = 1 + below(POOL_MAX);
    cr_assert_eq(ryz_kv_ledger_open(t.pool, &t.ledger, NULL), RYZ_OK);
    t.host = round % 3 == 0 ? 0 : 1 + below(HOST_MAX);
    t.copies = (struct ryz_kv_copies){t.entries, 0, 2 * t.pool};
    if (t.host > 0) cr_assert_eq(ryz_kv_ledger_add_host(t.ledger, t.host, &t.copies, NULL), RYZ_OK);
    memset(t.host_hashes, 0, sizeof t.host_hashes);
    memset(t.promised, 0, sizeof t.promised);
    memset(t.owners, 0, sizeof t.owners);
    memset(t.hashes, 0, sizeof t.hashes);
    memset(t.ghosts, 0, sizeof t.ghosts);
    t.stats = (struct ryz_kv_cache_stats){0};
    t.live_count = 0;
    for (uint32_t i = 0; i < t.pool; i++) t.freed_at[i] = POOL_MAX - i;
    for (uint32_t i = 0; i < t.host; i++) t.host_at[i] = HOST_MAX - i;
    t.now = POOL_MAX;
    for (uint32_t i = 0; i < ROUND_STEPS; i++) {
        t.step = round * ROUND_STEPS + i;
        operate();
        compare();
    }
    while (t.live_count > 0) end(&t.live[0]);
    CHECK(ryz_kv_ledger_free_count(t.ledger) == t.pool);
    t.hits += t.stats.hit_blocks;
    t.evictions += t.stats.evicted_blocks;
    t.regrets += t.stats.evicted_missed_blocks;
    t.host_hits += t.stats.host_hit_blocks;
    t.host_in += t.stats.host_in_blocks;
    t.host_dropped += t.stats.host_dropped_blocks;
    ryz_kv_ledger_close(t.ledger);
}

Test(prefix_cache, does_what_a_model_that_searches_everything_does)
{
    t.seed = test_seed("prefix_cache");
    ryz_rng_init(&t.rng, t.seed, 0);
    for (uint32_t round = 0; round < ROUNDS; round++) walk(round);
    (void)fprintf(stderr,
                  "hits %" PRIu64 ", evictions %" PRIu64 ", missed for an eviction %" PRIu64
                  ", refused %" PRIu64 ", copies not indexed %" PRIu64 ", moved %" PRIu64 "\n",
                  t.hits, t.evictions, t.regrets, t.refused, t.copies_dropped, t.copies_moved);
    (void)fprintf(stderr,
                  "host hits %" PRIu64 ", copied in %" PRIu64 ", shared %" PRIu64
                  ", dropped %" PRIu64 ", computed all the same %" PRIu64 "\n",
                  t.host_hits, t.host_in, t.host_shared, t.host_dropped, t.host_overtaken);
    /* The walk must have been worth it. */
    cr_assert_gt(t.hits, 5000u);
    cr_assert_gt(t.evictions, 1000u);
    cr_assert_gt(t.regrets, 500u);
    cr_assert_gt(t.refused, 1000u);
    cr_assert_gt(t.copies_dropped, 300u);
    cr_assert_gt(t.copies_moved, 50u);
    cr_assert_gt(t.host_hits, 1000u);
    cr_assert_gt(t.host_in, 1000u);
    cr_assert_gt(t.host_shared, 5u);
    cr_assert_gt(t.host_dropped, 500u);
    cr_assert_gt(t.host_overtaken, 20u);
}
