/* hash.h - XXH3-64, the hash of prompts, outputs, schedules and decisions. Not for secrets. */
#ifndef RYZ_BASE_HASH_H
#define RYZ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64; of token ids it is taken over little-endian u32. */
uint64_t ryz_hash64(const void *data, size_t size);
/* Extends a running digest by `size` bytes; start from 0. Order matters. */
uint64_t ryz_hash64_extend(uint64_t digest, const void *data, size_t size);

#endif
