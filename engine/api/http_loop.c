/*
 * http_loop.c - waits for the daemon's epoll, a timeout or a sign of ours, and lets the daemon run.
 */
#include "engine/api/http_loop.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ryz_http_loop {
    struct MHD_Daemon *daemon;
    int epoll_fd; /* the daemon's */
    int wake_fd;
    _Atomic uint32_t ends; /* 1: one run more, and no further */
    pthread_t thread;
};

static int wait_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (MHD_get_timeout(daemon, &ms) != MHD_YES) return -1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void *run(void *argument)
{
    struct ryz_http_loop *loop = argument;
    struct pollfd fds[] = {{.fd = loop->epoll_fd, .events = POLLIN},
                           {.fd = loop->wake_fd, .events = POLLIN}};
    uint32_t ends = 0;
    while (ends == 0) {
        int count = poll(fds, 2, wait_ms(loop->daemon));
        RYZ_ASSERT(count >= 0 || errno == EINTR);
        /* Taken before the run: a sign that comes during it calls for another one. */
        uint64_t signs = 0;
        ssize_t n = read(loop->wake_fd, &signs, sizeof signs);
        RYZ_ASSERT(n == (ssize_t)sizeof signs || errno == EAGAIN);
        ends = ryz_load_acquire(&loop->ends);
        (void)MHD_run(loop->daemon);
    }
    return NULL;
}

/* The process's signals are for its main thread. */
static int start(struct ryz_http_loop *loop)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int reason = pthread_create(&loop->thread, NULL, run, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reason;
}

enum ryz_status ryz_http_loop_open(struct MHD_Daemon *daemon, struct ryz_http_loop **out,
                                   struct ryz_error *error)
{
    *out = NULL;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    RYZ_ASSERT(info != NULL);
    struct ryz_http_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the HTTP server");
    loop->daemon = daemon;
    loop->epoll_fd = info->epoll_fd;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out = loop; /* the first request may come before this returns */
    int reason = loop->wake_fd < 0 ? errno : start(loop);
    if (reason == 0) return RYZ_OK;
    *out = NULL;
    if (loop->wake_fd >= 0) (void)close(loop->wake_fd);
    free(loop);
    return ryz_fail_errno(error, RYZ_IO, reason, "cannot start the HTTP server's thread");
}

void ryz_http_loop_wake(struct ryz_http_loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof one);
    RYZ_ASSERT(n == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: signs enough */
}

void ryz_http_loop_close(struct ryz_http_loop *loop)
{
    if (loop == NULL) return;
    ryz_store_release(&loop->ends, 1);
    ryz_http_loop_wake(loop);
    (void)pthread_join(loop->thread, NULL);
    (void)close(loop->wake_fd);
    free(loop);
}
