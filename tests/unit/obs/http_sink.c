/* http_sink.c - see http_sink.h. */
#include "tests/unit/obs/http_sink.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX (1u << 22)

/* Reads one request into `text`; length of head and body, 0 at the end of the connection. */
static size_t read_request(int fd, char *text, size_t *head)
{
    size_t length = 0, wanted = SIZE_MAX;
    while (length < wanted && length < REQUEST_MAX - 1) {
        ssize_t n = recv(fd, text + length, REQUEST_MAX - 1 - length, 0);
        if (n <= 0) return 0;
        length += (size_t)n;
        text[length] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *field = strcasestr(text, "content-length:");
        if (end == NULL) continue;
        *head = (size_t)(end - text) + 4;
        wanted = *head + (field != NULL ? strtoull(field + 15, NULL, 10) : 0);
        if (strcasestr(text, "expect: 100") != NULL && length == *head)
            (void)send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    }
    return length;
}

static uint64_t count_spans(const char *body)
{
    uint64_t count = 0;
    for (const char *at = body; (at = strstr(at, "\"spanId\"")) != NULL; at++) count++;
    return count;
}

static int note(struct http_sink *s, const char *text, size_t head)
{
    (void)pthread_mutex_lock(&s->lock);
    int code = s->requests < 16 ? s->answers[s->requests] : 200;
    free(s->last_body);
    s->last_body = strdup(text + head);
    (void)sscanf(text, "POST %63s", s->target);
    if (code == 200) s->spans += count_spans(text + head);
    (void)pthread_mutex_unlock(&s->lock);
    return code;
}

static void serve(struct http_sink *s, int fd)
{
    char *text = malloc(REQUEST_MAX), answer[512];
    size_t head = 0;
    while (text != NULL && read_request(fd, text, &head) > 0) {
        int code = note(s, text, head);
        const char *body = s->body != NULL ? s->body : "{}";
        int length = snprintf(answer, sizeof answer,
                              "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\n\r\n%s",
                              code, strlen(body), body);
        if (code != 0) (void)send(fd, answer, (size_t)length, MSG_NOSIGNAL);
        (void)pthread_mutex_lock(&s->lock);
        s->requests++;
        (void)pthread_cond_broadcast(&s->changed);
        (void)pthread_mutex_unlock(&s->lock);
    }
    free(text);
}

static void *run(void *argument)
{
    struct http_sink *s = argument;
    for (;;) {
        int fd = accept(s->listen_fd, NULL, NULL);
        if (fd < 0) return NULL;
        serve(s, fd);
        (void)close(fd);
    }
}

void http_sink_open(struct http_sink *sink)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    memset(sink, 0, sizeof *sink);
    for (int i = 0; i < 16; i++) sink->answers[i] = 200;
    (void)pthread_mutex_init(&sink->lock, NULL);
    (void)pthread_cond_init(&sink->changed, NULL);
    sink->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(sink->listen_fd, 0);
    cr_assert_eq(bind(sink->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(sink->listen_fd, 8), 0);
    cr_assert_eq(getsockname(sink->listen_fd, (struct sockaddr *)&address, &length), 0);
    sink->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&sink->thread, NULL, run, sink), 0);
}

void http_sink_wait(struct http_sink *sink, uint64_t requests)
{
    (void)pthread_mutex_lock(&sink->lock);
    while (sink->requests < requests) (void)pthread_cond_wait(&sink->changed, &sink->lock);
    (void)pthread_mutex_unlock(&sink->lock);
}

void http_sink_close(struct http_sink *sink)
{
    (void)shutdown(sink->listen_fd, SHUT_RDWR); /* wakes accept; the exporter has hung up */
    (void)pthread_join(sink->thread, NULL);
    (void)close(sink->listen_fd);
    free(sink->last_body);
    (void)pthread_cond_destroy(&sink->changed);
    (void)pthread_mutex_destroy(&sink->lock);
}
