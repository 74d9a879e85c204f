/*
 * chaos.c - one thread that walks through a fault plan's edges (begin, end) in order of time.
 */
#include "harness/chaos/chaos.h"

#include "harness/chaos/control_client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READY_TIMEOUT_NS (60 * RYZ_NS_PER_S)

struct edge {
    int64_t t_ns;
    uint32_t fault;
    bool on;
};

struct ryz_chaos {
    struct ryz_chaos_options options;
    struct ryz_fault faults[RYZ_FAULTS_MAX];
    char host[256];
    char control_path[256];
    char ready_path[256];
    struct edge edges[2 * RYZ_FAULTS_MAX];
    uint32_t edge_count;
    bool is_on[RYZ_FAULTS_MAX];
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
};

static void announce(struct ryz_chaos *chaos, enum ryz_chaos_event_kind kind, uint32_t fault,
                     double value, const char *note)
{
    chaos->options.on_event(chaos->options.context, ryz_clock_now_ns(chaos->options.clock), kind,
                            fault, value, note);
}

static int compare_edges(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->t_ns != y->t_ns) return x->t_ns < y->t_ns ? -1 : 1;
    return (int)x->on - (int)y->on; /* at one instant, ends come before beginnings */
}

static void list_edges(struct ryz_chaos *chaos)
{
    for (uint32_t i = 0; i < chaos->options.count; i++) {
        const struct ryz_fault *fault = &chaos->faults[i];
        chaos->edges[chaos->edge_count++] = (struct edge){fault->at_ns, i, true};
        if (fault->action != RYZ_FAULT_KILL && fault->until_ns != RYZ_TIME_NEVER) {
            chaos->edges[chaos->edge_count++] = (struct edge){fault->until_ns, i, false};
        }
    }
    qsort(chaos->edges, chaos->edge_count, sizeof chaos->edges[0], compare_edges);
}

static bool armed_by_control(const struct ryz_fault *fault)
{
    return fault->point != RYZ_FAULT_CLIENT && fault->point != RYZ_FAULT_SERVER;
}

/* Sends the engine's part of the plan to the spawned server. */
static enum ryz_status arm(struct ryz_chaos *chaos, struct ryz_error *error)
{
    struct ryz_fault faults[RYZ_FAULTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < chaos->options.count; i++) {
        if (armed_by_control(&chaos->faults[i])) faults[count++] = chaos->faults[i];
    }
    if (chaos->options.control_path == NULL || count == 0) return RYZ_OK;
    return ryz_control_client_arm(chaos->options.control_path, faults, count, chaos->options.seed,
                                  error);
}

/* kill -9, start again, wait until it answers, arm the plan anew (the new process has none). */
static void kill_server(struct ryz_chaos *chaos, uint32_t fault)
{
    struct ryz_process *process = chaos->options.process;
    struct ryz_error error = {0};
    if (process == NULL) {
        announce(chaos, RYZ_CHAOS_TROUBLE, fault, 0, "no spawned server to kill");
        return;
    }
    int64_t killed_ns = ryz_clock_now_ns(chaos->options.clock);
    ryz_process_kill(process);
    announce(chaos, RYZ_CHAOS_SERVER_KILLED, fault, 0, "kill -9");
    enum ryz_status status = ryz_process_restart(process, &error);
    if (status == RYZ_OK) {
        status = ryz_process_await(process, chaos->options.host, chaos->options.port,
                                   chaos->ready_path, READY_TIMEOUT_NS, &error);
    }
    if (status == RYZ_OK) status = arm(chaos, &error);
    if (status != RYZ_OK) {
        announce(chaos, RYZ_CHAOS_TROUBLE, fault, 0, error.text);
        return;
    }
    double down_ns = (double)(ryz_clock_now_ns(chaos->options.clock) - killed_ns);
    announce(chaos, RYZ_CHAOS_SERVER_READY, fault, down_ns, "answers again");
}

