/*
 * test_prefix_hash.c - goal: a hash depends on every token up to its block, on the tenant and on
 * the key, in whatever pieces the tokens come. Method: against libsodium's SipHash-2-4 over the
 * bytes that the header describes, and by changing one thing at a time.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/prefix_hash.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sodium.h>
#include <string.h>

enum { KEY = 4711, TENANT = 3, TOKENS = 64, BLOCK = 16, BLOCKS = TOKENS / BLOCK };

static uint32_t tokens[TOKENS];

static void draw_tokens(void)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, 2024, 0);
    for (int i = 0; i < TOKENS; i++) tokens[i] = (uint32_t)ryz_rng_u64(&rng);
}

static void hash_all(uint64_t key, uint16_t tenant, uint32_t block_tokens, uint64_t *hashes)
{
    struct ryz_prefix_hash hash;
    ryz_prefix_hash_init(&hash, key, tenant, block_tokens);
    cr_assert_eq(ryz_prefix_hash_extend(&hash, tokens, TOKENS, hashes), TOKENS / block_tokens);
}

static uint64_t siphash(const void *bytes, size_t size, uint64_t key)
{
    unsigned char sodium_key[crypto_shorthash_KEYBYTES], digest[crypto_shorthash_BYTES];
    uint64_t halves[2], result;
    halves[0] = ryz_splitmix64(&key);
    halves[1] = ryz_splitmix64(&key);
    memcpy(sodium_key, halves, sizeof sodium_key);
    cr_assert_eq(crypto_shorthash(digest, bytes, size, sodium_key), 0);
    memcpy(&result, digest, sizeof result);
    return result;
}

ParameterizedTestParameters(prefix_hash, is_siphash_over_the_parent_and_the_tokens)
{
    static uint32_t sizes[] = {1, 2, 5, 16, 31, 64};
    return cr_make_param_array(uint32_t, sizes, RYZ_COUNT_OF(sizes));
}

ParameterizedTest(uint32_t *block_tokens, prefix_hash, is_siphash_over_the_parent_and_the_tokens)
{
    uint64_t hashes[TOKENS], tenant = TENANT;
    uint32_t n = *block_tokens;
    draw_tokens();
    hash_all(KEY, TENANT, n, hashes);
    uint64_t parent = siphash(&tenant, sizeof tenant, KEY);
    for (uint32_t i = 0; i < TOKENS / n; i++) {
        unsigned char bytes[sizeof parent + sizeof tokens];
        memcpy(bytes, &parent, sizeof parent);
        memcpy(bytes + sizeof parent, tokens + i * n, n * sizeof tokens[0]);
        parent = siphash(bytes, sizeof parent + n * sizeof tokens[0], KEY);
        cr_assert_eq(hashes[i], parent, "block %u of %u tokens", i, n);
    }
}

Test(prefix_hash, is_the_same_token_by_token_and_in_pieces)
{
    uint64_t at_once[BLOCKS], piecewise[BLOCKS + 1];
    draw_tokens();
    hash_all(KEY, TENANT, BLOCK, at_once);
    for (uint32_t first = 0; first < TOKENS; first++) {
        struct ryz_prefix_hash hash;
        ryz_prefix_hash_init(&hash, KEY, TENANT, BLOCK);
        uint32_t count = ryz_prefix_hash_extend(&hash, tokens, first, piecewise);
        cr_assert_eq(count, first / BLOCK);
        for (uint32_t i = first; i < TOKENS; i++) {
            uint64_t full = ryz_prefix_hash_push(&hash, tokens[i]);
            cr_assert_eq(full != 0, (i + 1) % BLOCK == 0);
            if (full != 0) piecewise[count++] = full;
        }
        cr_assert_eq(memcmp(at_once, piecewise, sizeof at_once), 0, "cut at %u", first);
    }
}

Test(prefix_hash, depends_on_every_token_up_to_its_block)
{
    uint64_t before[BLOCKS], after[BLOCKS];
    draw_tokens();
    hash_all(KEY, TENANT, BLOCK, before);
    for (uint32_t i = 0; i < TOKENS; i++) {
        tokens[i] ^= 1u << i % 32;
        hash_all(KEY, TENANT, BLOCK, after);
        tokens[i] ^= 1u << i % 32;
        for (uint32_t block = 0; block < BLOCKS; block++)
            cr_assert_eq(before[block] == after[block], block < i / BLOCK, "token %u", i);
    }
}

Test(prefix_hash, separates_tenants_and_keys)
{
    uint64_t mine[BLOCKS], tenants[BLOCKS], keys[BLOCKS];
    draw_tokens();
    hash_all(KEY, TENANT, BLOCK, mine);
    hash_all(KEY, TENANT + 1, BLOCK, tenants);
    hash_all(KEY + 1, TENANT, BLOCK, keys);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        cr_assert_neq(mine[i], tenants[i]);
        cr_assert_neq(mine[i], keys[i]);
    }
}

Test(prefix_hash, a_copy_goes_back_to_where_it_was_made)
{
    struct ryz_prefix_hash hash, mark;
    ryz_prefix_hash_init(&hash, KEY, TENANT, 3);
    cr_assert_eq(ryz_prefix_hash_push(&hash, 1), 0u);
    mark = hash;
    cr_assert_eq(ryz_prefix_hash_push(&hash, 2), 0u);
    uint64_t rejected = ryz_prefix_hash_push(&hash, 3);
    hash = mark;
    cr_assert_eq(ryz_prefix_hash_push(&hash, 2), 0u);
    cr_assert_neq(ryz_prefix_hash_push(&hash, 4), rejected);
    cr_assert_eq(ryz_prefix_hash_push(&mark, 2), 0u);
    cr_assert_eq(ryz_prefix_hash_push(&mark, 3), rejected);
}
