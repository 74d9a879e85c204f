/* hash.c - XXH3-64 from libxxhash; the digest so far is the seed of the next piece. */
#include "engine/base/hash.h"

#include <xxhash.h>

uint64_t ryz_hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t ryz_hash64_extend(uint64_t digest, const void *data, size_t size)
{
    return XXH3_64bits_withSeed(data, size, digest);
}
