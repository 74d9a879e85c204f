/*
 * otlp.c - the exporter's ring, thread and POSTs.
 *
 * Leaves to others: the JSON (otlp_json.c). The idea: emit is one push into a lock-free ring and,
 * when a batch is full, a signal without the lock; a wake-up lost that way costs at most one flush
 * interval, and the emitter never waits for anybody.
 */
#include "engine/obs/otlp.h"

#include "engine/base/atomic.h"
#include "engine/base/ring.h"
#include "engine/obs/otlp_json.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RING_DEFAULT    8192u
#define BATCH_DEFAULT   512u
#define BATCH_MAX       8192u
#define TIMEOUT_DEFAULT (10 * RYZ_NS_PER_S)
#define HEAD_BYTES      4096u                 /* of a request beside its spans */
#define ANSWER_BYTES    4096u                 /* of a collector's answer that we look at */
#define ATTEMPTS        5                     /* POSTs of one batch; then its spans are dropped */
#define BACKOFF_NS      (100 * RYZ_NS_PER_MS) /* before the second attempt, doubled after */

struct ryz_otlp {
    struct ryz_otlp_options options; /* with defaults filled in */
    char *url, *service_name;
    struct ryz_ring *ring;
    struct ryz_span *batch; /* the thread's, batch_spans of them */
    char *body;             /* the thread's */
    size_t body_bytes;
    CURL *curl; /* the thread's */
    struct curl_slist *headers;
    pthread_t thread;
    pthread_mutex_t lock; /* of `closing` and `close_deadline_ns` */
    pthread_cond_t wake;
    bool closing;
    int64_t close_deadline_ns;
    _Atomic uint64_t exported, dropped, sampled_out, posts, failed_posts;
};

enum outcome { RYZ_POST_OK, RYZ_POST_RETRY, RYZ_POST_REFUSED };

struct answer {
    char text[ANSWER_BYTES];
    size_t length;
};

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / RYZ_NS_PER_S),
                             .tv_nsec = (long)(ns % RYZ_NS_PER_S)};
}

/* Sleeps until there is a batch, the time has passed or the exporter closes. */
static void wait_for_spans(struct ryz_otlp *o, int64_t interval_ns, size_t enough)
{
    struct timespec until = to_timespec(ryz_clock_now_ns(o->options.clock) + interval_ns);
    (void)pthread_mutex_lock(&o->lock);
    if (!o->closing && ryz_ring_count(o->ring) < enough)
        (void)pthread_cond_timedwait(&o->wake, &o->lock, &until);
    (void)pthread_mutex_unlock(&o->lock);
}

static bool is_closing(struct ryz_otlp *o, int64_t *deadline_ns)
{
    (void)pthread_mutex_lock(&o->lock);
    bool closing = o->closing;
    *deadline_ns = o->close_deadline_ns;
    (void)pthread_mutex_unlock(&o->lock);
    return closing;
}

static bool past_deadline(struct ryz_otlp *o)
{
    int64_t deadline_ns = 0;
    return is_closing(o, &deadline_ns) && ryz_clock_now_ns(o->options.clock) >= deadline_ns;
}

static size_t keep_answer(char *data, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t bytes = size * count, room = sizeof answer->text - answer->length;
    size_t kept = bytes < room ? bytes : room;
    memcpy(answer->text + answer->length, data, kept);
    answer->length += kept;
    return bytes;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return past_deadline(context) ? 1 : 0;
}

/* {"partialSuccess":{"rejectedSpans":"3"}}: taken, but not all of it. */
static uint64_t rejected_spans(const struct answer *answer)
{
    json_t *root = json_loadb(answer->text, answer->length, 0, NULL);
    json_t *count = json_object_get(json_object_get(root, "partialSuccess"), "rejectedSpans");
    uint64_t rejected = 0;
    if (json_is_string(count)) {
        rejected = strtoull(json_string_value(count), NULL, 10);
    } else if (json_is_integer(count) && json_integer_value(count) > 0) {
        rejected = (uint64_t)json_integer_value(count);
    }
    json_decref(root);
    return rejected;
}

static long post_timeout_ms(struct ryz_otlp *o)
{
    int64_t deadline_ns = 0, timeout_ns = o->options.timeout_ns;
    if (is_closing(o, &deadline_ns)) {
        int64_t left_ns = deadline_ns - ryz_clock_now_ns(o->options.clock);
        if (left_ns < timeout_ns) timeout_ns = left_ns;
    }
    long ms = (long)(timeout_ns / RYZ_NS_PER_MS);
    return ms > 0 ? ms : 1; /* 0 would mean no limit */
}

