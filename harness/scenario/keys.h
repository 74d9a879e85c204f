/*
 * keys.h - every key of a scenario file, in one table.
 *
 * The reader, the defaults, `--set`, the check of swept keys, `ryz check` and docs/scenario.md are
 * all made from these rows: a key that is not here does not exist. [targets] and the axes of
 * [sweep] have free keys and no rows.
 */
#ifndef RYZ_HARNESS_SCENARIO_KEYS_H
#define RYZ_HARNESS_SCENARIO_KEYS_H

#include "engine/sched/policy.h"
#include "harness/scenario/plan.h"

#include <stdbool.h>
#include <stddef.h>

/* X(enum name, name in the file, takes a name, what it is for) */
#define RYZ_SECTION_TABLE(X)                                                                       \
    X(SCENARIO, "scenario", false, "What this file is called and how often it runs.")              \
    X(ENGINE, "engine", false, "The system under test: our engine, a server, or the simulator.")   \
    X(MODEL, "model", false, "The weights that the embedded engine serves.")                       \
    X(TRAFFIC, "traffic", true, "A stream of requests; several run side by side.")                 \
    X(FAULT, "fault", true, "Something that goes wrong at a stated time.")                         \
    X(ACCURACY, "accuracy", false, "How well the model predicts a text (mode accuracy or both).")  \
    X(SWEEP, "sweep", false, "Keys that take several values: one point of the grid each.")         \
    X(TARGETS, "targets", false, "What must hold, as `metric = OP value`.")                        \
    X(OUTPUT, "output", false, "What is kept of a run, and where.")

enum ryz_section {
#define X(name, text, named, help) RYZ_SECTION_##name,
    RYZ_SECTION_TABLE(X)
#undef X
        RYZ_SECTION_COUNT
};

/* X(enum name, how docs describe a value of it) */
#define RYZ_VALUE_TYPE_TABLE(X)                                                                    \
    X(TEXT, "text")                                                                                \
    X(NAME, "name of `a-z 0-9 _`")                                                                 \
    X(WORD, "word")                                                                                \
    X(WORDS, "words")                                                                              \
    X(ENUM, "word")                                                                                \
    X(BOOL, "on, off, yes, no")                                                                    \
    X(FILES, "up to 4 paths")                                                                      \
    X(PATH, "path")                                                                                \
    X(TIME, "time, `250 ms`")                                                                      \
    X(RATE, "rate, `6 /s`")                                                                        \
    X(FACTOR, "factor, `0.25` or `4 x`")                                                           \
    X(BYTES, "size, `256 MiB`")                                                                    \
    X(COUNT, "whole number")                                                                       \
    X(TOKENS, "tokens, `512`")                                                                     \
    X(SEED, "whole number")                                                                        \
    X(SHARE, "share, `5 %`")                                                                       \
    X(DIST, "`fixed N`, `uniform A..B`, `lognormal mean=M sd=S max=N`")                            \
    X(SLO, "`ttft<=400ms tpot<=80ms e2e<=8s`, each optional")                                      \
    X(MEMORY, "size or share, `4 GiB`, `60 %`")                                                    \
    X(SHARES, "tenants with their shares, `a@40% b@20%`")                                          \
    X(WINDOW, "`0 s .. 300 s`")                                                                    \
    X(POINT, "fault point, see below")                                                             \
    X(ACTION, "`delay T`, `fail P`, `error P`, `disconnect P`, `kill`")

enum ryz_value_type {
#define X(name, text) RYZ_VALUE_##name,
    RYZ_VALUE_TYPE_TABLE(X)
#undef X
        RYZ_VALUE_TYPE_COUNT
};

#define RYZ_QUANTS   "as_is f32 bf16 q8_0 q4_0"
#define RYZ_NO_LIMIT 4294967295.0 /* largest uint32_t */
#define RYZ_DAY_NS   86400e9

/* X(section, key, type, struct, field, default, low, high, words, help)
 * default: NULL is "must be given", "" is "absent". low and high: allowed range in the base unit.
 * words: the allowed words of WORD, WORDS, ENUM (in the order of the enum), two words (false, true)
 * for a BOOL that has its own; for numbers a word that stands for 0. */
