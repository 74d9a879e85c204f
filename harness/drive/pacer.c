/*
 * pacer.c - the loop that sends on time and listens in between.
 *
 * Leaves to others: what is due and what becomes of it (flights.c), how it is sent (the target).
 * The idea: sleep in the target's poll until shortly before the next send, so answers are handled
 * as they come, and spin the rest: a sleep alone wakes up 50 to 100 us late.
 */
#include "harness/drive/pacer.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "harness/drive/flights.h"
#include "harness/drive/real_clock.h"

#define SPIN_NS     (100 * RYZ_NS_PER_US)
#define PROGRESS_NS RYZ_NS_PER_S
#define GHOSTS_NS   (10 * RYZ_NS_PER_S)   /* how long the target may take to let go of ghosts */
#define LATEST_NS   (250 * RYZ_NS_PER_MS) /* longest wait, so that `stop` is seen */
#define ANSWERS_MAX 256u

struct loop {
    struct ryz_flights flights;
    struct ryz_target *target;
    const struct ryz_clock *clock;
    int64_t t0_ns;
    int64_t report_ns;            /* next progress, since t0 */
    int64_t told_ns, told_cpu_ns; /* time and the thread's CPU time at the last progress */
    struct ryz_answer answers[ANSWERS_MAX];
};

static int64_t now_since_t0(const struct loop *loop)
{
    return ryz_clock_now_ns(loop->clock) - loop->t0_ns;
}

/* What a refusal on the spot means for the row. */
static enum ryz_request_status status_of_refusal(enum ryz_status status)
{
    switch (status) {
    case RYZ_FULL:
    case RYZ_CLOSED:
        return RYZ_REQUEST_SHED;
    case RYZ_INVALID:
    case RYZ_UNSUPPORTED:
        return RYZ_REQUEST_ERROR_4XX;
    case RYZ_UNAVAILABLE:
    case RYZ_NO_MEMORY:
        return RYZ_REQUEST_DROPPED_BY_HARNESS;
    default:
        return RYZ_REQUEST_ERROR_5XX;
    }
}

/* Sends everything that is due. */
static void send_due(struct loop *loop)
{
    struct ryz_flights *flights = &loop->flights;
    for (int64_t now_ns = now_since_t0(loop); ryz_flights_due_ns(flights) <= now_ns;
         now_ns = now_since_t0(loop)) {
        struct ryz_flight *flight = ryz_flights_launch(flights, now_ns);
        if (flight == NULL) continue;
        struct ryz_ask ask = ryz_flights_ask(flights, flight);
        struct ryz_error error = {.text = ""};
        enum ryz_status status =
            loop->target->ops->submit(loop->target, &ask, &flight->handle, &error);
        if (status != RYZ_OK)
            ryz_flights_done(flights, flight, now_since_t0(loop), status_of_refusal(status),
                             error.text);
    }
}

static void cancel(struct loop *loop, struct ryz_flight *flight)
{
    loop->target->ops->cancel(loop->target, flight->handle);
}

static void expire(struct loop *loop)
{
    struct ryz_flights *flights = &loop->flights;
    const _Atomic uint32_t *stop = flights->options.stop;
    if (stop != NULL && ryz_load_acquire(stop) != 0) flights->stopped = true;
    int64_t now_ns = now_since_t0(loop);
    struct ryz_flight *flight = NULL;
    while ((flight = ryz_flights_expire(flights, now_ns, flights->stopped)) != NULL)
        cancel(loop, flight);
}

