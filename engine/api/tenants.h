/*
 * tenants.h - names of tenants to the numbers that the scheduler counts by.
 *
 * Bounded: a number is kept for the life of the server, for the scheduler's accounts hang on it, so
 * a name beyond the last place is refused. Any thread.
 */
#ifndef RYZ_API_TENANTS_H
#define RYZ_API_TENANTS_H

#include "engine/base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_TENANTS_MAX       256u
#define RYZ_TENANT_BYTES_MAX  32u
#define RYZ_TENANT_DEFAULT    0u /* number of "default", who sends what names no tenant */
#define RYZ_TENANT_CHARACTERS "A to Z, a to z, 0 to 9, '_', '.', '-'"

/* Treat fields as private. */
struct ryz_tenants {
    pthread_mutex_t lock;
    uint32_t count;                                         /* lock */
    char names[RYZ_TENANTS_MAX][RYZ_TENANT_BYTES_MAX + 1u]; /* lock; (count), by number */
};

/* With "default" as the only name. */
void ryz_tenants_init(struct ryz_tenants *tenants);
void ryz_tenants_deinit(struct ryz_tenants *tenants);

/* 1 to 32 of RYZ_TENANT_CHARACTERS? `length` bytes, which may hold a NUL. */
bool ryz_tenant_name_valid(const char *name, size_t length);
/* The number of a valid name, a new one if it was not seen before. RYZ_FULL: no place is left. */
RYZ_MUST_USE enum ryz_status ryz_tenants_number(struct ryz_tenants *tenants, const char *name,
                                                uint16_t *number);

#endif
