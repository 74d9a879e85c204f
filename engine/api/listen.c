/* listen.c - see listen.h. Made here and not by libmicrohttpd, which would not say why it failed.
 */
#include "engine/api/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 511

static int open_on(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    /* A restarted server must not wait for the last one's connections to time out. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return -1;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {.sin6_family = AF_UNSPEC}};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

enum ryz_status ryz_listen_tcp(const char *host, uint16_t port, int *fd, uint16_t *bound_port,
                               struct ryz_error *error)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int found = getaddrinfo(host, service, &hints, &addresses);
    if (found != 0)
        return ryz_fail(error, RYZ_INVALID, "cannot listen on \"%.100s\": %s", host,
                        gai_strerror(found));
    *fd = -1;
    int reason = EADDRNOTAVAIL;
    for (const struct addrinfo *a = addresses; a != NULL && *fd < 0; a = a->ai_next) {
        *fd = open_on(a);
        if (*fd < 0) reason = errno;
    }
    freeaddrinfo(addresses);
    if (*fd < 0)
        return ryz_fail_errno(error, RYZ_IO, reason, "cannot listen on %.100s port %u", host, port);
    if (bound_port != NULL) *bound_port = port_of(*fd);
    return RYZ_OK;
}
