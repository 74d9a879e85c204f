/* routes.h - which path is answered by what. */
#ifndef RYZ_API_ROUTES_H
#define RYZ_API_ROUTES_H

#include "engine/api/exchange.h"

struct ryz_route {
    const char *path;      /* a trailing '*' stands for anything but nothing */
    bool post;             /* POST with a body; else GET and HEAD */
    const char *id_prefix; /* of ids made here; NULL: "req" */
    const char *allow;     /* for 405 */
    enum MHD_Result (*answer)(struct ryz_exchange *exchange);
};

/* NULL: no such path. */
const struct ryz_route *ryz_route_find(const char *path);
bool ryz_route_allows(const struct ryz_route *route, const char *method);

#endif
