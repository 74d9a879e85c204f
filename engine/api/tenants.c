/* tenants.c - see tenants.h. A search through 256 names costs less than the parsing of the body
 * that brought the name. */
#include "engine/api/tenants.h"

#include "engine/base/assert.h"

#include <string.h>

void ryz_tenants_init(struct ryz_tenants *tenants)
{
    uint16_t number = 1;
    memset(tenants, 0, sizeof *tenants);
    (void)pthread_mutex_init(&tenants->lock, NULL);
    enum ryz_status status = ryz_tenants_number(tenants, "default", &number);
    RYZ_ASSERT(status == RYZ_OK && number == RYZ_TENANT_DEFAULT);
}

void ryz_tenants_deinit(struct ryz_tenants *tenants)
{
    (void)pthread_mutex_destroy(&tenants->lock);
}

bool ryz_tenant_name_valid(const char *name, size_t length)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    bool good = length >= 1 && length <= RYZ_TENANT_BYTES_MAX;
    for (size_t i = 0; good && i < length; i++)
        good = memchr(allowed, name[i], sizeof allowed - 1) != NULL;
    return good;
}

enum ryz_status ryz_tenants_number(struct ryz_tenants *tenants, const char *name, uint16_t *number)
{
    size_t length = strlen(name);
    RYZ_ASSERT(ryz_tenant_name_valid(name, length));
    (void)pthread_mutex_lock(&tenants->lock);
    uint32_t at = 0;
    while (at < tenants->count && strcmp(tenants->names[at], name) != 0) at++;
    bool room = at < RYZ_TENANTS_MAX;
    if (room && at == tenants->count) {
        memcpy(tenants->names[at], name, length + 1);
        tenants->count++;
    }
    (void)pthread_mutex_unlock(&tenants->lock);
    *number = room ? (uint16_t)at : RYZ_TENANT_DEFAULT;
    return room ? RYZ_OK : RYZ_FULL;
}
