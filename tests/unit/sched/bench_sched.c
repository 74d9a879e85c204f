/*
 * bench_sched.c - how long one decision takes, by the number of requests that run and wait.
 *
 * Not a test: it asserts no time. Method: a full batch of decodes (and one of chunked prefills)
 * behind which requests wait; each step is planned, done and its tokens fed; the median and the
 * 99th percentile of ryz_core_next and of the feeds are printed.
 */
#include "engine/base/clock.h"
#include "engine/sched/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STEPS 3990 /* no multiple of an output length, so that the last line shows a full house */

static int64_t read_clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * RYZ_NS_PER_S + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct load {
    const char *name;
    uint32_t running, waiting, prompt, output, chunk;
    int64_t step_ns_max;
};

static void arrive(struct ryz_core *core, const struct load *load, int64_t t_ns, uint64_t id)
{
    const struct ryz_event event = {.t_ns = t_ns,
                                    .kind = RYZ_EV_ARRIVE,
                                    .request_id = id,
                                    .deadline_ns = RYZ_TIME_NEVER,
                                    .prompt_tokens = load->prompt,
                                    .output_tokens_max = load->output};
    (void)ryz_core_feed(core, &event);
}

/* Feeds what a step produced and an arrival for each request that ends. */
static void finish_step(struct ryz_core *core, const struct load *load,
                        const struct ryz_sched_plan *plan, uint64_t *id)
{
    const int64_t t_ns = 0;
    const struct ryz_event done = {.t_ns = t_ns,
                                   .kind = RYZ_EV_STEP_DONE,
                                   .duration_ns =
                                       1000000 + 1000 * (int64_t)plan->shape.prefill_tokens};
    (void)ryz_core_feed(core, &done);
    for (uint32_t k = 0; k < plan->item_count; k++) {
        const struct ryz_plan_item *item = &plan->items[k];
        if (!item->samples) continue;
        const struct ryz_event token = {
            .t_ns = t_ns, .kind = RYZ_EV_TOKEN, .request_id = item->request_id, .slot = item->slot};
        if (ryz_core_feed(core, &token).kind == RYZ_EFFECT_FINISHED)
            arrive(core, load, t_ns, (*id)++);
    }
}

static void measure(const struct load *load)
{
    static int64_t next_ns[STEPS], feed_ns[STEPS];
    const struct ryz_core_config config = {
        .limits = {.batch_requests_max = load->running,
                   .batch_tokens_max = 8192,
                   .prefill_chunk_max = load->chunk,
                   .kv_block_tokens = 16,
                   .kv_blocks = 65536,
                   .queue_requests_max = 100000,
                   .context_tokens_max = 32768,
                   .step_ns_max = load->step_ns_max},
        .policy = "fcfs",
    };
    struct ryz_core *core = NULL;
    struct ryz_error error;
    if (ryz_core_open(&config, &core, &error) != RYZ_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    uint64_t id = 0;
    while (id < load->running + load->waiting) arrive(core, load, 0, id++);
    for (uint32_t i = 0; i < STEPS; i++) {
        int64_t begin = read_clock_ns();
        const struct ryz_sched_plan *plan = ryz_core_next(core, 0);
        int64_t middle = read_clock_ns();
        finish_step(core, load, plan, &id);
        int64_t end = read_clock_ns();
        next_ns[i] = middle - begin;
        feed_ns[i] = end - middle;
    }
    struct ryz_core_stats stats = ryz_core_stats(core);
    qsort(next_ns, STEPS, sizeof next_ns[0], compare);
    qsort(feed_ns, STEPS, sizeof feed_ns[0], compare);
    (void)printf("%-34s %4u running %6u waiting: next p50 %6.2f p99 %6.2f us, feeds p50 %6.2f us\n",
                 load->name, stats.running, stats.waiting, (double)next_ns[STEPS / 2] / 1e3,
                 (double)next_ns[STEPS * 99 / 100] / 1e3, (double)feed_ns[STEPS / 2] / 1e3);
    ryz_core_close(core);
}

int main(void)
{
    static const struct load loads[] = {
        {"decodes", 256, 0, 32, 1000, 512, RYZ_TIME_NEVER},
        {"decodes", 256, 2000, 32, 1000, 512, RYZ_TIME_NEVER},
        {"decodes", 256, 90000, 32, 1000, 512, RYZ_TIME_NEVER},
        {"turnover", 256, 2000, 32, 20, 512, RYZ_TIME_NEVER},
        {"turnover, step time limited", 256, 2000, 32, 20, 512, 1200000},
        {"long prompts in chunks", 256, 2000, 4000, 50, 32, RYZ_TIME_NEVER},
        {"long prompts, step time limited", 256, 2000, 4000, 50, 512, 2000000},
        {"decodes", 32, 2000, 32, 1000, 512, RYZ_TIME_NEVER},
    };
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) measure(&loads[i]);
    return 0;
}
