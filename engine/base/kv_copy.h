/*
 * kv_copy.h - one copy of a whole KV block: what the scheduler orders and the memory does.
 *
 * Here because the two rooms do not know each other. Block ids are those of the scheduler's ledger;
 * device blocks and host blocks are numbered apart, each from 0.
 */
#ifndef RYZ_BASE_KV_COPY_H
#define RYZ_BASE_KV_COPY_H

#include <stdint.h>

enum ryz_kv_copy_kind {
    RYZ_KV_COPY_WITHIN, /* device block to device block */
    RYZ_KV_COPY_OUT,    /* device to host */
    RYZ_KV_COPY_IN      /* host to device */
};

struct ryz_kv_copy {
    uint32_t from, to; /* different blocks where the kind is WITHIN */
    enum ryz_kv_copy_kind kind;
};

#endif
