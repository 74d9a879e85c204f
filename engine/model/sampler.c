/*
 * sampler.c - filters and draws over one row of logits.
 *
 * Leaves to others: grammar masks and penalties (the caller may change logits first). The idea:
 * only candidates that can still be drawn are ever put in order. A bounded heap finds the best k in
 * one pass; top-p without top-k asks for the best 64, 512, ... until they hold enough of the mass.
 */
#include "engine/model/sampler.h"

#include "engine/base/assert.h"
#include "engine/base/rng.h"

#include <math.h>
#include <stdbool.h>

#define SAMPLER_STREAM                                                                             \
    UINT64_C(0x73616d706c6572) /* "sampler": keeps its draws apart from others                     \
                                */
#define TOP_P_FIRST  64u
#define TOP_P_GROWTH 8u

/* Order of candidates: higher logit, then lower id. */
static bool better(struct ryz_candidate a, struct ryz_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* ---- the best k: a heap with the worst one on top ---- */

static void sift_down(struct ryz_candidate *heap, uint32_t count, struct ryz_candidate candidate)
{
    uint32_t i = 0;
    for (uint32_t child = 1; child < count; child = 2 * i + 1) {
        if (child + 1 < count && better(heap[child], heap[child + 1])) child++;
        if (!better(candidate, heap[child])) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = candidate;
}

static void sift_up(struct ryz_candidate *heap, uint32_t i, struct ryz_candidate candidate)
{
    while (i > 0 && better(heap[(i - 1) / 2], candidate)) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = candidate;
}

/* Puts the best k into scratch, best first; NaN never gets there. Returns how many there are. */
static uint32_t select_best(const float *logits, uint32_t n_vocab, uint32_t k,
                            struct ryz_candidate *scratch)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        struct ryz_candidate candidate = {logits[id], id};
        if (isnan(candidate.logit)) continue;
        if (count < k) {
            sift_up(scratch, count++, candidate);
        } else if (better(candidate, scratch[0])) {
            sift_down(scratch, count, candidate);
        }
    }
    for (uint32_t left = count; left > 1; left--) { /* heap sort: the worst goes to the end */
        struct ryz_candidate worst = scratch[0];
        sift_down(scratch, left - 1, scratch[left - 1]);
        scratch[left - 1] = worst;
    }
    return count;
}

/* ---- filters ---- */

/* Of `count` candidates in order, how many reach `mass` when their exp(logit - highest) are added
 * up; count + 1 if all together do not. */
static uint32_t reach_mass(const struct ryz_candidate *candidates, uint32_t count, double mass)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        sum += exp((double)candidates[i].logit - (double)candidates[0].logit);
        if (sum >= mass) return i + 1;
    }
    return count + 1;
}

/* Sum of exp(logit - highest) over all tokens. */
static double total_mass(const float *logits, uint32_t n_vocab, float highest)
{
    double sum = 0.0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        if (!isnan(logits[id])) sum += exp((double)logits[id] - (double)highest);
    }
    return sum;
}

static uint32_t filter_top_p(const struct ryz_sampling *sampling, const float *logits,
                             uint32_t n_vocab, float highest, struct ryz_candidate *scratch)
{
    double mass = (double)sampling->top_p * total_mass(logits, n_vocab, highest);
    for (uint32_t k = TOP_P_FIRST;; k *= TOP_P_GROWTH) {
        uint32_t count = select_best(logits, n_vocab, k < n_vocab ? k : n_vocab, scratch);
        uint32_t kept = reach_mass(scratch, count, mass);
        if (kept <= count) return kept;
        if (k >= n_vocab / TOP_P_GROWTH) { /* the next step would take nearly all: take all */
            count = select_best(logits, n_vocab, n_vocab, scratch);
            kept = reach_mass(scratch, count, mass);
            return kept <= count ? kept : count; /* rounding may keep the sum below the mass */
        }
    }
}

/* Puts the candidates that survive top-k and top-p into scratch. */
static uint32_t filter(const struct ryz_sampling *sampling, const float *logits, uint32_t n_vocab,
                       float highest, struct ryz_candidate *scratch)
{
    bool top_p = sampling->top_p < 1.0F;
    if (sampling->top_k > 0 && sampling->top_k < n_vocab) {
        uint32_t count = select_best(logits, n_vocab, sampling->top_k, scratch);
        if (!top_p) return count;
        double sum = 0.0;
        for (uint32_t i = 0; i < count; i++) {
            sum += exp((double)scratch[i].logit - (double)highest);
        }
        uint32_t kept = reach_mass(scratch, count, (double)sampling->top_p * sum);
        return kept <= count ? kept : count;
    }
    if (top_p) return filter_top_p(sampling, logits, n_vocab, highest, scratch);
    uint32_t count = 0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        if (!isnan(logits[id])) scratch[count++] = (struct ryz_candidate){logits[id], id};
    }
    return count;
}

/* Drops candidates less likely than min_p times the likeliest; keeps their order. */
static uint32_t filter_min_p(float min_p, float highest, struct ryz_candidate *candidates,
                             uint32_t count)
{
    if (!(min_p > 0.0F)) return count;
    double lowest = (double)highest + log((double)min_p);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool likeliest = candidates[i].logit == highest; /* kept even if min_p is above 1 */
        if (likeliest || (double)candidates[i].logit >= lowest) candidates[kept++] = candidates[i];
    }
    return kept;
}

/* ---- draw ---- */

static uint32_t draw(const struct ryz_sampling *sampling, float highest, uint64_t position,
                     const struct ryz_candidate *candidates, uint32_t count)
{
    double scale = 1.0 / (double)sampling->temperature, sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        sum += exp(((double)candidates[i].logit - (double)highest) * scale);
    }
    double wanted = ryz_u64_to_unit(ryz_rng_at(sampling->seed, SAMPLER_STREAM, position)) * sum;
    double reached = 0.0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        double weight = exp(((double)candidates[i].logit - (double)highest) * scale);
        if (weight > 0.0) chosen = i; /* the answer, too, should rounding let the loop run out */
        reached += weight;
        if (reached > wanted) break;
    }
    return candidates[chosen].id;
}

/* The lowest id with the highest logit; 0 if all are NaN. */
static uint32_t find_highest(const float *logits, uint32_t n_vocab)
{
    uint32_t best = 0;
    for (uint32_t id = 1; id < n_vocab; id++) {
        if (logits[id] > logits[best] || (isnan(logits[best]) && !isnan(logits[id]))) best = id;
    }
    return best;
}

uint32_t ryz_sample(const struct ryz_sampling *sampling, const float *logits, uint32_t n_vocab,
                    uint64_t position, struct ryz_candidate *scratch, float *logprob)
{
    RYZ_ASSERT(n_vocab > 0);
    uint32_t chosen = find_highest(logits, n_vocab);
    float highest = logits[chosen];
    if (sampling->temperature > 0.0F && isfinite(highest)) {
        uint32_t count = filter(sampling, logits, n_vocab, highest, scratch);
        count = filter_min_p(sampling->min_p, highest, scratch, count);
        RYZ_ASSERT(count > 0);
        chosen = draw(sampling, highest, position, scratch, count);
    }
    if (logprob) {
        double sum = total_mass(logits, n_vocab, highest);
        *logprob = (float)((double)logits[chosen] - (double)highest - log(sum));
    }
    return chosen;
}
