/*
 * plan.h - a scenario file after it was read and checked: plain data, const from here on.
 *
 * Every key of every section is one row of a table in keys.h; parser, `ryz check`, `--set`, sweeps
 * and docs/scenario.md are made from it. This header is what the rest of the harness sees.
 * Times are nanoseconds, rates per second, ratios 1 = 100 %.
 */
#ifndef RYZ_HARNESS_SCENARIO_PLAN_H
#define RYZ_HARNESS_SCENARIO_PLAN_H

#include "engine/base/fault.h"
#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_NAME_MAX     32u
#define RYZ_PATH_MAX     512u
#define RYZ_TRAFFIC_MAX  8u
#define RYZ_TARGETS_MAX  64u
#define RYZ_AXES_MAX     6u
#define RYZ_VALUES_MAX   32u
#define RYZ_INCLUDES_MAX 4u

#define RYZ_KV_SHARES_PLAN_MAX                                                                     \
    15u /* tenants with a part of the KV pool, as the scheduler has it                             \
         */

enum ryz_target_kind { RYZ_TARGET_EMBEDDED, RYZ_TARGET_HTTP, RYZ_TARGET_SIMULATOR };
enum ryz_run_mode { RYZ_MODE_PERFORMANCE, RYZ_MODE_ACCURACY, RYZ_MODE_BOTH };
enum ryz_arrival_kind {
    RYZ_ARRIVAL_CLOSED,
    RYZ_ARRIVAL_CONSTANT,
    RYZ_ARRIVAL_POISSON,
    RYZ_ARRIVAL_TRACE
};
enum ryz_trace_format { RYZ_TRACE_AZURE, RYZ_TRACE_MOONCAKE };
enum ryz_length_kind { RYZ_LENGTH_FIXED, RYZ_LENGTH_UNIFORM, RYZ_LENGTH_LOGNORMAL };
enum ryz_measure { RYZ_MEASURE_YES, RYZ_MEASURE_NO, RYZ_MEASURE_STEADY };

/* "fixed 256" | "uniform 64..128" | "lognormal mean=180 sd=90 max=512", in tokens. */
struct ryz_length_dist {
    enum ryz_length_kind kind;
    double mean, sd;   /* lognormal: of the variate itself, not of its logarithm */
    uint32_t min, max; /* fixed: min == max; uniform: inclusive range; lognormal: clipped to */
};

/* "ttft<=400ms tpot<=80ms e2e<=8s"; RYZ_TIME_NEVER where not given. */
struct ryz_slo {
    int64_t ttft_ns, tpot_ns, e2e_ns;
};

/* "victim@40% noise@20%": tenants' guaranteed parts of the KV pool. */
struct ryz_kv_shares_plan {
    uint32_t count;
    struct {
        char tenant[RYZ_NAME_MAX];
        uint16_t permille;
    } of[RYZ_KV_SHARES_PLAN_MAX];
};

/* "4 GiB" or "60 %"; neither: no limit. */
struct ryz_memory_plan {
    uint64_t bytes;
    uint32_t permille; /* of what the machine has */
};

struct ryz_traffic_plan {
    char name[RYZ_NAME_MAX];
    enum ryz_arrival_kind arrival;
    double rate_per_s;    /* constant, poisson */
    int64_t duration_ns;  /* open arrivals: how long; 0: until `requests` */
    uint32_t concurrency; /* closed */
    uint32_t requests;    /* 0: no limit by count */
    struct ryz_length_dist prompt, output;
    bool ignore_eos;          /* generate exactly the wanted output length */
    char trace[RYZ_PATH_MAX]; /* resolved path */
    enum ryz_trace_format format;
    int64_t window_begin_ns, window_end_ns; /* slice in trace time */
    double speed;                           /* 1 = as recorded, 0.25 = four times slower */
    double scale_tokens;                    /* factor on prompt and output lengths */
    int32_t priority;                       /* 0 most urgent; high 0, normal 1, low 2 */
    char tenant[RYZ_NAME_MAX];
    int64_t first_deadline_ns, deadline_ns; /* from the scheduled arrival; 0: none */
    struct ryz_slo slo;
    int64_t timeout_ns; /* a request unanswered for longer has failed */
    enum ryz_measure measure;
    int64_t start_ns; /* offset on the traffic clock */
};

struct ryz_engine_plan {
    enum ryz_target_kind target;
    char backend[16];              /* "cpu" | "cuda" */
    char isa[16];                  /* "auto" | "ref" | "avx2" | "avx512" */
    uint32_t threads;              /* 0: all cores */
    char scheduler[16];            /* "fcfs" */
    uint32_t max_batch;            /* requests in one step */
    uint32_t max_batch_tokens;     /* tokens in one step */
    uint32_t prefill_chunk;        /* tokens of one request in one step */
    struct ryz_memory_plan memory; /* for weights, scratch, tables and KV cache */
    uint64_t kv_bytes;             /* budget of the KV cache */
    uint64_t kv_host_bytes;        /* of the host memory behind it; 0: none */
    char kv_type[8];               /* "bf16" | "int8" */
    uint32_t max_queue;            /* waiting requests; more are refused */
    uint32_t queue_tokens;         /* prompt tokens of waiting requests; 0: no limit */
    int64_t queue_wait_ns;         /* believed wait for a first token; 0: no limit */
    int64_t starve_ns;             /* who waited longer goes first; 0: nobody */
    char admit[8];                 /* "prompt" | "whole" | "chunk" */
    char headroom[12];             /* "adaptive" | "fixed" */
    struct ryz_kv_shares_plan kv_shares;
    bool prefix_cache;              /* find beginnings that were computed before */
    char speculate[8];              /* "off" | "lookup" | "draft" */
    char draft_model[RYZ_PATH_MAX]; /* for "draft" */
    uint32_t draft_tokens;          /* most proposals for one request in one step */
    bool admit_late;                /* take requests that are believed to miss a deadline */
    int64_t step_ns_max;            /* predicted step length the policy aims at; 0: none */
    int64_t itl_target_ns;          /* time between tokens that the batch size keeps; 0: none */
    char quant[16];                 /* "as_is" | "f32" | "bf16" | "q8_0" | "q4_0" */
    char url[RYZ_PATH_MAX];         /* http */
    char spawn[RYZ_PATH_MAX];       /* command line of a server to start and await; empty: none */
    char control[RYZ_PATH_MAX];     /* unix socket of the spawned server's control channel */
    char model_name[64];            /* `model` field of HTTP requests; empty: ask /v1/models */
    char prompts[8];                /* http: "ids" | "text" */
    char cost[RYZ_PATH_MAX]; /* simulator: results file whose steps the cost model is fitted to */
};

