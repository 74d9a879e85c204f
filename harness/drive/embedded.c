/*
 * embedded.c - the engine in process behind the target's vtable.
 *
 *   engine thread: stream event -> answer -> ring -> [eventfd, if the pacer sleeps]
 *   pacer thread:  poll: ring -> answers; asleep on the eventfd otherwise
 *
 * Leaves to others: everything about requests. The idea: the engine thread never waits for the
 * pacer but in one case, a full ring: then it spins, which slows the engine down instead of losing
 * a token; 65,536 answers are seconds of a pacer that does not run at all.
 */
#include "harness/drive/embedded.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/ring.h"
#include "engine/base/size.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_ANSWERS 65536u

struct embedded;

/* A request inside; what the engine hands back with each event. */
struct seat {
    struct embedded *target;
    void *flight;
    uint64_t engine_id;
    bool accepted;     /* engine thread: ACCEPTED was sent */
    uint32_t index;    /* in `taken`, pacer thread */
    struct seat *next; /* free list */
};

/* What travels through the ring: the seat comes along so that the pacer can free it. */
struct item {
    struct ryz_answer answer;
    struct seat *seat;
};

struct embedded {
    struct ryz_target base; /* first: a target is its implementation */
    struct ryz_engine *engine;
    const struct ryz_clock *clock;
    struct ryz_ring *ring; /* of struct item */
    int event_fd;
    _Atomic uint32_t asleep; /* 1: the pacer waits for the eventfd */
    struct seat *free;       /* pacer thread */
    struct seat **taken;     /* (taken_count) seats in use, pacer thread */
    uint32_t taken_count, taken_capacity;
};

static void wake(struct embedded *e)
{
    /* The push must be visible before we look whether somebody sleeps, as the sleeper looks at the
     * ring after it has said so. */
    atomic_thread_fence(memory_order_seq_cst);
    if (ryz_load_relaxed(&e->asleep) == 0) return;
    uint64_t one = 1;
    ssize_t n = write(e->event_fd, &one, sizeof one);
    RYZ_ASSERT(n == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: it is awake already */
}

static void push(struct embedded *e, const struct item *item)
{
    while (!ryz_ring_push(e->ring, item)) {
        wake(e);
        (void)sched_yield();
    }
    wake(e);
}

static enum ryz_request_status row_status(const struct ryz_stream_event *event)
{
    switch (event->status) {
    case RYZ_OK:
        return RYZ_REQUEST_OK;
    case RYZ_FULL:
        return event->late ? RYZ_REQUEST_LATE : RYZ_REQUEST_SHED;
    case RYZ_INVALID:
        return RYZ_REQUEST_ERROR_4XX;
    case RYZ_CANCELLED:
        return RYZ_REQUEST_CANCELLED;
    case RYZ_TIMEOUT:
        return RYZ_REQUEST_TIMEOUT;
    default:
        return RYZ_REQUEST_ERROR_5XX;
    }
}

/* Engine thread. */
static void on_event(void *context, const struct ryz_stream_event *event)
{
    struct seat *seat = context;
    struct item item = {.seat = seat, .answer = {.flight = seat->flight, .t_ns = event->t_ns}};
    struct ryz_answer *answer = &item.answer;
    if (!seat->accepted && event->first_step_ns != RYZ_TIME_NONE) {
        struct item accepted = item;
        accepted.answer.kind = RYZ_ANSWER_ACCEPTED;
        accepted.answer.t_ns = event->arrived_ns;
        seat->accepted = true;
        push(seat->target, &accepted);
    }
    if (!event->done) {
        answer->kind = RYZ_ANSWER_TOKENS;
        answer->token_count = 1;
        answer->ids_known = true;
        answer->ids[0] = event->token;
    } else {
        answer->kind = RYZ_ANSWER_DONE;
        answer->status = row_status(event);
        answer->prompt_tokens = event->prompt_tokens;
        answer->output_tokens = event->output_tokens;
        answer->cached_tokens = event->cached_tokens;
        answer->waste = event->waste;
        answer->reason = event->status == RYZ_OK ? NULL
                         : event->late           ? "a deadline is out of reach"
                                                 : ryz_status_text(event->status);
    }
    push(seat->target, &item); /* after DONE the seat is the pacer's */
}

static struct seat *take_seat(struct embedded *e)
{
    if (e->taken_count == e->taken_capacity) {
        uint32_t capacity = e->taken_capacity == 0 ? 64 : e->taken_capacity * 2;
        struct seat **grown = realloc(e->taken, capacity * sizeof(struct seat *));
        if (grown == NULL) return NULL;
        e->taken = grown;
        e->taken_capacity = capacity;
    }
    struct seat *seat = e->free;
    if (seat != NULL)
        e->free = seat->next;
    else
        seat = calloc(1, sizeof *seat);
    if (seat == NULL) return NULL;
    seat->target = e;
    seat->accepted = false;
    seat->index = e->taken_count;
    e->taken[e->taken_count++] = seat;
    return seat;
}

static void free_seat(struct embedded *e, struct seat *seat)
{
    struct seat *last = e->taken[--e->taken_count];
    e->taken[seat->index] = last;
    last->index = seat->index;
    seat->next = e->free;
    e->free = seat;
}

static enum ryz_status embedded_submit(struct ryz_target *target, const struct ryz_ask *ask,
                                       void **handle, struct ryz_error *error)
{
    struct embedded *e = (struct embedded *)(void *)target;
    struct seat *seat = take_seat(e);
    if (seat == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a request");
    seat->flight = ask->flight;
    struct ryz_generate generate = {
        .tokens = ask->tokens,
        .token_count = ask->prompt_tokens,
        .max_tokens = ask->output_tokens,
        .sampling = {.temperature = 0.0f, .top_p = 1.0f},
        .ignore_eos = ask->ignore_eos,
        .priority = ask->priority,
        .tenant = ask->tenant,
        .first_deadline_ns = ask->first_deadline_ns,
        .deadline_ns = ask->deadline_ns != 0 ? ask->deadline_ns : RYZ_TIME_NEVER,
        .arrived_ns = RYZ_TIME_NONE,
        .trace = ask->trace,
        .number = ask->number,
        .on_event = on_event,
        .context = seat,
    };
    /* The engine thread may finish the request before submit returns, but only the pacer, which is
     * here, frees the seat. */
    enum ryz_status status = ryz_engine_submit(e->engine, &generate, &seat->engine_id, error);
    if (status != RYZ_OK) {
        free_seat(e, seat);
        return status;
    }
    *handle = seat;
    return RYZ_OK;
}

static void embedded_cancel(struct ryz_target *target, void *handle)
{
    struct embedded *e = (struct embedded *)(void *)target;
    const struct seat *seat = handle;
    ryz_engine_cancel(e->engine, seat->engine_id);
}

static size_t take_answers(struct embedded *e, struct ryz_answer *answers, size_t capacity)
{
    struct item item;
    size_t count = 0;
    while (count < capacity && ryz_ring_pop(e->ring, &item)) {
        if (item.answer.kind == RYZ_ANSWER_DONE) free_seat(e, item.seat);
        answers[count++] = item.answer;
    }
    return count;
}

/* Sleeps until the engine thread wakes us or until_ns. */
static void doze(struct embedded *e, int64_t until_ns)
{
    int64_t wait_ns = until_ns - ryz_clock_now_ns(e->clock);
    if (wait_ns <= 0) return;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / RYZ_NS_PER_S),
                            .tv_nsec = (long)(wait_ns % RYZ_NS_PER_S)};
    struct pollfd fd = {.fd = e->event_fd, .events = POLLIN};
    uint64_t drained = 0;
    if (ppoll(&fd, 1, &wait, NULL) > 0) {
        ssize_t n = read(e->event_fd, &drained, sizeof drained);
        RYZ_ASSERT(n == (ssize_t)sizeof drained || errno == EAGAIN || errno == EINTR);
    }
}