static void take_answer(struct loop *loop, const struct ryz_answer *answer)
{
    struct ryz_flights *flights = &loop->flights;
    struct ryz_flight *flight = answer->flight;
    int64_t t_ns = answer->t_ns - loop->t0_ns;
    switch (answer->kind) {
    case RYZ_ANSWER_ACCEPTED:
        ryz_flights_accepted(flights, flight, t_ns);
        break;
    case RYZ_ANSWER_TOKENS:
        if (ryz_flights_tokens(flights, flight, t_ns, answer->token_count,
                               answer->ids_known ? answer->ids : NULL))
            cancel(loop, flight);
        break;
    case RYZ_ANSWER_DONE:
        flight->row.bytes_in = answer->bytes_in;
        flight->row.bytes_out = answer->bytes_out;
        if (answer->prompt_tokens > 0) flight->row.in_tok = answer->prompt_tokens;
        flight->row.cached_tok = answer->cached_tokens;
        ryz_flights_waste(flight, &answer->waste);
        /* Chunks need not be tokens; the server's own figure corrects the sum. */
        if (!flight->ids_known && answer->output_tokens > 0)
            flight->row.out_tok = answer->output_tokens;
        ryz_flights_done(flights, flight, t_ns, answer->status, answer->reason);
        break;
    }
}

/* Takes what the target has, waiting for it until until_ns (since t0) at most. */
static size_t listen(struct loop *loop, int64_t until_ns)
{
    size_t count =
        loop->target->ops->poll(loop->target, loop->t0_ns + until_ns, loop->answers, ANSWERS_MAX);
    RYZ_ASSERT(count <= ANSWERS_MAX);
    for (size_t i = 0; i < count; i++) take_answer(loop, &loop->answers[i]);
    return count;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One round: sleep and listen, or spin when the next send is near. */
static void wait_for_next(struct loop *loop)
{
    int64_t now_ns = now_since_t0(loop);
    int64_t due_ns = ryz_flights_due_ns(&loop->flights);
    if (due_ns - SPIN_NS <= now_ns && due_ns > now_ns) {
        (void)listen(loop, now_ns);
        while (now_since_t0(loop) < due_ns) continue;
        return;
    }
    int64_t until_ns = due_ns == RYZ_TIME_NEVER ? due_ns : due_ns - SPIN_NS;
    until_ns = earlier(until_ns, ryz_flights_timeout_ns(&loop->flights));
    until_ns = earlier(until_ns, loop->report_ns);
    until_ns = earlier(until_ns, now_ns + LATEST_NS);
    (void)listen(loop, until_ns);
}

static void report(struct loop *loop, int64_t now_ns)
{
    int64_t cpu_ns = ryz_clock_now_ns(ryz_real_clock_thread_cpu());
    if (now_ns > loop->told_ns)
        loop->flights.progress.cpu_cores =
            (double)(cpu_ns - loop->told_cpu_ns) / (double)(now_ns - loop->told_ns);
    loop->told_ns = now_ns;
    loop->told_cpu_ns = cpu_ns;
    loop->report_ns = now_ns + PROGRESS_NS;
    ryz_flights_report(&loop->flights, now_ns);
}

/* Gives the target time to let go of what was given up. */
static void bury_ghosts(struct loop *loop)
{
    int64_t until_ns = now_since_t0(loop) + GHOSTS_NS;
    while (loop->flights.ghosts > 0 && now_since_t0(loop) < until_ns)
        (void)listen(loop, earlier(until_ns, now_since_t0(loop) + LATEST_NS));
}

enum ryz_status ryz_pacer_run(const struct ryz_drive_options *options, struct ryz_target *target,
                              const struct ryz_clock *clock, struct ryz_drive_summary *summary,
                              struct ryz_error *error)
{
    struct loop loop = {
        .target = target, .clock = clock, .t0_ns = options->t0_ns, .report_ns = PROGRESS_NS};
    enum ryz_status status = ryz_flights_open(options, &loop.flights, error);
    if (status != RYZ_OK) return status;
    loop.told_ns = now_since_t0(&loop);
    loop.told_cpu_ns = ryz_clock_now_ns(ryz_real_clock_thread_cpu());
    for (;;) {
        send_due(&loop);
        expire(&loop);
        if (now_since_t0(&loop) >= loop.report_ns) report(&loop, now_since_t0(&loop));
        if (ryz_flights_over(&loop.flights)) break;
        wait_for_next(&loop);
    }
    bury_ghosts(&loop);
    report(&loop, now_since_t0(&loop));
    ryz_flights_summarise(&loop.flights, summary);
    ryz_flights_close(&loop.flights);
    return RYZ_OK;
}