#define RYZ_KEY_TABLE(X)                                                                           \
    X(SCENARIO, name, NAME, ryz_plan, name, NULL, 0, 0, "",                                        \
      "What the run and its files are called")                                                     \
    X(SCENARIO, schema, COUNT, ryz_plan, schema, NULL, 1, 1, "", "Version of this format: 1")      \
    X(SCENARIO, seed, SEED, ryz_plan, seed, "1", 0, 1.8e19, "", "Seed of every random draw")       \
    X(SCENARIO, repeats, COUNT, ryz_plan, repeats, "1", 1, 1000, "",                               \
      "Independent runs of each point; they give the confidence intervals")                        \
    X(SCENARIO, mode, ENUM, ryz_plan, mode, "performance", 0, 0, "performance accuracy both",      \
      "What is measured")                                                                          \
    X(SCENARIO, include, FILES, ryz_plan, include, "", 0, 0, "",                                   \
      "Scenario files read before this one, relative to it; keys here win; one level")             \
    X(ENGINE, target, ENUM, ryz_engine_plan, target, "embedded", 0, 0, "embedded http simulator",  \
      "What serves: our engine in process, any OpenAI-compatible server, or the simulator")        \
    X(ENGINE, backend, WORD, ryz_engine_plan, backend, "cpu", 0, 0, "cpu cuda",                    \
      "Device of the embedded engine")                                                             \
    X(ENGINE, isa, WORD, ryz_engine_plan, isa, "auto", 0, 0, "auto ref avx2 avx512",               \
      "Instruction set of the CPU kernels")                                                        \
    X(ENGINE, threads, COUNT, ryz_engine_plan, threads, "all", 1, 256, "all",                      \
      "Threads of the forward pass")                                                               \
    X(ENGINE, scheduler, WORD, ryz_engine_plan, scheduler, "fcfs", 0, 0, RYZ_POLICY_NAMES,         \
      "Order of service: first come, by priority, earliest deadline, shortest job, turns of "      \
      "tenants, or tiered: priority, then deadline, then turns")                                   \
    X(ENGINE, max_batch, COUNT, ryz_engine_plan, max_batch, "16", 1, 256, "",                      \
      "Requests in one step")                                                                      \
    X(ENGINE, max_batch_tokens, TOKENS, ryz_engine_plan, max_batch_tokens, "512", 1, 65536, "",    \
      "Tokens in one step")                                                                        \
    X(ENGINE, prefill_chunk, TOKENS, ryz_engine_plan, prefill_chunk, "auto", 1, 65536, "auto",     \
      "Tokens of one request in one step; auto: 256, or max_batch_tokens if that is less")         \
    X(ENGINE, memory, MEMORY, ryz_engine_plan, memory, "none", 0, 0, "none",                       \
      "What weights, scratch, tables and KV cache may take together: a size, or a share of what "  \
      "the machine (or its cgroup) has; what does not fit is refused")                             \
    X(ENGINE, kv, BYTES, ryz_engine_plan, kv_bytes, "auto", 65536, 1099511627776.0, "auto",        \
      "Budget of the KV cache; auto: what `memory` leaves, or 256 MiB without it")                 \
    X(ENGINE, kv_host, BYTES, ryz_engine_plan, kv_host_bytes, "none", 65536, 1099511627776.0,      \
      "none", "Host memory for KV blocks that the prefix cache evicts; they are copied back")      \
    X(ENGINE, kv_type, WORD, ryz_engine_plan, kv_type, "bf16", 0, 0, "bf16 int8",                  \
      "Storage of keys and values; int8, with a scale per vector, holds nearly twice the tokens")  \
    X(ENGINE, kv_partitions, SHARES, ryz_engine_plan, kv_shares, "none", 0, 0, "none",             \
      "Parts of the KV cache that tenants are guaranteed; what one does not use is lent, and "     \
      "taken back by preemption when it is needed")                                                \
    X(ENGINE, max_queue, COUNT, ryz_engine_plan, max_queue, "256", 1, 65536, "",                   \
      "Waiting requests; one more is refused")                                                     \
    X(ENGINE, queue_tokens, TOKENS, ryz_engine_plan, queue_tokens, "none", 1, 1e9, "none",         \
      "Prompt tokens of waiting requests; a request beyond is refused")                            \
    X(ENGINE, queue_wait, TIME, ryz_engine_plan, queue_wait_ns, "none", 1e6, RYZ_DAY_NS, "none",   \
      "Believed wait for a first token; a request that would wait longer is refused")              \
    X(ENGINE, starvation, TIME, ryz_engine_plan, starve_ns, "none", 1e6, RYZ_DAY_NS, "none",       \
      "A request that has waited longer goes before all others, whatever the policy prefers; "     \
      "such requests take up to half of max_batch")                                                \
    X(ENGINE, prefix_cache, BOOL, ryz_engine_plan, prefix_cache, "yes", 0, 0, "",                  \
      "Beginnings of prompts that were computed before, for the same tenant, are found again")     \
    X(ENGINE, speculate, WORD, ryz_engine_plan, speculate, "off", 0, 0, "off lookup draft",        \
      "Proposals for the next tokens, verified together: lookup takes them from the request's "    \
      "own "                                                                                       \
      "text, draft from draft_model; the answers stay the same")                                   \
    X(ENGINE, draft_model, PATH, ryz_engine_plan, draft_model, "", 0, 0, "",                       \
      "GGUF file of a small model with the same vocabulary, for `speculate = draft`")              \
    X(ENGINE, draft_tokens, COUNT, ryz_engine_plan, draft_tokens, "4", 1, 8, "",                   \
      "Most proposals for one request in one step; fewer, or none, where more do not pay")         \
    X(ENGINE, admit_late, BOOL, ryz_engine_plan, admit_late, "yes", 0, 0, "",                      \
      "Take requests that are believed to miss a deadline; no: refuse them at once")               \
    X(ENGINE, admit, WORD, ryz_engine_plan, admit, "prompt", 0, 0, RYZ_ADMIT_NAMES,                \
      "KV blocks that must be free for a request to start: for its prompt (and the output so "     \
      "far); for its whole output too, so that nobody is preempted; for its first chunk")          \
    X(ENGINE, headroom, WORD, ryz_engine_plan, headroom, "adaptive", 0, 0, "adaptive fixed",       \
      "KV blocks that stay free when a request starts beside others: 1 %, adaptive: more after "   \
      "preemptions for lack of blocks, less again as requests end")                                \
    X(ENGINE, step_target, TIME, ryz_engine_plan, step_ns_max, "none", 1e3, 60e9, "none",          \
      "Believed length of a step that prefill chunks and proposals must keep")                     \
    X(ENGINE, itl_target, TIME, ryz_engine_plan, itl_target_ns, "none", 1e3, 60e9, "none",         \
      "Time between tokens that 95 of 100 steps are to keep: fewer requests than max_batch run "   \
      "at once where more would miss it, and prompts are cut to it")                               \
    X(ENGINE, quant, WORD, ryz_engine_plan, quant, "as_is", 0, 0, RYZ_QUANTS,                      \
      "Weights are re-encoded to this type at load")                                               \
    X(ENGINE, url, TEXT, ryz_engine_plan, url, "", 0, 0, "",                                       \
      "target http: base address, `http://127.0.0.1:8080/v1`")                                     \
    X(ENGINE, spawn, TEXT, ryz_engine_plan, spawn, "", 0, 0, "",                                   \
      "target http: command line of a server that is started before and stopped after the run; "   \
      "{model}, {control} and {engine} are filled in, the last with the keys of this section as "  \
      "options of `ryz serve`; words end at blanks, unless a backslash keeps one")                 \
    X(ENGINE, control, TEXT, ryz_engine_plan, control, "", 0, 0, "",                               \
      "target http: control socket of `ryz serve`, for faults inside it; not needed where spawn "  \
      "has {control}")                                                                             \
    X(ENGINE, model_name, TEXT, ryz_engine_plan, model_name, "", 0, 0, "",                         \
      "target http: `model` field of the requests; absent: the server's first model")              \
    X(ENGINE, prompts, WORD, ryz_engine_plan, prompts, "ids", 0, 0, "ids text",                    \
      "target http: prompts as token ids (exact lengths), or as text for servers without them")    \
    X(ENGINE, cost, PATH, ryz_engine_plan, cost, "", 0, 0, "",                                     \
      "target simulator: results file whose steps the cost model is fitted to")                    \
    X(MODEL, path, PATH, ryz_plan, model_path, "", 0, 0, "", "GGUF file")                          \
    X(TRAFFIC, arrival, ENUM, ryz_traffic_plan, arrival, NULL, 0, 0,                               \
      "closed constant poisson trace",                                                             \
      "How requests arrive: a fixed number in flight, evenly, at random, as recorded")             \
    X(TRAFFIC, rate, RATE, ryz_traffic_plan, rate_per_s, "", 1.0 / 3600, 1e6, "",                  \
      "constant, poisson: mean arrivals per time")                                                 \
    X(TRAFFIC, duration, TIME, ryz_traffic_plan, duration_ns, "", 1e6, RYZ_DAY_NS, "",             \
      "How long requests are sent")                                                                \
    X(TRAFFIC, concurrency, COUNT, ryz_traffic_plan, concurrency, "", 1, 4096, "",                 \
      "closed: requests in flight")                                                                \
    X(TRAFFIC, requests, COUNT, ryz_traffic_plan, requests, "", 1, 1e7, "",                        \
      "At most so many requests")                                                                  \
    X(TRAFFIC, prompt, DIST, ryz_traffic_plan, prompt, "fixed 128", 1, 1e6, "",                    \
      "Prompt lengths in tokens")                                                                  \
    X(TRAFFIC, output, DIST, ryz_traffic_plan, output, "fixed 32", 1, 1e6, "",                     \
      "Output lengths in tokens")                                                                  \
    X(TRAFFIC, ignore_eos, BOOL, ryz_traffic_plan, ignore_eos, "yes", 0, 0, "",                    \
      "Generate exactly the wanted length")                                                        \
    X(TRAFFIC, trace, PATH, ryz_traffic_plan, trace, "", 0, 0, "", "trace: the recorded arrivals") \
    X(TRAFFIC, format, ENUM, ryz_traffic_plan, format, "", 0, 0, "azure mooncake",                 \
      "trace: what the file looks like; prompts of mooncake begin alike where their hash_ids do")  \
    X(TRAFFIC, window, WINDOW, ryz_traffic_plan, window_begin_ns, "all", 0, 1e18, "all",           \
      "trace: the part that is used, in trace time")                                               \
    X(TRAFFIC, speed, FACTOR, ryz_traffic_plan, speed, "1 x", 1e-4, 1e4, "",                       \
      "trace: 0.25 is four times slower than recorded")                                            \
    X(TRAFFIC, scale_tokens, FACTOR, ryz_traffic_plan, scale_tokens, "1 x", 1e-4, 1e2, "",         \
      "trace: factor on prompt and output lengths, and on the 512 tokens of a hash id")            \
    X(TRAFFIC, priority, ENUM, ryz_traffic_plan, priority, "normal", 0, 0, "high normal low",      \
      "Urgency for the scheduler")                                                                 \
    X(TRAFFIC, tenant, NAME, ryz_traffic_plan, tenant, "default", 0, 0, "", "Who sends it")        \
    X(TRAFFIC, ttft_deadline, TIME, ryz_traffic_plan, first_deadline_ns, "none", 1e6, RYZ_DAY_NS,  \
      "none", "When the first token is due, from the scheduled arrival; the scheduler knows it")   \
    X(TRAFFIC, deadline, TIME, ryz_traffic_plan, deadline_ns, "none", 1e6, RYZ_DAY_NS, "none",     \
      "When the answer must be complete, likewise; the server ends a request there")               \
    X(TRAFFIC, slo, SLO, ryz_traffic_plan, slo, "none", 0, 0, "none",                              \
      "What a request must keep to count as good")                                                 \
    X(TRAFFIC, timeout, TIME, ryz_traffic_plan, timeout_ns, "60 s", 1e6, RYZ_DAY_NS, "",           \
      "A request unanswered for longer has failed")                                                \
    X(TRAFFIC, measure, ENUM, ryz_traffic_plan, measure, "yes", 0, 0, "yes no steady",             \
      "Does it count; steady cuts ramp and drain")                                                 \
    X(TRAFFIC, start, TIME, ryz_traffic_plan, start_ns, "0 s", 0, RYZ_DAY_NS, "",                  \
      "Offset on the traffic clock")                                                               \
    X(FAULT, at, TIME, ryz_fault, at_ns, NULL, 0, RYZ_DAY_NS, "", "Start on the traffic clock")    \
    X(FAULT, for, TIME, ryz_fault, until_ns, "", 1e6, RYZ_DAY_NS, "", "Length; absent: open end")  \
    X(FAULT, where, POINT, ryz_fault, point, NULL, 0, 0, "", "What is hit")                        \
    X(FAULT, do, ACTION, ryz_fault, action, NULL, 0, 0, "", "What happens there")                  \
    X(FAULT, share, SHARE, ryz_fault, permille, "", 0.001, 1, "",                                  \
      "Share of the operations that are hit; absent: all, or the percentage of `do`")              \
    X(ACCURACY, set, PATH, ryz_accuracy_plan, set, "", 0, 0, "", "UTF-8 text to predict")          \
    X(ACCURACY, metric, WORD, ryz_accuracy_plan, metric, "perplexity", 0, 0, "perplexity",         \
      "What is computed")                                                                          \
    X(ACCURACY, against, WORD, ryz_accuracy_plan, against, "", 0, 0, RYZ_QUANTS,                   \
      "Weight type of the base that the loss is stated against")                                   \
    X(ACCURACY, tokens, TOKENS, ryz_accuracy_plan, tokens_max, "4096", 2, 1e7, "",                 \
      "Tokens of the text that are scored")                                                        \
    X(ACCURACY, context, TOKENS, ryz_accuracy_plan, context, "512", 2, 65536, "",                  \
      "Length of one window")                                                                      \
    X(SWEEP, order, BOOL, ryz_sweep_plan, shuffled, "written", 0, 0, "written shuffled",           \
      "Order of the points; shuffled (seeded): a drift of the machine is no trend")                \
    X(SWEEP, cooldown, TIME, ryz_sweep_plan, cooldown_ns, "0 s", 0, 3600e9, "",                    \
      "Rest between two runs")                                                                     \
    X(OUTPUT, dir, TEXT, ryz_output_plan, dir, "results", 0, 0, "",                                \
      "Folder of the results, relative to where ryz is started")                                   \
    X(OUTPUT, hdf5, TEXT, ryz_output_plan, hdf5, "{name}-{commit}-{time}.h5", 0, 0, "",            \
      "File name; {name} {commit} {time} {seed} are filled in; -2 follows where {time} is taken")  \
    X(OUTPUT, tokens, BOOL, ryz_output_plan, tokens, "on", 0, 0, "",                               \
      "Keep the time of every token")                                                              \
    X(OUTPUT, spans, BOOL, ryz_output_plan, spans, "on", 0, 0, "",                                 \
      "Keep the spans of every request")                                                           \
    X(OUTPUT, plots, WORDS, ryz_output_plan, plots, "none", 0, 0,                                  \
      "none cdf timeline gantt heatmap pareto", "Plots drawn beside the results")

struct ryz_key {
    const char *name;
    enum ryz_section section;
    enum ryz_value_type type;
    size_t offset;        /* of the field in the section's struct */
    size_t field_bytes;   /* size of the field */
    const char *fallback; /* default; NULL: must be given; "": absent */
    double low, high;     /* allowed range of numbers */
    const char *words;    /* see the table */
    const char *help;
};

/* Name of a section without brackets, and whether a name follows it ([traffic.NAME]). */
const char *ryz_section_name(enum ryz_section section);
bool ryz_section_is_named(enum ryz_section section);
const char *ryz_section_help(enum ryz_section section);
/* Finds a section by the part of its name before the dot. */
bool ryz_section_parse(const char *name, size_t length, enum ryz_section *section);

/* The i-th row of the table, NULL past the end. */
const struct ryz_key *ryz_key_at(size_t i);
/* NULL if the section has no such key. */
const struct ryz_key *ryz_key_find(enum ryz_section section, const char *name);
const char *ryz_value_type_text(enum ryz_value_type type);

#endif
