/* server_records.c - the thread that empties a server's rings before they fill. */
#include "harness/chaos/server_records.h"

#include "engine/base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PERIOD_NS        (500 * RYZ_NS_PER_MS)
#define LAST_PAUSE_NS    (50 * RYZ_NS_PER_MS)
#define LAST_FETCHES_MAX 40

struct ryz_server_records {
    char path[256];
    struct ryz_control_records sink;
    uint64_t failed;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
};

/* True when the thread is to end. */
static bool pause_or_stop(struct ryz_server_records *records)
{
    struct timespec end;
    (void)timespec_get(&end, TIME_UTC);
    int64_t ns = end.tv_nsec + PERIOD_NS;
    end.tv_sec += ns / RYZ_NS_PER_S;
    end.tv_nsec = ns % RYZ_NS_PER_S;
    (void)pthread_mutex_lock(&records->lock);
    if (!records->stop) (void)pthread_cond_timedwait(&records->wake, &records->lock, &end);
    bool stop = records->stop;
    (void)pthread_mutex_unlock(&records->lock);
    return stop;
}

static void fetch(struct ryz_server_records *records)
{
    if (ryz_control_client_fetch(records->path, &records->sink, NULL) != RYZ_OK) {
        records->failed++;
    }
}

/* A server ends its spans a moment after the client has seen the end: asks until nothing new has
 * come three times in a row. */
static void fetch_the_rest(struct ryz_server_records *records)
{
    const struct timespec pause = {.tv_nsec = LAST_PAUSE_NS};
    int silent = 0;
    for (int i = 0; i < LAST_FETCHES_MAX && silent < 3; i++) {
        uint64_t before = records->sink.count;
        fetch(records);
        silent = records->sink.count == before ? silent + 1 : 0;
        (void)nanosleep(&pause, NULL);
    }
}

static void *follow(void *context)
{
    struct ryz_server_records *records = context;
    while (!pause_or_stop(records)) fetch(records);
    fetch_the_rest(records);
    return NULL;
}

enum ryz_status ryz_server_records_open(const char *control_path,
                                        const struct ryz_control_records *sink,
                                        struct ryz_server_records **out, struct ryz_error *error)
{
    struct ryz_server_records *records = calloc(1, sizeof *records);
    if (records == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for server records");
    (void)snprintf(records->path, sizeof records->path, "%s", control_path);
    records->sink = *sink;
    (void)pthread_mutex_init(&records->lock, NULL);
    (void)pthread_cond_init(&records->wake, NULL);
    int code = pthread_create(&records->thread, NULL, follow, records);
    if (code == 0) {
        *out = records;
        return RYZ_OK;
    }
    (void)pthread_cond_destroy(&records->wake);
    (void)pthread_mutex_destroy(&records->lock);
    free(records);
    return ryz_fail_errno(error, RYZ_IO, code, "cannot start the thread of the server's records");
}

void ryz_server_records_close(struct ryz_server_records *records, uint64_t *dropped,
                              uint64_t *failed)
{
    if (records == NULL) return;
    (void)pthread_mutex_lock(&records->lock);
    records->stop = true;
    (void)pthread_cond_signal(&records->wake);
    (void)pthread_mutex_unlock(&records->lock);
    (void)pthread_join(records->thread, NULL);
    if (dropped != NULL) *dropped = records->sink.dropped;
    if (failed != NULL) *failed = records->failed;
    (void)pthread_cond_destroy(&records->wake);
    (void)pthread_mutex_destroy(&records->lock);
    free(records);
}
