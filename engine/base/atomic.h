/*
 * atomic.h - C11 atomics through names that carry their order, so that a reader sees which
 * ordering was meant and no sequentially consistent operation happens by accident.
 */
#ifndef RYZ_BASE_ATOMIC_H
#define RYZ_BASE_ATOMIC_H

#include <stdatomic.h>

/* Lower case because they stand for functions; macros because C11 atomics are generic.
 * NOLINTBEGIN(readability-identifier-naming) */
#define ryz_load_relaxed(object) atomic_load_explicit((object), memory_order_relaxed)
#define ryz_load_acquire(object) atomic_load_explicit((object), memory_order_acquire)
#define ryz_store_relaxed(object, value)                                                           \
    atomic_store_explicit((object), (value), memory_order_relaxed)
#define ryz_store_release(object, value)                                                           \
    atomic_store_explicit((object), (value), memory_order_release)
#define ryz_add_relaxed(object, value)                                                             \
    atomic_fetch_add_explicit((object), (value), memory_order_relaxed)
#define ryz_add_acq_rel(object, value)                                                             \
    atomic_fetch_add_explicit((object), (value), memory_order_acq_rel)
#define ryz_cas_acq_rel(object, expected, desired)                                                 \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_acq_rel, \
                                            memory_order_acquire)
/* NOLINTEND(readability-identifier-naming) */

#endif
