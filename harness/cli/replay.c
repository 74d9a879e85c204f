/*
 * replay.c - `ryz replay`: feeds the scheduler events of a recorded run to a fresh core and
 * compares the digest of its decisions with the recorded one.
 */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/clock.h"
#include "engine/sched/event_log.h"
#include "harness/record/results_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Files from before a limit or a deadline have no such column, which reads as an absent time. */
static int64_t known(int64_t ns)
{
    return ns == RYZ_TIME_NONE ? 0 : ns;
}

/* "3:400 5:200" to shares; what is no number reads as 0, which the core refuses. */
static uint32_t shares_of(const char *text, struct ryz_kv_share *shares)
{
    uint32_t count = 0;
    char *end = NULL;
    while (*text != '\0' && count < RYZ_KV_SHARES_MAX) {
        shares[count].tenant = (uint16_t)strtoul(text, &end, 10);
        if (*end == ':') shares[count].permille = (uint16_t)strtoul(end + 1, &end, 10);
        text = end + strcspn(end, " ");
        text += strspn(text, " ");
        count++;
    }
    return count;
}

static struct ryz_core_config config_of(const struct ryz_sched_config_row *row)
{
    struct ryz_core_config config = {
        .policy = row->policy,
        .seed = row->seed,
        .prefix_cache = row->prefix_cache != 0,
        .limits = {.batch_requests_max = row->batch_requests_max,
                   .batch_tokens_max = row->batch_tokens_max,
                   .prefill_chunk_max = row->prefill_chunk_max,
                   .kv_block_tokens = row->kv_block_tokens,
                   .kv_blocks = row->kv_blocks,
                   .kv_host_blocks = row->kv_host_blocks,
                   .queue_requests_max = row->queue_requests_max,
                   .context_tokens_max = row->context_tokens_max,
                   .step_ns_max = row->step_ns_max,
                   .itl_target_ns = known(row->itl_target_ns),
                   .queue_wait_ns_max = known(row->queue_wait_ns_max),
                   .starve_ns = known(row->starve_ns),
                   .admit_late = row->admit_late != 0,
                   .draft_tokens_max = row->draft_tokens_max,
                   .admit = (enum ryz_admit)row->admit,
                   .headroom_adapts = row->headroom_adapts != 0,
                   .queue_tokens_max = row->queue_tokens_max},
    };
    config.share_count = shares_of(row->kv_partitions, config.shares);
    return config;
}

/* Replays one run; *differs is set when the digests do. */
static enum ryz_status replay_run(const struct ryz_results *results, uint32_t run, bool *differs,
                                  struct ryz_error *error)
{
    struct ryz_run_data data = {0};
    uint32_t tables = RYZ_TABLE_BIT(RYZ_TABLE_SCHED_LOG) | RYZ_TABLE_BIT(RYZ_TABLE_SCHED_CONFIG);
    enum ryz_status status = ryz_results_read_run(results, run, tables, &data, error);
    if (status != RYZ_OK) return status;
    size_t event_count = 0, config_count = 0;
    struct ryz_event *events = ryz_run_rows(&data, RYZ_TABLE_SCHED_LOG, &event_count);
    const struct ryz_sched_config_row *row =
        ryz_run_rows(&data, RYZ_TABLE_SCHED_CONFIG, &config_count);
    if (config_count == 0) {
        printf("run%04u  has no scheduler log (driver %s)\n", run, data.info.driver);
        goto out_free_data;
    }
    struct ryz_core_config config = config_of(row);
    for (size_t i = 0; i < event_count; i++)
        events[i].first_deadline_ns = known(events[i].first_deadline_ns);
    struct ryz_core_stats stats = {0};
    uint64_t digest = 0;
    status = ryz_event_log_replay(&config, events, event_count, &digest, &stats, error);
    if (status != RYZ_OK) goto out_free_data;
    printf("run%04u  %zu events, %" PRIu64 " steps, %" PRIu64 " requests, digest %016" PRIx64
           ": %s\n",
           run, event_count, stats.steps, stats.arrived, digest,
           digest == row->digest ? "equal" : "DIFFERS from the recorded one");
    if (digest != row->digest) *differs = true;
out_free_data:
    ryz_run_data_deinit(&data);
    return status;
}

int ryz_command_replay(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz replay RESULTS.h5",
        .about =
            "Feeds each recorded run's scheduler events to a fresh scheduler core; the digest\n"
            "of its decisions must equal the recorded one. Exit 1 if one differs.",
        .positional_min = 1,
        .positional_max = 1};
    const char *path = NULL;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &path, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    struct ryz_results *results = NULL;
    struct ryz_error error = {0};
    bool differs = false;
    status = ryz_results_open(path, &results, &error);
    if (status == RYZ_OK) {
        uint32_t count = ryz_results_run_count(results);
        for (uint32_t run = 0; run < count && status == RYZ_OK; run++) {
            status = replay_run(results, run, &differs, &error);
        }
        ryz_results_close(results);
    }
    if (status != RYZ_OK) {
        (void)fprintf(stderr, "ryz: %s\n", error.text);
        return RYZ_EXIT_COULD_NOT;
    }
    return differs ? RYZ_EXIT_MISSED : RYZ_EXIT_MET;
}
