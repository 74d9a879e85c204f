/*
 * Goal: the hash is XXH3-64 as published, and a running digest depends on order and cuts.
 * Method: known answers of the empty input and of one byte, then inequalities.
 */
#include "engine/base/hash.h"

#include <criterion/criterion.h>
#include <string.h>

Test(hash, is_xxh3_64)
{
    cr_assert_eq(ryz_hash64("", 0), UINT64_C(0x2d06800538d394c2));
}

Test(hash, extending_from_nothing_is_hashing)
{
    cr_assert_eq(ryz_hash64_extend(0, "ryz", 3), ryz_hash64("ryz", 3));
}

Test(hash, the_digest_depends_on_the_order_of_pieces)
{
    uint64_t ab = ryz_hash64_extend(ryz_hash64_extend(0, "a", 1), "b", 1);
    uint64_t ba = ryz_hash64_extend(ryz_hash64_extend(0, "b", 1), "a", 1);
    cr_assert_neq(ab, ba);
}

Test(hash, every_bit_of_a_piece_counts)
{
    unsigned char data[24];
    memset(data, 0x5a, sizeof data);
    uint64_t whole = ryz_hash64_extend(1, data, sizeof data);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        cr_assert_neq(ryz_hash64_extend(1, data, sizeof data), whole, "bit %zu", bit);
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}
