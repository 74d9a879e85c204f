/*
 * synthetic.h - a made-up run for tests of record, evaluate and report: requests arrive, wait for
 * one server, prefill, decode, and end; every table gets rows. The same seed gives the same rows.
 * Nothing here was measured.
 */
#ifndef RYZ_TESTS_RECORD_SYNTHETIC_H
#define RYZ_TESTS_RECORD_SYNTHETIC_H

#include "harness/record/run_data.h"
#include "harness/scenario/plan.h"

struct synthetic {
    uint64_t seed;
    uint32_t requests;
    double rate_per_s;
    double token_ms;    /* time between two tokens */
    double fail_share;  /* of the requests while the fault is on */
    bool fault;         /* from 40 % to 55 % of the run: slower, and failures */
    uint32_t traffics;  /* 1 or 2 */
    uint32_t max_batch; /* requests served at once */
};

/* Fills *data (zeroed by this function) with finalised rows and info. */
void synthetic_run(const struct synthetic *options, struct ryz_run_data *data);
/* A plan that fits: its traffics are open, measured in full. Zeroed first. */
void synthetic_plan(const struct synthetic *options, struct ryz_plan *plan);
/* Accuracy rows: `loss` is the mean growth of the logarithm of the perplexity. */
void synthetic_accuracy(uint64_t seed, double loss, struct ryz_run_data *data);
/* Provenance with all fields set. */
void synthetic_provenance(struct ryz_provenance *provenance);

#endif
