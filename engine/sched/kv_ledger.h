/*
 * kv_ledger.h - who holds which block of the KV pool, and which blocks without a holder still have
 * contents worth finding: ids, counts and hashes only.
 *
 * The tensors live elsewhere, keyed by block id, so the simulator shares this book-keeping.
 *
 *    FREE    --alloc--> HELD --publish--> INDEXED (held) --last release--> CACHED
 *    HELD    --last release--> FREE
 *    CACHED  --take--> INDEXED, or --alloc--> HELD (evicted: its hash is forgotten)
 *
 * Free and cached blocks form one queue from which allocations take the head. A block that is not
 * indexed goes to the front of it (it is used before anything is evicted), an indexed one to the
 * end (least recently used first). An allocation gives all the blocks asked for or none.
 *
 * With host blocks (kv_host.h) an evicted block's contents are copied out and its hash is found
 * there; who takes it gets a new block and a copy back. A hash is in one of the two tiers. The
 * ledger orders the copies and believes them done.
 *
 * Hashes come from prefix_hash.h, are never 0, and stand for the block and all before it. Two
 * blocks may have the same contents; a hash leads to one of them, see ryz_kv_ledger_publish.
 *
 * About 90 to 160 bytes per block, allocated at open. One thread at a time.
 */
#ifndef RYZ_SCHED_KV_LEDGER_H
#define RYZ_SCHED_KV_LEDGER_H

#include "engine/base/kv_copy.h"
#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define RYZ_KV_BLOCKS_MAX                                                                          \
    (UINT32_C(1) << 26) /* a bound against nonsense, 1 G tokens at 16 each                         \
                         */

#define RYZ_KV_IN_HOST UINT32_C(0x80000000) /* in a block id: see ryz_kv_ledger_take */

struct ryz_kv_ledger;

/* Copies in the order in which they must be done. Full is a bug: see who sizes it. */
struct ryz_kv_copies {
    struct ryz_kv_copy *entries; /* [count_max] */
    uint32_t count, count_max;
};

/* A request's first allocation: what is found of its beginning, and new blocks for the rest. */
struct ryz_kv_claim {
    const uint64_t *hashes; /* [hash_count], of its full blocks in order */
    uint32_t hash_count;
    uint32_t take_max;    /* leading blocks that may be taken: the last token is computed anew */
    uint32_t block_count; /* blocks in all */
};

/* All since open. Lookups are what take and a successful claim asked for; match counts nothing, so
 * a policy may look as often as it likes. */
struct ryz_kv_cache_stats {
    uint64_t lookups;               /* of at least one block */
    uint64_t lookup_blocks;         /* asked for */
    uint64_t hit_blocks;            /* of them, taken */
    uint64_t host_hit_blocks;       /* of these, from the host tier */
    uint64_t evicted_blocks;        /* cached ones that an allocation needed */
    uint64_t evicted_missed_blocks; /* hits lost to evictions: following the blocks taken, not there
                                       but among the last block_count whose contents were lost */
    uint64_t host_out_blocks;       /* copied to the host tier */
    uint64_t host_in_blocks;        /* copied back */
    uint64_t host_dropped_blocks;   /* lost there, or on the way there: it was full */
};

/* A pool of blocks 0 .. block_count - 1, all free. */
RYZ_MUST_USE enum ryz_status ryz_kv_ledger_open(uint32_t block_count, struct ryz_kv_ledger **ledger,
                                                struct ryz_error *error);
/* Adds a tier of host blocks to a ledger that nothing was allocated from. Copies are appended to
 * *copies (borrowed), which its owner empties when they are done: one out for each allocated block
 * at most, and one in. */
RYZ_MUST_USE enum ryz_status ryz_kv_ledger_add_host(struct ryz_kv_ledger *ledger,
                                                    uint32_t host_blocks,
                                                    struct ryz_kv_copies *copies,
                                                    struct ryz_error *error);
void ryz_kv_ledger_close(struct ryz_kv_ledger *ledger);

/* Writes `count` ids to `blocks`, each held once by the caller, evicting cached blocks where no
 * other is free; false, and nothing changed, when fewer can be had. */
