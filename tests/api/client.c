/* client.c - see client.h. */
#include "tests/api/client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 100 /* Valgrind is slow */

void client_open(struct client *client, uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    memset(client, 0, sizeof *client);
    client->capacity = 1 << 16;
    client->in = malloc(client->capacity);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(client->fd >= 0 && client->in != NULL);
    (void)setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    /* Head and body are sent apart; the body must not wait for the head's acknowledgement. */
    const int on = 1;
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    cr_assert_eq(connect(client->fd, (const struct sockaddr *)&address, sizeof address), 0);
}

void client_close(struct client *client)
{
    if (client->fd >= 0) (void)close(client->fd);
    free(client->in);
    memset(client, 0, sizeof *client);
    client->fd = -1;
}

void client_reset(struct client *client)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    client_close(client);
}

/* A server that refuses may close before all is sent; that is no failure of the client. */
void client_send(struct client *client, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = send(client->fd, at, length, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
        cr_assert_gt(n, 0, "cannot send: %s", strerror(errno));
        at += n;
        length -= (size_t)n;
    }
}

void client_send_text(struct client *client, const char *text)
{
    client_send(client, text, strlen(text));
}

void client_post(struct client *client, const char *path, const char *headers, const char *body)
{
    char head[2048];
    int length = snprintf(head, sizeof head,
                          "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n%s\r\n",
                          path, strlen(body), headers);
    cr_assert_lt(length, (int)sizeof head);
    client_send(client, head, (size_t)length);
    client_send_text(client, body);
}

void client_get(struct client *client, const char *path)
{
    char head[512];
    int length = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path);
    client_send(client, head, (size_t)length);
}

/* Receives more; false at the end of the connection. */
static bool receive(struct client *c)
{
    if (c->ended) return false;
    if (c->capacity - c->length < 4096) {
        c->capacity *= 2;
        c->in = realloc(c->in, c->capacity);
        cr_assert_not_null(c->in);
    }
    ssize_t n = recv(c->fd, c->in + c->length, c->capacity - c->length - 1, 0);
    cr_assert(n >= 0 || errno == ECONNRESET || errno == EPIPE, "no answer: %s", strerror(errno));
    if (n <= 0) {
        c->ended = true;
        return false;
    }
    c->length += (size_t)n;
    c->in[c->length] = '\0';
    return true;
}

static void consume(struct client *c, size_t bytes)
{
    cr_assert_leq(bytes, c->length);
    c->length -= bytes;
    memmove(c->in, c->in + bytes, c->length);
    c->in[c->length] = '\0';
}

bool answer_header(const struct answer *answer, const char *name, char value[256])
{
    char wanted[80];
    (void)snprintf(wanted, sizeof wanted, "\r\n%s:", name);
    const char *at = strcasestr(answer->head, wanted);
    if (at == NULL) return false;
    at += strlen(wanted);
    at += strspn(at, " ");
    (void)snprintf(value, 256, "%.*s", (int)strcspn(at, "\r"), at);
    return true;
}

void client_read_head(struct client *client, struct answer *answer)
{
    char value[256];
    memset(answer, 0, sizeof *answer);
    client->in[client->length] = '\0';
    const char *end = NULL;
    while ((end = strstr(client->in, "\r\n\r\n")) == NULL) {
        if (!receive(client)) return;
    }
    size_t length = (size_t)(end - client->in) + 4;
    cr_assert_lt(length, sizeof answer->head);
    memcpy(answer->head, client->in, length);
    cr_assert_eq(sscanf(answer->head, "HTTP/1.1 %d ", &answer->status), 1, "%s", answer->head);
    consume(client, length);
    client->chunked =
        answer_header(answer, "Transfer-Encoding", value) && strcmp(value, "chunked") == 0;
    client->chunk_left = 0;
}

/* Moves to the next byte of a chunked body: 1 if there is one, 0 at the body's end, -1 if it was
 * cut off. */
