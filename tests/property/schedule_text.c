/* schedule_text.c - what the requests of a random schedule say, and who else says the same. */
#include "tests/property/schedule_model.h"

/* Who else has the token before `end` and all those before it: the requests of a family while they
 * are alike, the choices of a prompt in it. */
static uint64_t owner_of(const struct model *m, uint32_t id, uint32_t end)
{
    const struct model_request *r = &m->requests[id];
    if (end <= r->alike) {
        /* Tenants find their own only; where nothing depends on it, more is found. */
        return 1000 + r->family + (m->config.share_count > 0 ? 10 * (uint64_t)r->tenant : 0);
    }
    return end <= r->prompt ? r->leader : id;
}

uint64_t model_hash_of(const struct model *m, uint32_t id, uint32_t block)
{
    uint64_t who = owner_of(m, id, (block + 1) * m->limits.kv_block_tokens);
    return (who + 1) << 32 | (block + 1);
}

uint64_t model_token_of(const struct model *m, uint32_t id, uint32_t position)
{
    return (owner_of(m, id, position + 1) + 1) << 32 | (position + 1);
}