static void pass_edge(struct ryz_chaos *chaos, const struct edge *edge)
{
    const struct ryz_fault *fault = &chaos->faults[edge->fault];
    chaos->is_on[edge->fault] = edge->on;
    announce(chaos, edge->on ? RYZ_CHAOS_FAULT_ON : RYZ_CHAOS_FAULT_OFF, edge->fault, 0,
             fault->name);
    if (edge->on && fault->action == RYZ_FAULT_KILL) {
        kill_server(chaos, edge->fault);
        chaos->is_on[edge->fault] = false;
        announce(chaos, RYZ_CHAOS_FAULT_OFF, edge->fault, 0, fault->name);
    }
}

/* Waits for t_ns; false when the plan is to end. The condition uses CLOCK_MONOTONIC. */
static bool wait_until(struct ryz_chaos *chaos, int64_t t_ns)
{
    struct timespec end = {.tv_sec = t_ns / RYZ_NS_PER_S, .tv_nsec = t_ns % RYZ_NS_PER_S};
    (void)pthread_mutex_lock(&chaos->lock);
    while (!chaos->stop && ryz_clock_now_ns(chaos->options.clock) < t_ns) {
        (void)pthread_cond_timedwait(&chaos->wake, &chaos->lock, &end);
    }
    bool go_on = !chaos->stop;
    (void)pthread_mutex_unlock(&chaos->lock);
    return go_on;
}

static void *walk(void *context)
{
    struct ryz_chaos *chaos = context;
    for (uint32_t i = 0; i < chaos->edge_count; i++) {
        if (!wait_until(chaos, chaos->edges[i].t_ns)) break;
        pass_edge(chaos, &chaos->edges[i]);
    }
    /* Stays to the end of the run: open-ended faults last that long, and a server that this thread
     * started again dies with it (see process.h). */
    while (wait_until(chaos, RYZ_TIME_NEVER)) {
    }
    for (uint32_t i = 0; i < chaos->options.count; i++) {
        if (chaos->is_on[i]) announce(chaos, RYZ_CHAOS_FAULT_OFF, i, 0, chaos->faults[i].name);
    }
    return NULL;
}

static enum ryz_status start_thread(struct ryz_chaos *chaos, struct ryz_error *error)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&chaos->lock, NULL);
    (void)pthread_cond_init(&chaos->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int code = pthread_create(&chaos->thread, NULL, walk, chaos);
    if (code == 0) return RYZ_OK;
    (void)pthread_cond_destroy(&chaos->wake);
    (void)pthread_mutex_destroy(&chaos->lock);
    return ryz_fail_errno(error, RYZ_IO, code, "cannot start the chaos thread");
}

enum ryz_status ryz_chaos_open(const struct ryz_chaos_options *options, struct ryz_chaos **out,
                               struct ryz_error *error)
{
    if (options->count > RYZ_FAULTS_MAX) {
        return ryz_fail(error, RYZ_INVALID, "more than %u faults", RYZ_FAULTS_MAX);
    }
    struct ryz_chaos *chaos = calloc(1, sizeof *chaos);
    if (chaos == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the fault plan");
    chaos->options = *options;
    memcpy(chaos->faults, options->faults, options->count * sizeof chaos->faults[0]);
    if (options->host != NULL) {
        (void)snprintf(chaos->host, sizeof chaos->host, "%s", options->host);
        chaos->options.host = chaos->host;
    }
    if (options->ready_path != NULL) {
        (void)snprintf(chaos->ready_path, sizeof chaos->ready_path, "%s", options->ready_path);
    }
    if (options->control_path != NULL) {
        (void)snprintf(chaos->control_path, sizeof chaos->control_path, "%s",
                       options->control_path);
        chaos->options.control_path = chaos->control_path;
    }
    list_edges(chaos);
    enum ryz_status status = arm(chaos, error);
    if (status == RYZ_OK) status = start_thread(chaos, error);
    if (status != RYZ_OK) {
        free(chaos);
        return status;
    }
    *out = chaos;
    return RYZ_OK;
}

void ryz_chaos_close(struct ryz_chaos *chaos)
{
    if (chaos == NULL) return;
    (void)pthread_mutex_lock(&chaos->lock);
    chaos->stop = true;
    (void)pthread_cond_signal(&chaos->wake);
    (void)pthread_mutex_unlock(&chaos->lock);
    (void)pthread_join(chaos->thread, NULL);
    (void)pthread_cond_destroy(&chaos->wake);
    (void)pthread_mutex_destroy(&chaos->lock);
    free(chaos);
}
