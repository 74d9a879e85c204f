/* disconnect.c - the epoll thread. See disconnect.h. */
#include "engine/api/disconnect.h"

#include "engine/base/assert.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS     250 /* how late a deadline, or an end beside a last byte, is noticed */
#define EVENTS_MAX  64
#define STOP_MARKER UINT64_MAX
#define BURST_MIN   256u /* connections at once whose memory is worth giving back */

struct ryz_place {
    int fd;              /* -1: free */
    bool watched;        /* a request of it is in the engine */
    uint32_t generation; /* counts changes, so that an event of an earlier state is recognised */
    uint64_t request_id; /* while watched */
    int64_t deadline_ns; /* RYZ_TIME_NEVER: none */
    bool peer_ended;     /* seen while nothing was in the engine */
};

struct ryz_disconnect {
    struct ryz_disconnect_options options;
    int epoll_fd, stop_fd;
    pthread_t thread;
    pthread_mutex_t lock;     /* of `places`; taken after no other lock of this room's caller */
    struct ryz_place *places; /* (connections_max) */
    uint32_t *free;           /* (free_count) indices of free places, a stack */
    uint32_t free_count;
    uint32_t open_most;    /* connections at once since memory was given back */
    int64_t next_check_ns; /* the thread's own */
};

static uint64_t marker(const struct ryz_disconnect *d, const struct ryz_place *p)
{
    return (uint64_t)p->generation << 32 | (uint32_t)(p - d->places);
}

/* Asks for one event when the peer ends its sending; one that has done so already counts. Caller
 * holds the lock. */
static void arm(struct ryz_disconnect *d, struct ryz_place *p, int operation)
{
    p->generation++;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = marker(d, p)};
    (void)epoll_ctl(d->epoll_fd, operation, p->fd, &event);
}

/* A shutdown makes libmicrohttpd's own epoll look at the connection again, here and at each check.
 * What has arrived can still be read, so ending the reading side takes nothing from a request that
 * is whole. */
static void on_event(struct ryz_disconnect *d, uint64_t which)
{
    struct ryz_place *p = &d->places[which & UINT32_MAX];
    (void)pthread_mutex_lock(&d->lock);
    if (p->fd >= 0 && marker(d, p) == which) {
        if (p->watched) {
            d->options.gone(d->options.context, p->request_id);
        } else {
            p->peer_ended = true;
            (void)shutdown(p->fd, SHUT_RD);
        }
    }
    (void)pthread_mutex_unlock(&d->lock);
}

static void check_places(struct ryz_disconnect *d, int64_t now_ns)
{
    (void)pthread_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < d->options.connections_max; i++) {
        struct ryz_place *p = &d->places[i];
        if (p->fd < 0) continue;
        if (p->deadline_ns <= now_ns) {
            (void)shutdown(p->fd, SHUT_RDWR);
            p->deadline_ns = RYZ_TIME_NEVER;
        } else if (p->peer_ended && !p->watched) {
            (void)shutdown(p->fd, SHUT_RD);
        }
    }
    (void)pthread_mutex_unlock(&d->lock);
}

/* What a burst of connections needed lies in the C library's lists when they are gone; it is given
 * back to the system once three of four are. Bursts are rare, so nobody waits for this often. */
static void give_memory_back(struct ryz_disconnect *d)
{
    (void)pthread_mutex_lock(&d->lock);
    uint32_t open = d->options.connections_max - d->free_count;
    bool over = d->open_most >= BURST_MIN && open <= d->open_most / 4;
    if (over || open > d->open_most) d->open_most = open;
    (void)pthread_mutex_unlock(&d->lock);
    if (over) (void)malloc_trim(0);
}

static void *run(void *argument)
{
    struct ryz_disconnect *d = argument;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(d->epoll_fd, events, EVENTS_MAX, TICK_MS);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == STOP_MARKER) return NULL;
            on_event(d, events[i].data.u64);
        }
        /* Not after each event: where thousands leave, that would be thousands of passes. */
        int64_t now_ns = ryz_clock_now_ns(d->options.clock);
        if (count > 0 && now_ns < d->next_check_ns) continue;
        d->next_check_ns = now_ns + TICK_MS * RYZ_NS_PER_MS;
        check_places(d, now_ns);
        give_memory_back(d);
    }
}

static enum ryz_status open_epoll(struct ryz_disconnect *d, struct ryz_error *error)
{
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    d->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_MARKER};
    if (d->epoll_fd >= 0 && d->stop_fd >= 0 &&
        epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->stop_fd, &event) == 0)
        return RYZ_OK;
    return ryz_fail_errno(error, RYZ_IO, errno, "cannot watch connections");
}

static void release(struct ryz_disconnect *d)
{
    if (d->epoll_fd >= 0) (void)close(d->epoll_fd);
    if (d->stop_fd >= 0) (void)close(d->stop_fd);
    (void)pthread_mutex_destroy(&d->lock);
    free(d->free);
    free(d->places);
    free(d);
}