struct ryz_accuracy_plan {
    bool enabled;
    char set[RYZ_PATH_MAX]; /* UTF-8 text */
    char metric[16];        /* "perplexity" */
    char against[16];       /* quant of the base, e.g. "bf16"; empty: no base */
    uint32_t tokens_max;    /* tokens of the text that are scored */
    uint32_t context;       /* window length in tokens */
};

enum ryz_op { RYZ_OP_LE, RYZ_OP_GE, RYZ_OP_EQ, RYZ_OP_LT, RYZ_OP_GT };

/* "ttft.p99 = <= 250 ms" or "beside.ttft.p99 = <= 1.2 x of alone.ttft.p99 + alone.step.max":
 * metrics are kept as text; evaluate/ knows them. */
struct ryz_target_plan {
    char metric[64];
    enum ryz_op op;
    double value;   /* in the metric's base unit (ns, per second, ratio, count); a factor of `of` */
    char unit[16];  /* as written, for printing */
    char of[64];    /* the metric that `value` is a factor of; "": value stands for itself */
    char plus[64];  /* the metric that is added to that; "": none */
    char text[192]; /* right side as written */
    char where[48]; /* the end of "file:line", or the option of the command line, for messages */
};

/* One swept key. */
struct ryz_axis {
    char key[64]; /* dot path */
    char values[RYZ_VALUES_MAX][32];
    uint32_t count;
};

struct ryz_sweep_plan {
    struct ryz_axis axes[RYZ_AXES_MAX];
    uint32_t axis_count;
    bool shuffled;
    int64_t cooldown_ns;
};

struct ryz_output_plan {
    char dir[RYZ_PATH_MAX];
    char hdf5[128]; /* template: {name} {commit} {time} {seed} */
    bool tokens, spans;
    char plots[128]; /* space-separated: cdf timeline gantt heatmap pareto; "none" */
};

struct ryz_plan {
    char name[RYZ_NAME_MAX];
    char title[192]; /* first comment line of the file, or the name */
    uint32_t schema; /* version of the format, 1 */
    uint64_t seed;
    uint32_t repeats;
    enum ryz_run_mode mode;
    char include[RYZ_PATH_MAX]; /* as written, space-separated; already merged in */
    struct ryz_engine_plan engine;
    char model_path[RYZ_PATH_MAX]; /* resolved */
    struct ryz_traffic_plan traffic[RYZ_TRAFFIC_MAX];
    uint32_t traffic_count;
    struct ryz_fault faults[RYZ_FAULTS_MAX];
    uint32_t fault_count;
    struct ryz_accuracy_plan accuracy;
    struct ryz_sweep_plan sweep;
    struct ryz_target_plan targets[RYZ_TARGETS_MAX];
    uint32_t target_count;
    struct ryz_output_plan output;
    const char *source; /* bytes of the scenario file as written, owned by the plan */
    uint64_t source_bytes;
    char source_path[RYZ_PATH_MAX];
};

/* Options of the command line that change a plan: "section.key=value" texts. */
struct ryz_overrides {
    const char *const *settings;
    uint32_t count;
};

/* Reads and checks a scenario; every point of its sweep is checked too. *error has the first
 * mistake with file, line, key and what is allowed ("did you mean"); ryz_plan_check prints all.
 * RYZ_INVALID: bad scenario (exit 64); RYZ_NOT_FOUND / RYZ_IO: the scenario or a data file is
 * absent (exit 4; the text names the command that brings it). With a sweep the plan has the values
 * of point 0. Close with ryz_plan_close. */
RYZ_MUST_USE enum ryz_status ryz_plan_open(const char *path, const struct ryz_overrides *overrides,
                                           struct ryz_plan **plan, struct ryz_error *error);
void ryz_plan_close(struct ryz_plan *plan);

/* Points of the sweep's grid (1 without a sweep); the last axis varies fastest. */
uint32_t ryz_plan_point_count(const struct ryz_plan *plan);
/* Fills order[0 .. point count) with the points in the order they are to be run: as written, or a
 * permutation that depends on the seed alone. */
void ryz_plan_order(const struct ryz_plan *plan, uint32_t *order);
/* A plan with the axes' values of grid point `point` set; to be closed, may outlive `plan`, has no
 * axes itself. label[0 .. label_capacity) gets "engine.quant=q8_0 engine.max_batch=4" or "". */
RYZ_MUST_USE enum ryz_status ryz_plan_point(const struct ryz_plan *plan, uint32_t point,
                                            struct ryz_plan **out, char *label,
                                            size_t label_capacity, struct ryz_error *error);

#endif