bool ryz_kv_ledger_alloc(struct ryz_kv_ledger *ledger, uint32_t count, uint32_t *blocks);
/* One more owner of a held block. */
void ryz_kv_ledger_retain(struct ryz_kv_ledger *ledger, uint32_t block);
/* One owner fewer; the last one leaves the block free, or cached if it is indexed. */
void ryz_kv_ledger_release(struct ryz_kv_ledger *ledger, uint32_t block);
/* Releases a request's blocks, its last block first: so its end is evicted before its beginning. */
void ryz_kv_ledger_release_all(struct ryz_kv_ledger *ledger, const uint32_t *blocks,
                               uint32_t count);

/* Indexes a held block that is full under its hash, once. When another block is indexed under that
 * hash already: if that one is held, it stays and the new one is not indexed (false); if it is only
 * cached, it becomes free and the new one takes its place, so that contents in use are not evicted
 * for the age of their copy. */
bool ryz_kv_ledger_publish(struct ryz_kv_ledger *ledger, uint32_t block, uint64_t hash);
/* The block of the pool that is indexed under `hash`, UINT32_MAX if there is none. */
uint32_t ryz_kv_ledger_find(const struct ryz_kv_ledger *ledger, uint64_t hash);
/* How many leading blocks are indexed or in the host tier, changing nothing. *cached (may be NULL):
 * how many of those nobody holds; taking them costs as much of free_count as new blocks would. */
uint32_t ryz_kv_ledger_match(const struct ryz_kv_ledger *ledger, const uint64_t *hashes,
                             uint32_t count, uint32_t *cached);
/* One more owner of each leading block that is found: writes their ids to `blocks` (at most
 * `count`) and returns their number. For one in the host tier it is no block's id yet but one with
 * RYZ_KV_IN_HOST, and the contents are kept until ryz_kv_ledger_load has been called for it: so
 * several may take before any of them allocates. */
uint32_t ryz_kv_ledger_take(struct ryz_kv_ledger *ledger, const uint64_t *hashes, uint32_t count,
                            uint32_t *blocks);
/* Gives blocks to those of the `count` taken ones that are in the host tier, and copies the
 * contents back; there must be room, see match. Two who took one such block share it. */
void ryz_kv_ledger_load(struct ryz_kv_ledger *ledger, const uint64_t *hashes, uint32_t count,
                        uint32_t *blocks);
/* match, take, load and alloc in one: writes block_count ids, the first *taken of them found, the
 * others new. False, and nothing changed or written, when there is no room for all. */
bool ryz_kv_ledger_claim(struct ryz_kv_ledger *ledger, const struct ryz_kv_claim *claim,
                         uint32_t *blocks, uint32_t *taken);

/* Blocks that an allocation could give: free and cached ones. */
uint32_t ryz_kv_ledger_free_count(const struct ryz_kv_ledger *ledger);
/* Those of them that are cached. */
uint32_t ryz_kv_ledger_cached_count(const struct ryz_kv_ledger *ledger);
uint32_t ryz_kv_ledger_block_count(const struct ryz_kv_ledger *ledger);
/* Owners of a block, 0 when it is free or cached. */
uint32_t ryz_kv_ledger_owners(const struct ryz_kv_ledger *ledger, uint32_t block);
/* The hash under which a block is indexed, 0 when it is not. */
uint64_t ryz_kv_ledger_hash(const struct ryz_kv_ledger *ledger, uint32_t block);
struct ryz_kv_cache_stats ryz_kv_ledger_cache_stats(const struct ryz_kv_ledger *ledger);
/* Host blocks that keep contents, and the hash that one keeps, 0 when it is free. */
uint32_t ryz_kv_ledger_host_count(const struct ryz_kv_ledger *ledger);
uint64_t ryz_kv_ledger_host_hash(const struct ryz_kv_ledger *ledger, uint32_t host_block);

/* Appends one copy. */
void ryz_kv_copies_add(struct ryz_kv_copies *copies, enum ryz_kv_copy_kind kind, uint32_t from,
                       uint32_t to);

#endif
