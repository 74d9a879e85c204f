/*
 * http_loop.h - the thread that serves libmicrohttpd's events.
 *
 * libmicrohttpd has such a thread of its own. In version 0.9.75 it takes 128 events at a time and,
 * after full batches, waits for the next one before it has looked at those it has: when exactly 256
 * idle connections become readable at once, all of them wait until something else happens. Driven
 * from outside it never waits, so the waiting is done here.
 */
#ifndef RYZ_API_HTTP_LOOP_H
#define RYZ_API_HTTP_LOOP_H

#include "engine/base/status.h"

struct MHD_Daemon;
struct ryz_http_loop;

/* Serves a daemon that was started for epoll without a thread of its own (borrowed). */
RYZ_MUST_USE enum ryz_status
ryz_http_loop_open(struct MHD_Daemon *daemon, struct ryz_http_loop **out, struct ryz_error *error);
/* To be called after each MHD_resume_connection, by any thread: a run of the daemon may eat the
 * library's own sign of it and see to it only in the next run. */
void ryz_http_loop_wake(struct ryz_http_loop *loop);
/* Serves what is pending once more and ends the thread; then the daemon may be stopped. NULL is
 * allowed. */
void ryz_http_loop_close(struct ryz_http_loop *loop);

#endif
