/*
 * client.h - a small blocking HTTP client for tests: sends bytes as they are, reads answers.
 *
 * Fails the test on anything that is not HTTP; a server that does not answer within 100 s fails it,
 * too.
 */
#ifndef RYZ_TESTS_API_CLIENT_H
#define RYZ_TESTS_API_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
    int fd;
    char *in; /* received, not yet read */
    size_t length, capacity;
    bool ended; /* the server has closed */
    bool chunked;
    size_t chunk_left;
};

struct answer {
    int status; /* 0: the connection ended without an answer */
    char head[4096];
    char *body; /* NUL-terminated */
    size_t body_length;
    bool whole; /* the body was not cut off */
};

void client_open(struct client *client, uint16_t port);
void client_close(struct client *client);
/* Closes with a reset instead of an orderly end. */
void client_reset(struct client *client);
void client_send(struct client *client, const void *bytes, size_t length);
void client_send_text(struct client *client, const char *text);
/* POST with a JSON body; `headers` are further header lines, each with its CRLF, or "". */
void client_post(struct client *client, const char *path, const char *headers, const char *body);
void client_get(struct client *client, const char *path);

/* Reads a whole answer. Free with answer_deinit. */
void client_read(struct client *client, struct answer *answer);
/* Reads the head only; events follow. */
void client_read_head(struct client *client, struct answer *answer);
/* The data of the next event of a stream, to be freed; NULL at its end. *whole (may be NULL) says
 * whether the stream was ended as it should. */
char *client_read_event(struct client *client, bool *whole);
void answer_deinit(struct answer *answer);
/* Value of a header of the answer, copied into `value`; false if there is none. */
bool answer_header(const struct answer *answer, const char *name, char value[256]);
/* The body as JSON. */
json_t *answer_json(const struct answer *answer);

/* One request on a connection of its own. */
void ask(uint16_t port, const char *path, const char *body, struct answer *answer);

/* Value at a path such as "choices.0.text"; NULL if there is none. */
const json_t *json_at(const json_t *root, const char *path);
const char *text_at(const json_t *root, const char *path);
int64_t integer_at(const json_t *root, const char *path);

#endif
