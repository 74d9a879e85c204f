/*
 * control_client.c - one short conversation a call: connect, one line, lines back, close.
 *
 * The server answers one client at a time and lets others wait in the backlog, so callers on
 * several threads need no lock. Its answers are input from outside like any other.
 */
#include "harness/chaos/control_client.h"

#include "engine/base/clock.h"
#include "engine/base/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 65536u
#define TIMEOUT_S      10
/* A server that answers HTTP opens its control channel a moment later. */
#define ARM_ATTEMPTS 250
#define ARM_PAUSE_NS (20 * RYZ_NS_PER_MS)

struct conversation {
    FILE *stream;
    const char *path;
    char *line; /* getline's */
    size_t capacity;
    struct ryz_error *error;
};

static enum ryz_status connect_to(struct conversation *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(c->path) >= sizeof address.sun_path) {
        return ryz_fail(c->error, RYZ_INVALID, "the control path is too long: %s", c->path);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", c->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return ryz_fail_errno(c->error, RYZ_IO, errno, "no socket for %s", c->path);
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int connect_errno = errno;
        (void)close(fd);
        return ryz_fail_errno(c->error, RYZ_UNAVAILABLE, connect_errno,
                              "the control channel %s does not answer", c->path);
    }
    c->stream = fdopen(fd, "r+");
    if (c->stream != NULL) return RYZ_OK;
    (void)close(fd);
    return ryz_fail(c->error, RYZ_NO_MEMORY, "no memory for the control channel");
}

/* As connect_to, but waits up to five seconds for the channel to appear. */
static enum ryz_status connect_patiently(struct conversation *c)
{
    const struct timespec pause = {.tv_nsec = ARM_PAUSE_NS};
    enum ryz_status status = connect_to(c);
    for (int i = 0; status == RYZ_UNAVAILABLE && i < ARM_ATTEMPTS; i++) {
        (void)nanosleep(&pause, NULL);
        status = connect_to(c);
    }
    return status;
}

static void end_conversation(struct conversation *c)
{
    if (c->stream != NULL) (void)fclose(c->stream);
    free(c->line);
}

static enum ryz_status say(struct conversation *c, const char *line)
{
    if (fputs(line, c->stream) >= 0 && fputc('\n', c->stream) != EOF && fflush(c->stream) == 0) {
        return RYZ_OK;
    }
    return ryz_fail_errno(c->error, RYZ_IO, errno, "cannot write to the control channel %s",
                          c->path);
}

/* Reads one line as a JSON object, to be released by the caller. */
static enum ryz_status hear(struct conversation *c, json_t **object)
{
    ssize_t length = getline(&c->line, &c->capacity, c->stream);
    if (length <= 0) {
        return ryz_fail(c->error, RYZ_IO, "the control channel %s ended in mid-answer", c->path);
    }
    *object = json_loadb(c->line, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(*object)) return RYZ_OK;
    json_decref(*object);
    return ryz_fail(c->error, RYZ_CORRUPT, "the control channel %s answered no JSON object",
                    c->path);
}

/* Is this the line that ends an answer? */
static bool is_end(const json_t *object)
{
    return json_object_get(object, "ok") != NULL;
}

static enum ryz_status check_end(const struct conversation *c, const json_t *object)
{
    if (json_is_true(json_object_get(object, "ok"))) return RYZ_OK;
    const char *why = json_string_value(json_object_get(object, "error"));
    return ryz_fail(c->error, RYZ_INVALID, "the server refused: %s", why != NULL ? why : "?");
}

static const char *action_name(enum ryz_fault_action action)
{
    static const char *const names[] = {"delay", "fail", "disconnect", "kill"};
    return names[action];
}

static void put_i64(struct ryz_json *json, const char *key, int64_t value)
{
    ryz_json_key(json, key);
    ryz_json_i64(json, value);
}

static void put_text(struct ryz_json *json, const char *key, const char *value)
{
    ryz_json_key(json, key);
    ryz_json_string(json, value);
}

static void write_fault(struct ryz_json *json, const struct ryz_fault *fault)
{
    ryz_json_object_begin(json);
    put_text(json, "name", fault->name);
    put_text(json, "point", ryz_fault_point_name(fault->point));
    put_text(json, "action", action_name(fault->action));
    put_i64(json, "at_ns", fault->at_ns);
    if (fault->until_ns != RYZ_TIME_NEVER) put_i64(json, "until_ns", fault->until_ns);
    put_i64(json, "permille", fault->permille);
    put_i64(json, "value_ns", fault->value_ns);
    ryz_json_object_end(json);
}

enum ryz_status ryz_control_client_arm(const char *path, const struct ryz_fault *faults,
                                       uint32_t count, uint64_t seed, struct ryz_error *error)
{
    char line[LINE_BYTES_MAX / 4], digits[24];
    struct ryz_json json;
    ryz_json_init(&json, line, sizeof line);
    ryz_json_object_begin(&json);
    put_text(&json, "op", "faults");
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)seed);
    put_text(&json, "seed", digits);
    put_i64(&json, "t0_ns", 0);
    ryz_json_key(&json, "faults");
    ryz_json_array_begin(&json);
    for (uint32_t i = 0; i < count; i++) write_fault(&json, &faults[i]);
    ryz_json_array_end(&json);
    ryz_json_object_end(&json);
    if (json.overflow) return ryz_fail(error, RYZ_FULL, "the fault plan is too long to send");

    struct conversation c = {.path = path, .error = error};
    json_t *answer = NULL;
    enum ryz_status status = connect_patiently(&c);
    if (status == RYZ_OK) status = say(&c, line);
    if (status == RYZ_OK) status = hear(&c, &answer);
    if (status == RYZ_OK) {
        status = check_end(&c, answer);
        json_decref(answer);
    }
    end_conversation(&c);
    return status;
}

