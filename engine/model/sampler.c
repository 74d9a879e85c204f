/*
 * sampler.c - filters and draws over one row of logits.
 *
 * Leaves to others: grammar masks and penalties (the caller may change logits first). The idea: a
 * vocabulary of 50,000 is never sorted. A bounded heap finds the best k in one pass; top-p without
 * top-k finds by a histogram of the mass where it cuts, and orders that one bucket.
 */
#include "engine/model/sampler.h"

#include "engine/base/assert.h"
#include "engine/base/rng.h"

#include <math.h>
#include <stdbool.h>

/* "sampler": keeps its draws apart from others of the same seed. */
#define SAMPLER_STREAM UINT64_C(0x73616d706c6572)
/* Histogram over how far a logit is below the highest: 32 nats, past which no mass is left. */
#define TOP_P_BUCKETS         1024u
#define TOP_P_BUCKETS_PER_NAT 32.0

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

/* Turns a heap into a list, best first. */
static void sort_heap(struct ryz_candidate *heap, uint32_t count)
{
    for (; count > 1; count--) { /* the worst goes to the end */
        struct ryz_candidate worst = heap[0];
        sift_down(heap, count - 1, heap[count - 1]);
        heap[count - 1] = worst;
    }
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
    sort_heap(scratch, count);
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

/* Which bucket of the histogram a logit falls into: the first holds the likeliest. */
static uint32_t bucket_of(float highest, float logit)
{
    double index = ((double)highest - (double)logit) * TOP_P_BUCKETS_PER_NAT;
    return index < TOP_P_BUCKETS - 1 ? (uint32_t)index : TOP_P_BUCKETS - 1;
}

/* The last candidate that top-p keeps: the one at which the mass of all better ones and itself
 * first reaches top_p. */
static struct ryz_candidate find_top_p_cut(float top_p, const float *logits, uint32_t n_vocab,
                                           float highest, struct ryz_candidate *scratch)
{
    double mass[TOP_P_BUCKETS] = {0}, total = 0.0, reached = 0.0;
    uint32_t bucket = 0, last = 0, count = 0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        if (isnan(logits[id])) continue;
        uint32_t i = bucket_of(highest, logits[id]);
        mass[i] += exp((double)logits[id] - (double)highest);
        if (i > last) last = i;
    }
    for (uint32_t i = 0; i <= last; i++) total += mass[i];
    double wanted = (double)top_p * total;
    while (bucket < last && reached + mass[bucket] < wanted) reached += mass[bucket++];
    for (uint32_t id = 0; id < n_vocab; id++) {
        if (isnan(logits[id]) || bucket_of(highest, logits[id]) != bucket) continue;
        sift_up(scratch, count++, (struct ryz_candidate){logits[id], id});
    }
    /* Only the bucket in which the mass is reached needs an order (by our own heap: qsort would
     * allocate). It is never empty: either it added mass, or it is the last one. */
    sort_heap(scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        reached += exp((double)scratch[i].logit - (double)highest);
        if (reached >= wanted) return scratch[i];
    }
    return scratch[count - 1]; /* rounding may keep the sum below */
}

/* Keeps the candidates, in order of their ids. */
static uint32_t filter_top_p(float top_p, const float *logits, uint32_t n_vocab, float highest,
                             struct ryz_candidate *scratch)
{
    struct ryz_candidate cut = find_top_p_cut(top_p, logits, n_vocab, highest, scratch);
    uint32_t count = 0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        struct ryz_candidate candidate = {logits[id], id};
        if (isnan(candidate.logit) || better(cut, candidate)) continue;
        scratch[count++] = candidate;
    }
    return count;
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
    if (top_p) return filter_top_p(sampling->top_p, logits, n_vocab, highest, scratch);
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

/* A race: candidate i arrives after an exponential time of rate weight[i], and the first one is
 * drawn, which it is with probability weight[i] / sum. Its noise depends on its id alone, so two
 * similar distributions drawn at the same position mostly give the same token (the Gumbel coupling
 * of Daliri et al. 2024). */
static uint32_t draw(const struct ryz_sampling *sampling, float highest, uint64_t position,
                     const struct ryz_candidate *candidates, uint32_t count)
{
    uint64_t noise = ryz_rng_at(sampling->seed, SAMPLER_STREAM, position);
    double scale = 1.0 / (double)sampling->temperature, best = 0.0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bits = ryz_rng_at(noise, 0, candidates[i].id);
        double u = ((double)(bits >> 11) + 0.5) * 0x1.0p-53; /* in (0, 1) */
        double weight = exp(((double)candidates[i].logit - (double)highest) * scale);
        /* -log(u) > 1 - u, so most need no logarithm to see that they have lost. */
        if (weight <= best * (1.0 - u)) continue;
        double speed = weight / -log(u);
        if (!(speed > best)) continue;
        best = speed;
        chosen = i;
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
