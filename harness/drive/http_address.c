/* http_address.c - URL, name resolution, and the one request that may block (before a run). */
#include "harness/drive/http_address.h"

#include "harness/drive/http_parser.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Copies text[0 .. length); false if it is empty or does not fit. */
static bool copy(char *to, size_t capacity, const char *text, size_t length)
{
    if (length == 0 || length >= capacity) return false;
    memcpy(to, text, length);
    to[length] = '\0';
    return true;
}

static bool split(const char *url, struct ryz_http_address *address)
{
    const char *at = url + strlen("http://");
    size_t authority = strcspn(at, "/?#"), host = 0;
    const char *end = at + authority;
    for (const char *c = at; c < end; c++) {
        if (*c <= ' ' || *c == '@' || (unsigned char)*c >= 0x7f) return false;
    }
    if (*at == '[') { /* [::1]:8080 */
        const char *bracket = memchr(at, ']', authority);
        if (bracket == NULL) return false;
        if (!copy(address->host, sizeof address->host, at + 1, (size_t)(bracket - at - 1)))
            return false;
        host = (size_t)(bracket + 1 - at);
    } else {
        const char *colon = memchr(at, ':', authority);
        host = colon != NULL ? (size_t)(colon - at) : authority;
        if (!copy(address->host, sizeof address->host, at, host)) return false;
    }
    (void)snprintf(address->port, sizeof address->port, "80");
    if (host < authority) {
        const char *port = at + host + 1;
        if (at[host] != ':' || strspn(port, "0123456789") != (size_t)(end - port) ||
            !copy(address->port, sizeof address->port, port, (size_t)(end - port)))
            return false;
    }
    size_t path = strlen(end);
    if (strcspn(end, " \t\r\n?#") != path) return false;
    while (path > 0 && end[path - 1] == '/') path--;
    return path == 0 || copy(address->path, sizeof address->path, end, path);
}

enum ryz_status ryz_http_address_open(const char *url, struct ryz_http_address *address,
                                      struct ryz_error *error)
{
    memset(address, 0, sizeof *address);
    if (strncmp(url, "https://", 8) == 0)
        return ryz_fail(error, RYZ_UNSUPPORTED,
                        "%.200s: https is not spoken here; put a local proxy in front of it", url);
    if (strncmp(url, "http://", 7) != 0 || !split(url, address))
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.200s\" is no address: write it like \"http://127.0.0.1:8080/v1\"",
                        url);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(address->host, address->port, &hints, &found);
    if (rc != 0)
        return ryz_fail(error, RYZ_IO, "cannot resolve %s: %s", address->host, gai_strerror(rc));
    memcpy(&address->socket_address, found->ai_addr, found->ai_addrlen);
    address->socket_address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return RYZ_OK;
}

struct sink {
    char *body;
    size_t length, capacity;
};

static void keep(void *context, const char *bytes, size_t length)
{
    struct sink *sink = context;
    if (length > sink->capacity - 1 - sink->length) length = sink->capacity - 1 - sink->length;
    memcpy(sink->body + sink->length, bytes, length);
    sink->length += length;
}

static bool send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

static enum ryz_status receive(int fd, struct sink *sink, uint32_t *http_status,
                               struct ryz_error *error)
{
    struct ryz_http_parser parser;
    char buffer[4096];
    ryz_http_parser_init(&parser);
    enum ryz_status status = RYZ_OK;
    while (!parser.done && status == RYZ_OK) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        size_t used = 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ryz_fail_errno(error, RYZ_IO, errno, "no answer");
        status = n == 0 ? ryz_http_parser_eof(&parser)
                        : ryz_http_parser_feed(&parser, buffer, (size_t)n, &used, keep, sink);
    }
    if (status != RYZ_OK) return ryz_fail(error, RYZ_IO, "%s", parser.reason);
    *http_status = parser.status;
    return RYZ_OK;
}

enum ryz_status ryz_http_get(const struct ryz_http_address *address, const char *tail,
                             int64_t timeout_ns, char *body, size_t capacity, uint32_t *http_status,
                             struct ryz_error *error)
{
    char request[1024];
    int length = snprintf(request, sizeof request,
                          "GET %s%s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: ryz\r\n"
                          "Accept: application/json\r\nConnection: close\r\n\r\n",
                          address->path, tail, address->host, address->port);
    if (length < 0 || (size_t)length >= sizeof request)
        return ryz_fail(error, RYZ_INVALID, "the address is too long");
    int fd = socket(address->socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return ryz_fail_errno(error, RYZ_IO, errno, "cannot open a socket");
    struct timeval wait = {.tv_sec = (time_t)(timeout_ns / RYZ_NS_PER_S),
                           .tv_usec = (suseconds_t)(timeout_ns % RYZ_NS_PER_S / RYZ_NS_PER_US)};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    struct sink sink = {.body = body, .capacity = capacity};
    enum ryz_status status = RYZ_OK;
    if (connect(fd, (const struct sockaddr *)&address->socket_address,
                address->socket_address_bytes) != 0 ||
        !send_all(fd, request, (size_t)length))
        status = ryz_fail_errno(error, RYZ_IO, errno, "no server at http://%s:%s", address->host,
                                address->port);
    else
        status = receive(fd, &sink, http_status, error);
    body[sink.length] = '\0';
    (void)close(fd);
    return status;
}
