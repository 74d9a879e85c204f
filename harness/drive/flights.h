/*
 * flights.h - requests under way: from their scheduled time to their row.
 *
 * What the live pacer and the simulated one share: which request comes next, the closed loops, the
 * timeouts, and the one row that each request ends in. Knows no clock and no target; all times here
 * are nanoseconds since t0.
 *
 *   due -> launch -> (accepted) -> tokens ... -> end: row
 *                 \-> timeout, disconnect, stop: row now; a ghost until the target lets go
 */
#ifndef RYZ_HARNESS_DRIVE_FLIGHTS_H
#define RYZ_HARNESS_DRIVE_FLIGHTS_H

#include "engine/base/histogram.h"
#include "harness/drive/pacer.h"

/* A client of closed traffic that was refused waits before it tries again; without that, a server
 * that is down would be "asked" a hundred thousand times a second. */
#define RYZ_CLOSED_BACKOFF_NS (50 * RYZ_NS_PER_MS)

struct ryz_flight {
    struct ryz_request_row row;
    struct ryz_arrival arrival;
    void *handle;         /* the target's */
    bool ghost;           /* its row is out; only the target's DONE is missing */
    bool ids_known;       /* every token so far came with its id */
    uint32_t gives_up_at; /* output tokens after which the client disconnects; 0: never */
    int64_t timeout_ns;   /* RYZ_TIME_NEVER: none */
    uint32_t *ids;        /* (id_capacity) output so far; row.out_tok of them while ids_known */
    uint32_t id_capacity; /* kept when the flight is used again */
    struct ryz_flight *previous, *next; /* by launch within the traffic; free ones use next */
};

/* A request of closed traffic that may be sent at t_ns. */
struct ryz_ready {
    int64_t t_ns;
    uint32_t traffic;
};

struct ryz_traffic_state {
    uint64_t launched;
    uint64_t open_left;              /* open traffic: arrivals still to come */
    bool begun, over;                /* as the sink was told */
    struct ryz_flight *first, *last; /* under way, by launch; timeouts are in this order */
};

#define RYZ_LAGS_MAX 65536u /* of one interval of progress; beyond, later ones are not seen */

struct ryz_flights {
    struct ryz_drive_options options;
    const struct ryz_traffic_plan *traffic;
    uint32_t traffic_count;
    struct ryz_traffic_state states[RYZ_TRAFFIC_MAX];
    size_t next_arrival;     /* of the open ones */
    struct ryz_ready *ready; /* (ready_capacity) binary heap by time: closed requests to come */
    uint32_t ready_count, ready_capacity;
    struct ryz_flight **all; /* (all_count) every flight ever made, for freeing */
    struct ryz_flight *free; /* those not in use */
    uint32_t all_count, all_capacity;
    uint32_t ghosts;
    uint32_t *prompt; /* (context) prompt of the request being launched */
    int64_t *lags;    /* (lag_count) since the last progress */
    uint32_t lag_count;
    struct ryz_histogram *lag_histogram;
    struct ryz_drive_progress progress;
    int64_t lag_max_ns, end_ns;
    uint64_t clipped;
    uint64_t next_id; /* ids start from 1, so that 0 can mean "no request" in spans */
    bool bound_lost;  /* options.bound or lru has seen too much: they say nothing any more */
    bool stopped;     /* nothing more is launched */
};

RYZ_MUST_USE enum ryz_status ryz_flights_open(const struct ryz_drive_options *options,
                                              struct ryz_flights *flights, struct ryz_error *error);
void ryz_flights_close(struct ryz_flights *flights);

/* When the next request is due, open or closed; RYZ_TIME_NEVER: none will be, unless one under way
 * ends. */
int64_t ryz_flights_due_ns(const struct ryz_flights *flights);
/* Takes the next request that is due and makes a flight of it, sent at now_ns; its prompt is in
 * flights->prompt. NULL: it was dropped (its row is out) for too many are under way, or there is no
 * memory. */
struct ryz_flight *ryz_flights_launch(struct ryz_flights *flights, int64_t now_ns);
/* What a target is to be told of a flight; times of the ask are made absolute with t0. */
struct ryz_ask ryz_flights_ask(const struct ryz_flights *flights, struct ryz_flight *flight);

void ryz_flights_accepted(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns);
/* `count` tokens arrived; ids may be NULL. True: the client disconnects now (its row is out, the
 * flight is a ghost): the caller cancels it at the target. */
bool ryz_flights_tokens(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns,
                        uint32_t count, const uint32_t *ids);
/* Notes what a request has cost the engine, before ryz_flights_done. A row that is out already, for
 * its client gave up first, stays without it. */
void ryz_flights_waste(struct ryz_flight *flight, const struct ryz_waste *waste);
/* The target has let go: ends the flight with its row, or buries the ghost. */
void ryz_flights_done(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns,
                      enum ryz_request_status status, const char *reason);

/* The earliest timeout of a flight; RYZ_TIME_NEVER: none. */
int64_t ryz_flights_timeout_ns(const struct ryz_flights *flights);
/* A flight whose timeout has passed, NULL if none; with `all`, any flight under way that is no
 * ghost. Its row (TIMEOUT, with `all` CANCELLED) is out, and it is a ghost: the caller cancels it.
 */
struct ryz_flight *ryz_flights_expire(struct ryz_flights *flights, int64_t now_ns, bool all);

/* Is every request's row out? Ghosts do not count. */
bool ryz_flights_over(const struct ryz_flights *flights);
/* Reports progress and begins the next interval. */
void ryz_flights_report(struct ryz_flights *flights, int64_t now_ns);
void ryz_flights_summarise(const struct ryz_flights *flights, struct ryz_drive_summary *summary);

#endif
