/* fake_server.c - see fake_server.h. */
#include "tests/unit/drive/fake_server.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 256

struct client {
    struct fake_server *server;
    int fd;
};

static void say(const struct client *client, const char *text)
{
    size_t length = strlen(text), step = length;
    if (client->server->manners == FAKE_BYTE_BY_BYTE) step = 1;
    for (size_t at = 0; at < length; at += step) {
        size_t n = length - at < step ? length - at : step;
        if (send(client->fd, text + at, n, MSG_NOSIGNAL) < 0) return;
    }
}

static void say_chunk(const struct client *client, const char *data)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%zx\r\n%s\r\n", strlen(data), data);
    say(client, text);
}

static void say_event(const struct client *client, bool chunked, const char *data)
{
    char text[512];
    (void)snprintf(text, sizeof text, "data: %s\n\n", data);
    if (chunked)
        say_chunk(client, text);
    else
        say(client, text);
}

static void say_token(const struct client *client, bool chunked, uint32_t i)
{
    char text[256];
    if (client->server->manners == FAKE_NO_IDS)
        (void)snprintf(text, sizeof text, "{\"choices\":[{\"index\":0,\"text\":\"w%u \"}]}", i);
    else
        (void)snprintf(text, sizeof text,
                       "{\"choices\":[{\"index\":0,\"text\":\"w%u \",\"finish_reason\":null,"
                       "\"token_ids\":[%u]}]}",
                       i, 100 + i);
    say_event(client, chunked, text);
}

static void answer_stream(const struct client *client, uint32_t tokens)
{
    struct fake_server *server = client->server;
    uint32_t manners = server->manners;
    bool chunked = manners != FAKE_CLOSES;
    say(client, chunked ? "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n"
                        : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Connection: close\r\n\r\n");
    bool breaks = manners == FAKE_RESETS || manners == FAKE_CUTS || manners == FAKE_NO_END ||
                  manners == FAKE_ERROR_EVENT || manners == FAKE_TIMEOUT_EVENT;
    for (uint32_t i = 0; i < (breaks ? 2 : tokens); i++) say_token(client, chunked, i);
    if (manners == FAKE_RESETS) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        return;
    }
    if (manners == FAKE_CUTS) return;
    if (manners == FAKE_BAD_JSON) say_event(client, chunked, "{\"choices\":[");
    if (manners == FAKE_ERROR_EVENT)
        say_event(client, chunked, "{\"error\":{\"message\":\"broken\",\"code\":500}}");
    if (manners == FAKE_TIMEOUT_EVENT)
        say_event(client, chunked, "{\"error\":{\"message\":\"over\",\"code\":\"timeout\"}}");
    if (!breaks) {
        char usage[160];
        say_event(client, chunked, "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}");
        (void)snprintf(usage, sizeof usage,
                       "{\"choices\":[],\"usage\":{\"prompt_tokens\":77,\"completion_tokens\":%u}}",
                       manners == FAKE_NO_IDS ? 2 * tokens : tokens);
        say_event(client, chunked, usage);
        say_event(client, chunked, "[DONE]");
    }
    if (chunked) say(client, "0\r\n\r\n");
}

static void answer_plain(const struct client *client, const char *status, const char *body)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   status, strlen(body), body);
    say(client, text);
}

static void hold(struct fake_server *server)
{
    server->held++;
    (void)pthread_mutex_lock(&server->lock);
    while (!server->released && !server->stopping)
        (void)pthread_cond_wait(&server->release, &server->lock);
    (void)pthread_mutex_unlock(&server->lock);
}

