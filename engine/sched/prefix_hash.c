/*
 * prefix_hash.c - SipHash-2-4 (Aumasson and Bernstein, 2012) over words, fed a token at a time.
 *
 * The bytes hashed for a block are the parent's hash and the token ids, all little-endian; for the
 * root, the tenant in 8 bytes. The lengths differ, and SipHash hashes the length too, so a root is
 * no block and a block of 16 no block of 32. The test compares with libsodium's function.
 */
#include "engine/sched/prefix_hash.h"

#include "engine/base/assert.h"
#include "engine/base/rng.h"

static inline void round_once(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ryz_rotl64(v[1], 13) ^ v[0];
    v[3] = ryz_rotl64(v[3], 16) ^ v[2];
    v[0] = ryz_rotl64(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = ryz_rotl64(v[1], 17) ^ v[2];
    v[3] = ryz_rotl64(v[3], 21) ^ v[0];
    v[2] = ryz_rotl64(v[2], 32);
}

static inline void compress(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    round_once(v);
    round_once(v);
    v[0] ^= word;
}

static inline void begin(struct ryz_prefix_hash *hash)
{
    hash->v[0] = hash->key[0] ^ UINT64_C(0x736f6d6570736575); /* the words spell */
    hash->v[1] = hash->key[1] ^ UINT64_C(0x646f72616e646f6d); /* "somepseudorandomly */
    hash->v[2] = hash->key[0] ^ UINT64_C(0x6c7967656e657261); /* generatedbytes" */
    hash->v[3] = hash->key[1] ^ UINT64_C(0x7465646279746573);
}

/* The hash of `size_bytes` bytes, the last of them in `rest`; never 0. */
static inline uint64_t finish(uint64_t v[4], uint64_t size_bytes, uint64_t rest)
{
    compress(v, size_bytes << 56 | rest);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) round_once(v);
    uint64_t result = v[0] ^ v[1] ^ v[2] ^ v[3];
    return result != 0 ? result : 1;
}

/* Opens the next block, behind `parent`. */
static inline void open_block(struct ryz_prefix_hash *hash, uint64_t parent)
{
    hash->parent = parent;
    hash->open_tokens = 0;
    begin(hash);
    compress(hash->v, parent);
}

void ryz_prefix_hash_init(struct ryz_prefix_hash *hash, uint64_t key, uint16_t tenant,
                          uint32_t block_tokens)
{
    RYZ_ASSERT(block_tokens > 0);
    *hash = (struct ryz_prefix_hash){.block_tokens = block_tokens};
    hash->key[0] = ryz_splitmix64(&key);
    hash->key[1] = ryz_splitmix64(&key);
    begin(hash);
    compress(hash->v, tenant);
    open_block(hash, finish(hash->v, sizeof(uint64_t), 0));
}

static inline uint64_t push(struct ryz_prefix_hash *hash, uint32_t token)
{
    if (hash->open_tokens % 2 == 0)
        hash->odd_token = token;
    else
        compress(hash->v, (uint64_t)token << 32 | hash->odd_token);
    if (++hash->open_tokens < hash->block_tokens) return 0;
    uint64_t size_bytes = sizeof(uint64_t) + (uint64_t)hash->block_tokens * sizeof token;
    uint64_t result = finish(hash->v, size_bytes, hash->block_tokens % 2 != 0 ? token : 0);
    open_block(hash, result);
    return result;
}

uint64_t ryz_prefix_hash_push(struct ryz_prefix_hash *hash, uint32_t token)
{
    return push(hash, token);
}

uint32_t ryz_prefix_hash_extend(struct ryz_prefix_hash *hash, const uint32_t *tokens,
                                uint32_t count, uint64_t *hashes)
{
    struct ryz_prefix_hash state = *hash; /* a local one lives in registers */
    uint32_t written = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t full = push(&state, tokens[i]);
        if (full != 0) hashes[written++] = full;
    }
    *hash = state;
    return written;
}