static size_t embedded_poll(struct ryz_target *target, int64_t until_ns, struct ryz_answer *answers,
                            size_t capacity)
{
    struct embedded *e = (struct embedded *)(void *)target;
    size_t count = take_answers(e, answers, capacity);
    if (count > 0) return count;
    ryz_store_relaxed(&e->asleep, 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (ryz_ring_count(e->ring) == 0) doze(e, until_ns);
    ryz_store_relaxed(&e->asleep, 0);
    return take_answers(e, answers, capacity);
}

static void embedded_close(struct ryz_target *target)
{
    struct embedded *e = (struct embedded *)(void *)target;
    for (uint32_t i = 0; i < e->taken_count; i++)
        ryz_engine_cancel(e->engine, e->taken[i]->engine_id);
    struct ryz_answer answers[16];
    while (e->taken_count > 0)
        (void)embedded_poll(target, ryz_clock_now_ns(e->clock) + RYZ_NS_PER_S, answers,
                            RYZ_COUNT_OF(answers));
    for (struct seat *seat = e->free; seat != NULL;) {
        struct seat *next = seat->next;
        free(seat);
        seat = next;
    }
    free(e->taken);
    ryz_ring_close(e->ring);
    (void)close(e->event_fd);
    free(e);
}

static const struct ryz_target_ops embedded_ops = {
    .name = "embedded",
    .submit = embedded_submit,
    .cancel = embedded_cancel,
    .poll = embedded_poll,
    .close = embedded_close,
};

enum ryz_status ryz_embedded_open(struct ryz_engine *engine, const struct ryz_clock *clock,
                                  struct ryz_target **out, struct ryz_error *error)
{
    *out = NULL;
    struct embedded *e = calloc(1, sizeof *e);
    if (e == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a target");
    e->base.ops = &embedded_ops;
    e->engine = engine;
    e->clock = clock;
    enum ryz_status status = ryz_ring_open(RING_ANSWERS, sizeof(struct item), &e->ring, error);
    if (status != RYZ_OK) goto out_free;
    e->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->event_fd < 0) {
        status = ryz_fail_errno(error, RYZ_IO, errno, "cannot open an eventfd");
        goto out_close_ring;
    }
    *out = &e->base;
    return RYZ_OK;

out_close_ring:
    ryz_ring_close(e->ring);
out_free:
    free(e);
    return status;
}