static enum outcome post(struct ryz_otlp *o, size_t length, uint64_t *rejected)
{
    struct answer answer = {.length = 0};
    long code = 0;
    (void)curl_easy_setopt(o->curl, CURLOPT_POSTFIELDS, o->body);
    (void)curl_easy_setopt(o->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    (void)curl_easy_setopt(o->curl, CURLOPT_TIMEOUT_MS, post_timeout_ms(o));
    (void)curl_easy_setopt(o->curl, CURLOPT_WRITEDATA, &answer);
    (void)ryz_add_relaxed(&o->posts, 1);
    CURLcode result = curl_easy_perform(o->curl);
    if (result == CURLE_OK) {
        (void)curl_easy_getinfo(o->curl, CURLINFO_RESPONSE_CODE, &code);
        if (code >= 200 && code < 300) {
            *rejected = rejected_spans(&answer);
            return RYZ_POST_OK;
        }
    }
    (void)ryz_add_relaxed(&o->failed_posts, 1);
    /* The codes that OTLP names as worth another try; a refused batch would be refused again. */
    bool again = result != CURLE_OK || code == 429 || (code >= 502 && code <= 504);
    return again ? RYZ_POST_RETRY : RYZ_POST_REFUSED;
}

static void send_batch(struct ryz_otlp *o, size_t count)
{
    struct ryz_json json;
    ryz_json_init(&json, o->body, o->body_bytes);
    ryz_otlp_json(&json, o->service_name, o->options.wall_offset_ns, o->batch, count);
    uint64_t rejected = 0;
    enum outcome outcome = json.overflow ? RYZ_POST_REFUSED : RYZ_POST_RETRY;
    int64_t backoff_ns = BACKOFF_NS;
    for (int i = 0; i < ATTEMPTS && outcome == RYZ_POST_RETRY && !past_deadline(o); i++) {
        if (i > 0) {
            wait_for_spans(o, backoff_ns, SIZE_MAX);
            backoff_ns *= 2;
        }
        outcome = post(o, json.length, &rejected);
    }
    if (outcome != RYZ_POST_OK || rejected > count) rejected = count;
    (void)ryz_add_relaxed(&o->dropped, rejected);
    (void)ryz_add_relaxed(&o->exported, count - rejected);
}

static size_t pop_batch(struct ryz_otlp *o)
{
    size_t count = 0;
    while (count < o->options.batch_spans && ryz_ring_pop(o->ring, &o->batch[count])) count++;
    return count;
}

static void *run(void *argument)
{
    struct ryz_otlp *o = argument;
    int64_t deadline_ns = 0;
    for (;;) {
        wait_for_spans(o, o->options.flush_interval_ns, o->options.batch_spans);
        bool closing = is_closing(o, &deadline_ns); /* before the last look into the ring */
        for (size_t count; (count = pop_batch(o)) > 0;) send_batch(o, count);
        if (closing) return NULL;
    }
}

/* As OpenTelemetry's TraceIdRatioBased: the low 64 bits against a threshold. */
static bool is_chosen(const struct ryz_otlp *o, const struct ryz_span *span)
{
    uint64_t high = 0, low = 0;
    for (int i = 0; i < 8; i++) {
        high = high << 8 | span->trace_id[i];
        low = low << 8 | span->trace_id[8 + i];
    }
    if (high == 0 && low == 0) return false;
    return o->options.sample_permille == 1000 ||
           low / (UINT64_MAX / 1000 + 1) < o->options.sample_permille;
}

static void emit(void *context, const struct ryz_span *span)
{
    struct ryz_otlp *o = context;
    if (!is_chosen(o, span)) {
        (void)ryz_add_relaxed(&o->sampled_out, 1);
        return;
    }
    if (!ryz_ring_push(o->ring, span)) {
        (void)ryz_add_relaxed(&o->dropped, 1);
        return;
    }
    if (ryz_ring_count(o->ring) >= o->options.batch_spans) (void)pthread_cond_signal(&o->wake);
}

/* Adds OTLP's path to an address that has none; NULL when out of memory. */
static char *full_url(const char *url)
{
    const char *path = strchr(strstr(url, "://") + 3, '/');
    bool bare = path == NULL || path[1] == '\0';
    size_t length = bare && path != NULL ? (size_t)(path - url) : strlen(url);
    char *full = malloc(length + sizeof "/v1/traces");
    if (full == NULL) return NULL;
    (void)snprintf(full, length + sizeof "/v1/traces", "%.*s%s", (int)length, url,
                   bare ? "/v1/traces" : "");
    return full;
}

static void fill_defaults(struct ryz_otlp_options *options)
{
    if (options->ring_spans == 0) options->ring_spans = RING_DEFAULT;
    if (options->batch_spans == 0) options->batch_spans = BATCH_DEFAULT;
    if (options->batch_spans > BATCH_MAX) options->batch_spans = BATCH_MAX;
    if (options->batch_spans > options->ring_spans) options->batch_spans = options->ring_spans;
    if (options->flush_interval_ns <= 0) options->flush_interval_ns = RYZ_NS_PER_S;
    if (options->timeout_ns <= 0) options->timeout_ns = TIMEOUT_DEFAULT;
    if (options->sample_permille == 0 || options->sample_permille > 1000)
        options->sample_permille = 1000;
}

/* No proxies and no redirects: a proxy would come from the environment, and a collector that
 * redirects a POST is misconfigured. */
static bool set_up_curl(struct ryz_otlp *o)
{
    o->curl = curl_easy_init();
    o->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (o->curl == NULL || o->headers == NULL) return false;
    CURL *c = o->curl;
    return curl_easy_setopt(c, CURLOPT_URL, o->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, o->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep_answer) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFODATA, o) == CURLE_OK;
}

