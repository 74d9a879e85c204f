/*
 * disconnect.h - sees what libmicrohttpd cannot: clients that leave while their connection is
 * suspended, and clients that take forever to send a request.
 *
 * One thread with an epoll of its own. A connection has a place here from accept to close. While a
 * request is in the engine its socket is watched for the peer's end (EPOLLRDHUP), and the engine is
 * told to cancel; a client that shuts down only its sending half is taken to have left, too. While
 * nothing is in the engine, a deadline runs: sockets that sent no whole request in time are shut
 * down, however busily they trickle bytes. And a peer's end that comes with its last bytes is shown
 * to libmicrohttpd once more, for its edge-triggered epoll overlooks it then (0.9.75, measured).
 */
#ifndef RYZ_API_DISCONNECT_H
#define RYZ_API_DISCONNECT_H

#include "engine/base/clock.h"
#include "engine/base/status.h"

#include <stdint.h>

struct ryz_disconnect;
struct ryz_place; /* of one connection; NULL is allowed below and means "not watched" */

struct ryz_disconnect_options {
    uint32_t connections_max;
    const struct ryz_clock *clock; /* borrowed */
    int64_t read_timeout_ns;       /* from accept or the last answer to a whole request */
    /* The client of a watched request has left. Called on the thread here, with its lock held; must
     * not call back. */
    void (*gone)(void *context, uint64_t request_id);
    void *context;
};

RYZ_MUST_USE enum ryz_status ryz_disconnect_open(const struct ryz_disconnect_options *options,
                                                 struct ryz_disconnect **out,
                                                 struct ryz_error *error);
void ryz_disconnect_close(struct ryz_disconnect *disconnect);

/* Takes a place for a new connection; its deadline starts. NULL: all are taken. Any thread, as all
 * below. */
struct ryz_place *ryz_disconnect_add(struct ryz_disconnect *disconnect, int fd);
void ryz_disconnect_remove(struct ryz_disconnect *disconnect, struct ryz_place *place);
/* A request head has arrived, or an answer was finished: the deadline starts anew. */
void ryz_disconnect_reading(struct ryz_disconnect *disconnect, struct ryz_place *place);
/* The request is whole: no deadline. */
void ryz_disconnect_answering(struct ryz_disconnect *disconnect, struct ryz_place *place);
/* Watches the client of a request in the engine, until unwatch. A client that has left already is
 * seen, too. */
void ryz_disconnect_watch(struct ryz_disconnect *disconnect, struct ryz_place *place,
                          uint64_t request_id);
void ryz_disconnect_unwatch(struct ryz_disconnect *disconnect, struct ryz_place *place);

#endif
