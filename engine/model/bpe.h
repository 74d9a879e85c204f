/*
 * bpe.h - byte-pair merges: a table of ranked merges, and the merging of one word.
 *
 * Works on token ids alone; what bytes they stand for is tokenizer.c's business.
 */
#ifndef RYZ_MODEL_BPE_H
#define RYZ_MODEL_BPE_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

#define RYZ_BPE_NO_SYMBOL UINT32_MAX /* a byte without a token: takes part in no merge */

struct ryz_bpe; /* immutable once filled: any number of threads may merge with it */

/* An empty table for up to `merges` merges. */
RYZ_MUST_USE enum ryz_status ryz_bpe_open(size_t merges, struct ryz_bpe **out,
                                          struct ryz_error *error);
/* NULL is allowed. */
void ryz_bpe_close(struct ryz_bpe *bpe);
/* Adds the next merge, left + right -> merged; its rank is the number of calls before it. A pair
 * that is there already keeps its lower rank. */
void ryz_bpe_add(struct ryz_bpe *bpe, uint32_t left, uint32_t right, uint32_t merged);

/* Memory for merging, reused from word to word; one thread's. */
struct ryz_bpe_scratch {
    struct ryz_bpe_symbol *symbols; /* treat as private */
    struct ryz_bpe_pair *heap;
    size_t capacity; /* symbols */
};

void ryz_bpe_scratch_init(struct ryz_bpe_scratch *scratch);
void ryz_bpe_scratch_deinit(struct ryz_bpe_scratch *scratch);

/* Merges ids[0 .. *count) in place, lowest rank first, leftmost first among equals; *count becomes
 * what is left. O(n log n). RYZ_NO_MEMORY, or RYZ_INVALID for more than 2^31 ids. */
RYZ_MUST_USE enum ryz_status ryz_bpe_merge(const struct ryz_bpe *bpe,
                                           struct ryz_bpe_scratch *scratch, uint32_t *ids,
                                           size_t *count);

#endif