static void release(struct ryz_otlp *o)
{
    if (o->curl != NULL) curl_easy_cleanup(o->curl);
    curl_slist_free_all(o->headers);
    ryz_ring_close(o->ring);
    free(o->batch);
    free(o->body);
    free(o->url);
    free(o->service_name);
    free(o);
    curl_global_cleanup();
}

static enum ryz_status start_thread(struct ryz_otlp *o, struct ryz_error *error)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&o->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&o->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int reason = pthread_create(&o->thread, NULL, run, o);
    if (reason == 0) return RYZ_OK;
    (void)pthread_cond_destroy(&o->wake);
    (void)pthread_mutex_destroy(&o->lock);
    return ryz_fail_errno(error, RYZ_NO_MEMORY, reason, "cannot start the exporter's thread");
}

enum ryz_status ryz_otlp_open(const struct ryz_otlp_options *options, struct ryz_otlp **out,
                              struct ryz_error *error)
{
    *out = NULL;
    if (strncmp(options->url, "http://", 7) != 0 && strncmp(options->url, "https://", 8) != 0)
        return ryz_fail(error, RYZ_INVALID,
                        "\"%s\" is no OTLP endpoint; write it as http://host:4318", options->url);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return ryz_fail(error, RYZ_NO_MEMORY, "cannot start libcurl");
    struct ryz_otlp *o = calloc(1, sizeof *o);
    if (o == NULL) {
        curl_global_cleanup();
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the span exporter");
    }
    o->options = *options;
    fill_defaults(&o->options);
    o->url = full_url(options->url);
    o->service_name = strdup(options->service_name);
    o->body_bytes = HEAD_BYTES + (size_t)o->options.batch_spans * RYZ_OTLP_SPAN_BYTES;
    o->body = malloc(o->body_bytes);
    o->batch = calloc(o->options.batch_spans, sizeof *o->batch);
    enum ryz_status status = RYZ_OK;
    if (o->url == NULL || o->service_name == NULL || o->body == NULL || o->batch == NULL ||
        !set_up_curl(o))
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for the span exporter");
    if (status == RYZ_OK)
        status = ryz_ring_open(o->options.ring_spans, sizeof(struct ryz_span), &o->ring, error);
    if (status == RYZ_OK) status = start_thread(o, error);
    if (status != RYZ_OK) {
        release(o);
        return status;
    }
    *out = o;
    return RYZ_OK;
}

struct ryz_span_sink ryz_otlp_sink(struct ryz_otlp *otlp)
{
    return (struct ryz_span_sink){.emit = emit, .context = otlp};
}

struct ryz_otlp_stats ryz_otlp_stats(const struct ryz_otlp *otlp)
{
    return (struct ryz_otlp_stats){
        .exported = ryz_load_relaxed(&otlp->exported),
        .dropped = ryz_load_relaxed(&otlp->dropped),
        .sampled_out = ryz_load_relaxed(&otlp->sampled_out),
        .posts = ryz_load_relaxed(&otlp->posts),
        .failed_posts = ryz_load_relaxed(&otlp->failed_posts),
    };
}

void ryz_otlp_close(struct ryz_otlp *otlp, int64_t deadline_ns, struct ryz_otlp_stats *stats)
{
    if (otlp == NULL) return;
    (void)pthread_mutex_lock(&otlp->lock);
    otlp->closing = true;
    otlp->close_deadline_ns = deadline_ns;
    (void)pthread_cond_signal(&otlp->wake);
    (void)pthread_mutex_unlock(&otlp->lock);
    (void)pthread_join(otlp->thread, NULL);
    if (stats != NULL) *stats = ryz_otlp_stats(otlp);
    (void)pthread_cond_destroy(&otlp->wake);
    (void)pthread_mutex_destroy(&otlp->lock);
    release(otlp);
}