/* Answers one request; false: the connection is to be closed. */
static bool answer(const struct client *client, uint32_t tokens)
{
    struct fake_server *server = client->server;
    char body[256], byte;
    uint32_t manners = server->manners;
    switch (manners) {
    case FAKE_400:
        answer_plain(client, "400 Bad Request", "{\"error\":{\"message\":\"no\"}}");
        return true;
    case FAKE_429:
        answer_plain(client, "429 Too Many Requests", "{\"error\":{\"message\":\"later\"}}");
        return true;
    case FAKE_429_LATE:
        answer_plain(client, "429 Too Many Requests",
                     "{\"error\":{\"message\":\"late\",\"code\":\"deadline_unreachable\"}}");
        return true;
    case FAKE_504:
        answer_plain(client, "504 Gateway Timeout",
                     "{\"error\":{\"message\":\"over\",\"code\":\"timeout\"}}");
        return true;
    case FAKE_500:
        answer_plain(client, "500 Internal Server Error", "oops");
        return true;
    case FAKE_503:
        answer_plain(client, "503 Service Unavailable", "");
        return true;
    case FAKE_WHOLE:
        (void)snprintf(body, sizeof body,
                       "{\"choices\":[{\"text\":\"all at once\",\"finish_reason\":\"stop\"}],"
                       "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":%u}}",
                       tokens);
        answer_plain(client, "200 OK", body);
        return true;
    case FAKE_GARBAGE:
        say(client, "220 mail.example.org ESMTP\r\n");
        return false;
    case FAKE_SILENT:
        (void)!recv(client->fd, &byte, 1, 0); /* until the client leaves */
        server->left++;
        return false;
    case FAKE_HELD:
        hold(server);
        break;
    default:
        break;
    }
    answer_stream(client, tokens);
    return server->manners != FAKE_RESETS && server->manners != FAKE_CUTS &&
           server->manners != FAKE_CLOSES && server->manners != FAKE_DROPS_IDLE;
}

/* Reads one request into `text` (capacity); 0 at the connection's end. */
static size_t read_request(int fd, char *text, size_t capacity)
{
    size_t length = 0, need = capacity;
    while (length < need) {
        ssize_t n = recv(fd, text + length, capacity - 1 - length, 0);
        if (n <= 0) return 0;
        length += (size_t)n;
        text[length] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *field = strstr(text, "Content-Length: ");
        if (end == NULL) continue;
        need = (size_t)(end + 4 - text);
        if (field != NULL) need += strtoul(field + 16, NULL, 10);
        cr_assert_lt(need, capacity);
    }
    return length;
}

static void *serve_client(void *argument)
{
    struct client *client = argument;
    struct fake_server *server = client->server;
    char *text = malloc(1 << 20);
    while (read_request(client->fd, text, 1 << 20) > 0) {
        if (strncmp(text, "GET /v1/models ", 15) == 0) {
            answer_plain(client, "200 OK", "{\"data\":[{\"id\":\"fake-model\"}]}");
            continue;
        }
        server->requests++;
        if (strstr(text, "traceparent: 00-") != NULL) server->traced++;
        const char *wanted = strstr(text, "\"max_tokens\":");
        cr_assert_eq(strncmp(text, "POST /v1/completions ", 21), 0);
        cr_assert_not_null(wanted);
        if (!answer(client, (uint32_t)strtoul(wanted + 13, NULL, 10))) break;
    }
    (void)close(client->fd);
    free(text);
    free(client);
    return NULL;
}

static void *accept_clients(void *argument)
{
    struct fake_server *server = argument;
    pthread_t threads[CLIENTS_MAX];
    uint32_t count = 0;
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0) break;
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        server->connections++;
        struct client *client = malloc(sizeof *client);
        *client = (struct client){.server = server, .fd = fd};
        cr_assert_lt(count, CLIENTS_MAX);
        int rc = pthread_create(&threads[count++], NULL, serve_client, client);
        cr_assert_eq(rc, 0);
    }
    for (uint32_t i = 0; i < count; i++) (void)pthread_join(threads[i], NULL);
    return NULL;
}

void fake_server_open(struct fake_server *server, enum fake_manners manners)
{
    memset(server, 0, sizeof *server);
    server->manners = manners;
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->release, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(server->fd, 0);
    cr_assert_eq(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(server->fd, 128), 0);
    cr_assert_eq(getsockname(server->fd, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&server->thread, NULL, accept_clients, server), 0);
}

void fake_server_release(struct fake_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->released = true;
    (void)pthread_cond_broadcast(&server->release);
    (void)pthread_mutex_unlock(&server->lock);
}

/* The clients must have closed their connections. */
void fake_server_close(struct fake_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    (void)pthread_cond_broadcast(&server->release);
    (void)pthread_mutex_unlock(&server->lock);
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
}
