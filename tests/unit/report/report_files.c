/* report_files.c - see report_files.h. */
#include "tests/unit/report/report_files.h"

#include "engine/base/assert.h"
#include "harness/evaluate/evaluator.h"
#include "harness/record/results_file.h"
#include "tests/unit/record/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(enum ryz_status status)
{
    RYZ_ASSERT(status == RYZ_OK);
}

static struct ryz_results_file *begin(const char *path, const char *title)
{
    struct ryz_provenance provenance;
    struct ryz_results_file *file = NULL;
    synthetic_provenance(&provenance);
    if (title != NULL) snprintf(provenance.title, sizeof provenance.title, "%s", title);
    must(ryz_results_create(path, &provenance, &file, NULL));
    return file;
}

void report_file_of_a_run(const char *path, const char *title)
{
    const struct synthetic options = {.seed = 3,
                                      .requests = 150,
                                      .rate_per_s = 12,
                                      .token_ms = 8,
                                      .fail_share = 0.3,
                                      .fault = true,
                                      .traffics = 2,
                                      .max_batch = 4};
    struct ryz_results_file *file = begin(path, title);
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_run_data data;
    struct ryz_plan plan;
    synthetic_plan(&options, &plan);
    synthetic_run(&options, &data);
    must(ryz_evaluator_open(&plan, &evaluator, NULL));
    must(ryz_evaluator_add(evaluator, &plan, &data, NULL));
    must(ryz_results_add_run(file, &data, NULL));
    must(ryz_results_commit(file, true, NULL));
    ryz_run_data_deinit(&data);
    ryz_evaluator_close(evaluator);
}

void report_file_of_a_sweep(const char *path, bool one_axis)
{
    static const char *const quants[] = {"bf16", "q8_0"};
    static const uint32_t batches[] = {1, 4, 16};
    static const char *const keys[] = {"engine.quant", "engine.max_batch"};
    struct ryz_results_file *file = begin(path, NULL);
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_plan plan;
    struct synthetic options = {.seed = 8, .requests = 60, .rate_per_s = 15, .traffics = 1};
    synthetic_plan(&options, &plan);
    must(ryz_evaluator_open(&plan, &evaluator, NULL));
    for (uint32_t i = 0; i < (one_axis ? 3U : 6U); i++) {
        struct ryz_run_data data;
        options.max_batch = batches[i % 3];
        options.token_ms = i < 3 ? 12 : 8;
        synthetic_run(&options, &data);
        synthetic_accuracy(4, i < 3 ? 0 : 0.004, &data);
        struct ryz_fact_row fact = {.metric = "model.size", .value = i < 3 ? 14.7e6 : 7.8e6};
        must(ryz_run_data_set(&data, RYZ_TABLE_FACTS, &fact, 1, NULL));
        data.info.point = i;
        if (one_axis)
            snprintf(data.info.label, sizeof data.info.label, "engine.max_batch=%u",
                     batches[i % 3]);
        else
            snprintf(data.info.label, sizeof data.info.label, "engine.quant=%s engine.max_batch=%u",
                     quants[i / 3], batches[i % 3]);
        must(ryz_evaluator_add(evaluator, &plan, &data, NULL));
        must(ryz_results_add_run(file, &data, NULL));
        ryz_run_data_deinit(&data);
    }
    must(ryz_results_set_axes(file, one_axis ? keys + 1 : keys, one_axis ? 1 : 2, NULL));
    must(ryz_results_commit(file, true, NULL));
    ryz_evaluator_close(evaluator);
}

void report_file_empty(const char *path)
{
    must(ryz_results_commit(begin(path, NULL), true, NULL));
}