static enum ryz_status open_all(struct ryz_disconnect *d, struct ryz_error *error)
{
    uint32_t count = d->options.connections_max;
    d->places = calloc(count, sizeof *d->places);
    d->free = calloc(count, sizeof *d->free);
    if (d->places == NULL || d->free == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to watch %u connections", count);
    for (uint32_t i = 0; i < count; i++) {
        d->places[i] = (struct ryz_place){.fd = -1, .deadline_ns = RYZ_TIME_NEVER};
        d->free[d->free_count++] = count - 1 - i; /* place 0 first */
    }
    enum ryz_status status = open_epoll(d, error);
    if (status != RYZ_OK) return status;
    int reason = pthread_create(&d->thread, NULL, run, d);
    return reason == 0 ? RYZ_OK
                       : ryz_fail_errno(error, RYZ_NO_MEMORY, reason, "cannot start a thread");
}

enum ryz_status ryz_disconnect_open(const struct ryz_disconnect_options *options,
                                    struct ryz_disconnect **out, struct ryz_error *error)
{
    *out = NULL;
    struct ryz_disconnect *d = calloc(1, sizeof *d);
    if (d == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory to watch connections");
    d->options = *options;
    d->epoll_fd = d->stop_fd = -1;
    (void)pthread_mutex_init(&d->lock, NULL);
    enum ryz_status status = open_all(d, error);
    if (status != RYZ_OK) {
        release(d);
        return status;
    }
    *out = d;
    return RYZ_OK;
}

void ryz_disconnect_close(struct ryz_disconnect *disconnect)
{
    if (disconnect == NULL) return;
    const uint64_t one = 1;
    ssize_t written = write(disconnect->stop_fd, &one, sizeof one);
    RYZ_ASSERT(written == (ssize_t)sizeof one);
    (void)pthread_join(disconnect->thread, NULL);
    release(disconnect);
}

struct ryz_place *ryz_disconnect_add(struct ryz_disconnect *disconnect, int fd)
{
    int64_t now_ns = ryz_clock_now_ns(disconnect->options.clock);
    struct ryz_place *found = NULL;
    (void)pthread_mutex_lock(&disconnect->lock);
    if (disconnect->free_count > 0) {
        found = &disconnect->places[disconnect->free[--disconnect->free_count]];
        RYZ_ASSERT(found->fd < 0);
        found->fd = fd;
        found->deadline_ns = now_ns + disconnect->options.read_timeout_ns;
        arm(disconnect, found, EPOLL_CTL_ADD);
    }
    (void)pthread_mutex_unlock(&disconnect->lock);
    return found;
}

void ryz_disconnect_remove(struct ryz_disconnect *disconnect, struct ryz_place *place)
{
    if (place == NULL) return;
    (void)pthread_mutex_lock(&disconnect->lock);
    (void)epoll_ctl(disconnect->epoll_fd, EPOLL_CTL_DEL, place->fd, NULL);
    *place = (struct ryz_place){
        .fd = -1, .generation = place->generation + 1, .deadline_ns = RYZ_TIME_NEVER};
    RYZ_ASSERT(disconnect->free_count < disconnect->options.connections_max);
    disconnect->free[disconnect->free_count++] = (uint32_t)(place - disconnect->places);
    (void)pthread_mutex_unlock(&disconnect->lock);
}

static void set_deadline(struct ryz_disconnect *d, struct ryz_place *place, int64_t deadline_ns)
{
    if (place == NULL) return;
    (void)pthread_mutex_lock(&d->lock);
    place->deadline_ns = deadline_ns;
    (void)pthread_mutex_unlock(&d->lock);
}

void ryz_disconnect_reading(struct ryz_disconnect *disconnect, struct ryz_place *place)
{
    int64_t now_ns = ryz_clock_now_ns(disconnect->options.clock);
    set_deadline(disconnect, place, now_ns + disconnect->options.read_timeout_ns);
}

void ryz_disconnect_answering(struct ryz_disconnect *disconnect, struct ryz_place *place)
{
    set_deadline(disconnect, place, RYZ_TIME_NEVER);
}

void ryz_disconnect_watch(struct ryz_disconnect *disconnect, struct ryz_place *place,
                          uint64_t request_id)
{
    if (place == NULL) return;
    (void)pthread_mutex_lock(&disconnect->lock);
    RYZ_ASSERT(place->fd >= 0 && !place->watched);
    place->request_id = request_id;
    place->watched = true;
    arm(disconnect, place, EPOLL_CTL_MOD);
    (void)pthread_mutex_unlock(&disconnect->lock);
}

void ryz_disconnect_unwatch(struct ryz_disconnect *disconnect, struct ryz_place *place)
{
    if (place == NULL) return;
    (void)pthread_mutex_lock(&disconnect->lock);
    place->watched = false;
    arm(disconnect, place, EPOLL_CTL_MOD);
    (void)pthread_mutex_unlock(&disconnect->lock);
}