static int next_chunk(struct client *c)
{
    while (c->chunk_left == 0) {
        char *end = NULL;
        const char *line = NULL;
        while ((line = strstr(c->in, "\r\n")) == NULL || (line == c->in && c->length < 3)) {
            if (!receive(c)) return -1;
        }
        if (line == c->in) { /* behind the last chunk's data */
            consume(c, 2);
            continue;
        }
        size_t size = strtoull(c->in, &end, 16);
        cr_assert_eq(end, line, "bad chunk size");
        consume(c, (size_t)(line - c->in) + 2);
        if (size == 0) {
            while (c->length < 2) {
                if (!receive(c)) return -1;
            }
            consume(c, 2);
            return 0;
        }
        c->chunk_left = size;
    }
    while (c->length == 0) {
        if (!receive(c)) return -1;
    }
    return 1;
}

/* Reads up to `wanted` bytes of a chunked body, one at a time at worst. */
static int read_chunked(struct client *c, char *byte)
{
    int state = next_chunk(c);
    if (state != 1) return state;
    *byte = c->in[0];
    consume(c, 1);
    c->chunk_left--;
    return 1;
}

static void append(struct answer *answer, const char *bytes, size_t length)
{
    answer->body = realloc(answer->body, answer->body_length + length + 1);
    cr_assert_not_null(answer->body);
    memcpy(answer->body + answer->body_length, bytes, length);
    answer->body_length += length;
    answer->body[answer->body_length] = '\0';
}

void client_read(struct client *client, struct answer *answer)
{
    char value[256], byte = 0;
    client_read_head(client, answer);
    if (answer->status == 0) return;
    append(answer, "", 0);
    if (client->chunked) {
        int state = 0;
        while ((state = read_chunked(client, &byte)) == 1) append(answer, &byte, 1);
        answer->whole = state == 0;
        return;
    }
    cr_assert(answer_header(answer, "Content-Length", value), "%s", answer->head);
    size_t wanted = strtoull(value, NULL, 10);
    while (client->length < wanted && receive(client)) {
    }
    size_t got = client->length < wanted ? client->length : wanted;
    append(answer, client->in, got);
    consume(client, got);
    answer->whole = got == wanted;
}

char *client_read_event(struct client *client, bool *whole)
{
    struct answer event = {0};
    char byte = 0;
    int state = 0;
    while ((state = read_chunked(client, &byte)) == 1) {
        append(&event, &byte, 1);
        if (event.body_length >= 2 && strcmp(event.body + event.body_length - 2, "\n\n") == 0) {
            event.body[event.body_length - 2] = '\0';
            cr_assert_eq(strncmp(event.body, "data: ", 6), 0, "%s", event.body);
            memmove(event.body, event.body + 6, event.body_length - 7);
            return event.body;
        }
    }
    if (whole != NULL) *whole = state == 0 && event.body_length == 0;
    free(event.body);
    return NULL;
}

void answer_deinit(struct answer *answer)
{
    free(answer->body);
    memset(answer, 0, sizeof *answer);
}

json_t *answer_json(const struct answer *answer)
{
    json_error_t error;
    cr_assert(answer->whole, "the answer was cut off: %s%s", answer->head, answer->body);
    json_t *root = json_loadb(answer->body, answer->body_length,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    cr_assert_not_null(root, "%s in %s", error.text, answer->body);
    return root;
}

void ask(uint16_t port, const char *path, const char *body, struct answer *answer)
{
    struct client client;
    client_open(&client, port);
    if (body != NULL) {
        client_post(&client, path, "", body);
    } else {
        client_get(&client, path);
    }
    client_read(&client, answer);
    client_close(&client);
}

const json_t *json_at(const json_t *root, const char *path)
{
    char step[64];
    while (root != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        cr_assert_lt(length, sizeof step);
        memcpy(step, path, length);
        step[length] = '\0';
        path += length + (path[length] == '.');
        root = json_is_array(root) ? json_array_get(root, strtoull(step, NULL, 10))
                                   : json_object_get(root, step);
    }
    return root;
}

const char *text_at(const json_t *root, const char *path)
{
    const json_t *value = json_at(root, path);
    cr_assert(json_is_string(value), "%s is no string", path);
    return json_string_value(value);
}

int64_t integer_at(const json_t *root, const char *path)
{
    const json_t *value = json_at(root, path);
    cr_assert(json_is_integer(value), "%s is no integer", path);
    return json_integer_value(value);
}
