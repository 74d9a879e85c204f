/* http_address.h - where a server is: a URL, taken apart and resolved; and one blocking GET. */
#ifndef RYZ_HARNESS_DRIVE_HTTP_ADDRESS_H
#define RYZ_HARNESS_DRIVE_HTTP_ADDRESS_H

#include "engine/base/clock.h"
#include "engine/base/status.h"

#include <sys/socket.h>

struct ryz_http_address {
    char host[256]; /* without brackets */
    char port[8];
    char path[256]; /* "/v1", never ends with a slash; may be empty */
    struct sockaddr_storage socket_address;
    socklen_t socket_address_bytes;
};

/* Takes "http://host[:port][/path]" apart and resolves the host. */
RYZ_MUST_USE enum ryz_status
ryz_http_address_open(const char *url, struct ryz_http_address *address, struct ryz_error *error);
/* Fetches {path}{tail} and waits for it, each read up to timeout_ns. The body goes to `body`
 * (capacity, NUL-terminated, cut if longer), its status to *http_status. */
RYZ_MUST_USE enum ryz_status ryz_http_get(const struct ryz_http_address *address, const char *tail,
                                          int64_t timeout_ns, char *body, size_t capacity,
                                          uint32_t *http_status, struct ryz_error *error);

#endif
