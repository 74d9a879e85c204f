/* listen.h - a listening TCP socket. */
#ifndef RYZ_API_LISTEN_H
#define RYZ_API_LISTEN_H

#include "engine/base/status.h"

/* Listens on host ("127.0.0.1", "::1", "localhost", "0.0.0.0") and port, 0 for any free one. *fd is
 * non-blocking and the caller's; *bound_port (may be NULL) the port it got. */
RYZ_MUST_USE enum ryz_status ryz_listen_tcp(const char *host, uint16_t port, int *fd,
                                            uint16_t *bound_port, struct ryz_error *error);

#endif
