/*
 * prefix_hash.h - the hash of a full block and of everything before it.
 *
 *   h(-1) = S(tenant)      h(i) = S(h(i-1), token ids of block i)      S = SipHash-2-4 under the
 * key
 *
 * Equal hashes mean equal beginnings of equal tenants: other tenants neither hit nor learn from the
 * time to the first token what somebody else has asked. The live engine and the simulator use this
 * one function.
 *
 * Why not XXH3 (base/hash.h): its authors promise nothing against somebody who chooses the input,
 * and two prompts of one hash would be answered from each other's keys and values. SipHash is a
 * keyed function made for that, and next to a forward pass it costs nothing. What is left is
 * chance: a lookup in a pool of 2^20 blocks meets a wrong one with 2^-44. The key is expanded from
 * 64 bits, so whoever could see hashes could search for it; they never leave the process.
 */
#ifndef RYZ_SCHED_PREFIX_HASH_H
#define RYZ_SCHED_PREFIX_HASH_H

#include <stdint.h>

/* Where a sequence stands. A plain value: a copy goes back to where it was made. Treat fields as
 * private. */
struct ryz_prefix_hash {
    uint64_t key[2];
    uint64_t v[4];         /* SipHash's state inside the open block */
    uint64_t parent;       /* hash of the last full block, or h(-1) */
    uint32_t block_tokens; /* of a full block */
    uint32_t open_tokens;  /* in the open one, < block_tokens */
    uint32_t odd_token;    /* the last token if open_tokens is odd */
};

/* The beginning of a sequence. The engine draws the key at start; a seed serves the simulator. */
void ryz_prefix_hash_init(struct ryz_prefix_hash *hash, uint64_t key, uint16_t tenant,
                          uint32_t block_tokens);
/* Appends a token; the hash of the block that it fills (never 0), else 0. */
uint64_t ryz_prefix_hash_push(struct ryz_prefix_hash *hash, uint32_t token);
/* Appends `count` tokens and writes the hashes of the blocks they fill, at most
 * count / block_tokens + 1; returns how many. */
uint32_t ryz_prefix_hash_extend(struct ryz_prefix_hash *hash, const uint32_t *tokens,
                                uint32_t count, uint64_t *hashes);

#endif