static int64_t get_i64(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static uint32_t get_u32(const json_t *object, const char *key)
{
    int64_t value = get_i64(object, key);
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void get_counts(const json_t *object, const char *key, uint64_t counts[RYZ_DRAFT_MAX])
{
    const json_t *list = json_object_get(object, key);
    for (uint32_t i = 0; i < RYZ_DRAFT_MAX; i++) {
        int64_t value = json_integer_value(json_array_get(list, i));
        counts[i] = value > 0 ? (uint64_t)value : 0;
    }
}

static void take_step(const json_t *object, struct ryz_control_records *records)
{
    struct ryz_step_record step = {
        .t_ns = get_i64(object, "t_ns"),
        .duration_ns = get_i64(object, "duration_ns"),
        .sched_ns = get_i64(object, "sched_ns"),
        .forward_ns = get_i64(object, "forward_ns"),
        .shape = {.prefill_tokens = get_u32(object, "prefill_tokens"),
                  .decode_requests = get_u32(object, "decode_requests"),
                  .draft_tokens = get_u32(object, "draft_tokens"),
                  .context_tokens = (uint64_t)get_i64(object, "context_tokens")},
        .run_count = get_u32(object, "run_count"),
        .failed = json_is_true(json_object_get(object, "failed")),
        .stats = {.running = get_u32(object, "running"),
                  .waiting = get_u32(object, "waiting"),
                  .batch_limit = get_u32(object, "batch_limit"),
                  .kv_blocks_used = get_u32(object, "kv_blocks_used"),
                  .kv_blocks_total = get_u32(object, "kv_blocks_total"),
                  .kv_blocks_lent = get_u32(object, "kv_blocks_lent"),
                  .kv_slots = get_u32(object, "kv_slots"),
                  .kv_slots_empty = get_u32(object, "kv_slots_empty"),
                  .preempted = get_u32(object, "preempted")},
    };
    get_counts(object, "drafts_verified", step.stats.drafts_verified);
    get_counts(object, "drafts_accepted", step.stats.drafts_accepted);
    records->count++;
    if (records->step != NULL) records->step(records->context, &step);
}

/* Hex digits of `key` into bytes, most significant first; false if they are not 2 * byte_count. */
static bool get_hex(const json_t *object, const char *key, uint8_t *bytes, size_t byte_count)
{
    static const char digits[] = "0123456789abcdef";
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) != 2 * byte_count) return false;
    for (size_t i = 0; i < 2 * byte_count; i++) {
        const char *digit = strchr(digits, text[i]);
        if (digit == NULL) return false;
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | (digit - digits));
    }
    return true;
}

static uint64_t get_id(const json_t *object, const char *key)
{
    uint8_t bytes[8] = {0};
    uint64_t id = 0;
    if (!get_hex(object, key, bytes, sizeof bytes)) return 0;
    for (size_t i = 0; i < sizeof bytes; i++) id = id << 8 | bytes[i];
    return id;
}

static int8_t get_status(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "status"));
    for (int status = 0; name != NULL && status < RYZ_STATUS_COUNT; status++) {
        if (strcmp(ryz_status_name((enum ryz_status)status), name) == 0) return (int8_t)status;
    }
    return RYZ_CORRUPT;
}

static void take_span(const json_t *object, struct ryz_control_records *records)
{
    struct ryz_span span = {.span_id = get_id(object, "span_id"),
                            .parent = get_id(object, "parent"),
                            .request = (uint64_t)get_i64(object, "request"),
                            .t0_ns = get_i64(object, "t0_ns"),
                            .t1_ns = get_i64(object, "t1_ns"),
                            .attr = json_number_value(json_object_get(object, "attr")),
                            .worker = (int16_t)get_i64(object, "worker"),
                            .status = get_status(object)};
    const char *name = json_string_value(json_object_get(object, "name"));
    for (int i = 0; i < RYZ_SPAN_COUNT; i++) {
        if (name == NULL || strcmp(ryz_span_name((enum ryz_span_name)i), name) != 0) continue;
        span.name = (uint16_t)i;
        records->count++;
        bool known = get_hex(object, "trace_id", span.trace_id, sizeof span.trace_id);
        if (known && records->span != NULL) records->span(records->context, &span);
        return;
    }
}

enum ryz_status ryz_control_client_fetch(const char *path, struct ryz_control_records *records,
                                         struct ryz_error *error)
{
    struct conversation c = {.path = path, .error = error};
    enum ryz_status status = connect_to(&c);
    if (status == RYZ_OK) status = say(&c, "{\"op\":\"records\"}");
    for (bool ended = false; status == RYZ_OK && !ended;) {
        json_t *object = NULL;
        status = hear(&c, &object);
        if (status != RYZ_OK) break;
        const json_t *step = json_object_get(object, "step"),
                     *span = json_object_get(object, "span");
        if (is_end(object)) {
            ended = true;
            status = check_end(&c, object);
            records->dropped += (uint64_t)get_i64(object, "dropped");
        } else if (step != NULL) {
            take_step(step, records);
        } else if (span != NULL) {
            take_span(span, records);
        }
        json_decref(object);
    }
    end_conversation(&c);
    return status;
}
