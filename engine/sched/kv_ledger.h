/*
 * kv_ledger.h - who holds which block of the KV pool: ids and counts only.
 *
 * The tensors live elsewhere, keyed by block id, so the simulator shares this book-keeping. A block
 * is free or held by one or more owners (a shared prefix has several); an allocation gives all the
 * blocks asked for or none. One thread at a time.
 */
#ifndef RYZ_SCHED_KV_LEDGER_H
#define RYZ_SCHED_KV_LEDGER_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define RYZ_KV_BLOCKS_MAX                                                                          \
    (UINT32_C(1) << 26) /* a bound against nonsense, 1 G tokens at 16 each                         \
                         */

struct ryz_kv_ledger;

/* A pool of blocks 0 .. block_count - 1, all free. */
RYZ_MUST_USE enum ryz_status ryz_kv_ledger_open(uint32_t block_count, struct ryz_kv_ledger **ledger,
                                                struct ryz_error *error);
void ryz_kv_ledger_close(struct ryz_kv_ledger *ledger);

/* Writes `count` ids to `blocks`, each held once by the caller; false, and nothing changed, when
 * fewer are free. */
bool ryz_kv_ledger_alloc(struct ryz_kv_ledger *ledger, uint32_t count, uint32_t *blocks);
/* One more owner of a held block. */
void ryz_kv_ledger_retain(struct ryz_kv_ledger *ledger, uint32_t block);
/* One owner fewer; the last one frees the block. */
void ryz_kv_ledger_release(struct ryz_kv_ledger *ledger, uint32_t block);
/* Releases a request's blocks, its last block first. */
void ryz_kv_ledger_release_all(struct ryz_kv_ledger *ledger, const uint32_t *blocks,
                               uint32_t count);

uint32_t ryz_kv_ledger_free_count(const struct ryz_kv_ledger *ledger);
uint32_t ryz_kv_ledger_block_count(const struct ryz_kv_ledger *ledger);
/* Owners of a block, 0 when it is free. */
uint32_t ryz_kv_ledger_owners(const struct ryz_kv_ledger *ledger, uint32_t block);

#endif
