/* command.c - fills in the command line of a server that a scenario starts. */
#include "harness/run/command.h"

#include <stdio.h>
#include <string.h>

struct line {
    char *out;
    size_t used, capacity;
};

static bool put(struct line *line, char c)
{
    if (line->used + 1 >= line->capacity) return false;
    line->out[line->used++] = c;
    line->out[line->used] = '\0';
    return true;
}

static bool put_path(struct line *line, const char *path)
{
    bool fits = true;
    for (; fits && *path != '\0'; path++) {
        if (strchr(" \t\\", *path) != NULL) fits = put(line, '\\');
        fits = fits && put(line, *path);
    }
    return fits;
}

/* Appends an option with a time in milliseconds, unless it is 0, which means "none". */
static void add_ms(char *text, size_t capacity, const char *option, int64_t ns)
{
    size_t used = strlen(text);
    if (ns > 0)
        (void)snprintf(text + used, capacity - used, " --%s %.9g", option, (double)ns / 1e6);
}

/* Appends the tenants' shares, which hold no blanks here. */
static void add_shares(char *text, size_t capacity, const struct ryz_kv_shares_plan *shares)
{
    for (uint32_t i = 0; i < shares->count; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, capacity - used, "%s%s@%u.%u%%",
                       i == 0 ? " --kv-partitions " : ",", shares->of[i].tenant,
                       shares->of[i].permille / 10u, shares->of[i].permille % 10u);
    }
}

static bool put_text(struct line *line, const char *text)
{
    bool fits = true;
    for (; fits && *text != '\0'; text++) fits = put(line, *text);
    return fits;
}

static bool put_speculation(struct line *line, const struct ryz_engine_plan *engine)
{
    char tokens[48];
    if (strcmp(engine->speculate, "off") == 0) return true;
    (void)snprintf(tokens, sizeof tokens, " --draft-tokens %u --speculate ", engine->draft_tokens);
    if (!put_text(line, tokens) || !put_text(line, engine->speculate)) return false;
    if (strcmp(engine->speculate, "draft") != 0) return true;
    return put_text(line, " --draft-model ") && put_path(line, engine->draft_model);
}

/* The budget, and the KV cache unless it is what the budget leaves. */
static void add_memory(char *text, size_t capacity, const struct ryz_engine_plan *engine)
{
    if (engine->memory.bytes != 0)
        (void)snprintf(text, capacity, " --memory %lluB", (unsigned long long)engine->memory.bytes);
    if (engine->memory.permille != 0)
        (void)snprintf(text, capacity, " --memory %u.%u%%", engine->memory.permille / 10u,
                       engine->memory.permille % 10u);
    size_t used = strlen(text);
    if (engine->kv_bytes != 0)
        (void)snprintf(text + used, capacity - used, " --kv %lluB",
                       (unsigned long long)engine->kv_bytes);
}

/* All of them, not only those that the scenario gives: the defaults of the scenario hold, whatever
 * those of the server are. */
static bool put_engine(struct line *line, const struct ryz_plan *plan)
{
    const struct ryz_engine_plan *engine = &plan->engine;
    char text[2048], threads[32] = "", queue[48] = "", times[128] = "", host[48] = "",
                     shares[1024] = "", memory[96] = "";
    if (engine->threads != 0)
        (void)snprintf(threads, sizeof threads, " --threads %u", engine->threads);
    if (engine->queue_tokens != 0)
        (void)snprintf(queue, sizeof queue, " --queue-tokens %u", engine->queue_tokens);
    if (engine->kv_host_bytes != 0)
        (void)snprintf(host, sizeof host, " --kv-host %lluB",
                       (unsigned long long)engine->kv_host_bytes);
    add_ms(times, sizeof times, "queue-wait", engine->queue_wait_ns);
    add_ms(times, sizeof times, "starvation", engine->starve_ns);
    add_ms(times, sizeof times, "step-target", engine->step_ns_max);
    add_ms(times, sizeof times, "itl-target", engine->itl_target_ns);
    add_memory(memory, sizeof memory, engine);
    add_shares(shares, sizeof shares, &engine->kv_shares);
    int length = snprintf(
        text, sizeof text,
        "--quant %s --isa %s%s --scheduler %s --max-batch %u --max-batch-tokens %u "
        "--prefill-chunk %u --max-queue %u --admit %s%s%s%s%s%s%s%s%s --kv-type %s "
        "--seed %llu",
        engine->quant, engine->isa, threads, engine->scheduler, engine->max_batch,
        engine->max_batch_tokens, engine->prefill_chunk, engine->max_queue, engine->admit, queue,
        times, shares, strcmp(engine->headroom, "fixed") == 0 ? " --fixed-headroom" : "",
        engine->admit_late ? "" : " --refuse-late",
        engine->prefix_cache ? "" : " --no-prefix-cache", memory, host, engine->kv_type,
        (unsigned long long)plan->seed);
    bool fits = length >= 0 && (size_t)length < sizeof text;
    return fits && put_text(line, text) && put_speculation(line, engine);
}

bool ryz_command_fill(const struct ryz_plan *plan, const char *control_path, char *out,
                      size_t capacity)
{
    struct line line = {.capacity = capacity};
    line.out = out;
    const char *at = plan->engine.spawn;
    bool fits = true;
    while (fits && *at != '\0') {
        if (strncmp(at, "{model}", 7) == 0) {
            fits = put_path(&line, plan->model_path);
            at += 7;
        } else if (strncmp(at, "{control}", 9) == 0) {
            fits = put_path(&line, control_path);
            at += 9;
        } else if (strncmp(at, "{engine}", 8) == 0) {
            fits = put_engine(&line, plan);
            at += 8;
        } else {
            fits = put(&line, *at++);
        }
    }
    return fits;
}
