/*
 * Goal: tokens are drawn from the distribution that the settings describe, the same ones again for
 * the same seed and position. Method: the set that may be drawn is computed here by sorting
 * everything; long series of draws must stay inside it and, heated up, fill it; frequencies are
 * compared with the probabilities (fixed seed, so the verdict never changes).
 */
#include "engine/model/sampler.h"

#include "engine/base/rng.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define VOCAB_MAX 2000u

static struct ryz_candidate scratch[VOCAB_MAX];

static uint32_t pick(const struct ryz_sampling *sampling, const float *logits, uint32_t n_vocab,
                     uint64_t position)
{
    uint32_t id = ryz_sample(sampling, logits, n_vocab, position, scratch, NULL);
    cr_assert_lt(id, n_vocab);
    return id;
}

/* ---- greedy ---- */

Test(sampler, greedy_takes_the_lowest_id_of_a_tie)
{
    struct ryz_sampling greedy = {.temperature = 0, .top_p = 1};
    float logits[] = {-1, 3, 2, 3, 3};
    cr_assert_eq(pick(&greedy, logits, 5, 0), 1);
    logits[4] = 3.5F;
    cr_assert_eq(pick(&greedy, logits, 5, 0), 4);
}

Test(sampler, nan_is_never_chosen_while_there_is_a_number)
{
    float logits[] = {NAN, -INFINITY, -5, NAN};
    for (int warm = 0; warm < 2; warm++) {
        for (uint32_t top_k = 0; top_k < 4; top_k++) {
            struct ryz_sampling sampling = {.temperature = warm ? 5.0F : 0.0F,
                                            .top_p = top_k == 2 ? 0.9F : 1.0F,
                                            .top_k = top_k};
            for (uint64_t position = 0; position < 50; position++) {
                cr_assert_eq(pick(&sampling, logits, 4, position), 2);
            }
        }
    }
    float hopeless[] = {NAN, NAN};
    struct ryz_sampling sampling = {.temperature = 1, .top_p = 0.5F, .top_k = 1};
    cr_assert_eq(pick(&sampling, hopeless, 2, 0), 0);
    float infinite[] = {1, INFINITY, 2, INFINITY};
    cr_assert_eq(pick(&sampling, infinite, 4, 0), 1);
    float empty[] = {-INFINITY, -INFINITY};
    cr_assert_eq(pick(&sampling, empty, 2, 0), 0);
}

Test(sampler, extreme_temperatures_stay_in_order)
{
    float logits[] = {0, 1, 2};
    struct ryz_sampling sampling = {.temperature = 1e-30F, .top_p = 1};
    for (uint64_t i = 0; i < 20; i++) cr_assert_eq(pick(&sampling, logits, 3, i), 2);
    sampling.temperature = 3e38F;
    uint32_t seen = 0;
    for (uint64_t i = 0; i < 100; i++) seen |= 1u << pick(&sampling, logits, 3, i);
    cr_assert_eq(seen, 7);
}

/* ---- what may be drawn ---- */

static const float *sort_logits;

static int by_logit(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (sort_logits[x] != sort_logits[y]) return sort_logits[x] < sort_logits[y] ? 1 : -1;
    return (x > y) - (x < y);
}

/* Marks the tokens that top-k, then top-p, then min-p leave; returns how many. */
static uint32_t allowed_set(const struct ryz_sampling *s, const float *logits, uint32_t n,
                            bool *allowed)
{
    uint32_t order[VOCAB_MAX];
    double weights[VOCAB_MAX], sum = 0, reached = 0;
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    sort_logits = logits;
    qsort(order, n, sizeof *order, by_logit);
    uint32_t kept = s->top_k > 0 && s->top_k < n ? s->top_k : n;
    for (uint32_t i = 0; i < kept; i++) {
        weights[i] = exp((double)logits[order[i]] - (double)logits[order[0]]);
        sum += weights[i];
    }
    if (s->top_p < 1) {
        uint32_t i = 0;
        while (i < kept) {
            reached += weights[i++];
            if (reached >= (double)s->top_p * sum) break;
        }
        kept = i;
    }
    memset(allowed, 0, n * sizeof *allowed);
    uint32_t count = 0;
    for (uint32_t i = 0; i < kept; i++) {
        bool likely = !(s->min_p > 0) || i == 0 || weights[i] >= (double)s->min_p;
        allowed[order[i]] = likely;
        count += likely;
    }
    return count;
}

/* Logits that are multiples of 1/8, so that ties are common and no sum is near a threshold. */
static void random_logits(struct ryz_rng *rng, float *logits, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) logits[i] = (float)ryz_rng_below(rng, 60) / 8.0F;
}

Test(sampler, draws_only_and_all_of_what_the_filters_leave)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ryz_rng rng;
        ryz_rng_init(&rng, seed, 0);
        uint32_t n = 1 + (uint32_t)ryz_rng_below(&rng, seed % 10 == 0 ? VOCAB_MAX : 40);
        float logits[VOCAB_MAX];
        random_logits(&rng, logits, n);
        struct ryz_sampling sampling = {
            .temperature = 1000, /* all that is left is as good as equally likely */
            .top_p = seed % 2 ? 1.0F : 0.05F + 0.93F * (float)ryz_rng_unit(&rng),
            .min_p = seed % 3 ? 0.0F : 0.3F * (float)ryz_rng_unit(&rng),
            .top_k = seed % 5 < 2 ? 0 : (uint32_t)ryz_rng_below(&rng, n + 3),
            .seed = seed,
        };
        bool allowed[VOCAB_MAX], drawn[VOCAB_MAX] = {false};
        uint32_t left = allowed_set(&sampling, logits, n, allowed);
        for (uint64_t position = 0; position < 40 * 20; position++) {
            uint32_t id = pick(&sampling, logits, n, position);
            cr_assert(allowed[id], "seed %llu drew %u", (unsigned long long)seed, id);
            left -= !drawn[id];
            drawn[id] = true;
        }
        if (n <= 40)
            cr_assert_eq(left, 0, "seed %llu: %u never drawn", (unsigned long long)seed, left);
    }
}

Test(sampler, top_p_finds_its_candidates_beyond_the_first_guess)
{
    /* 2,000 equal logits: a mass of 0.75 takes 1,500 of them, the lowest ids. */
    float logits[VOCAB_MAX] = {0};
    struct ryz_sampling sampling = {.temperature = 1, .top_p = 0.75F};
    uint32_t highest = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        uint32_t id = pick(&sampling, logits, VOCAB_MAX, i);
        if (id > highest) highest = id;
    }
    cr_assert_lt(highest, 1500);
    cr_assert_gt(highest, 1400);
}

/* ---- frequencies ---- */

static void check_frequencies(struct ryz_sampling sampling)
{
    enum { N = 12, DRAWS = 40000 };
    float logits[N];
    bool allowed[N];
    double probabilities[N], sum = 0;
    uint32_t counts[N] = {0};
    for (uint32_t i = 0; i < N; i++) logits[i] = (float)(i * 5 % N) / 3.0F;
    (void)allowed_set(&sampling, logits, N, allowed);
    for (uint32_t i = 0; i < N; i++) {
        probabilities[i] = allowed[i] ? exp((double)logits[i] / (double)sampling.temperature) : 0;
        sum += probabilities[i];
    }
    for (uint64_t i = 0; i < DRAWS; i++) counts[pick(&sampling, logits, N, i)]++;
    double chi_square = 0;
    for (uint32_t i = 0; i < N; i++) {
        double wanted = DRAWS * probabilities[i] / sum;
        if (!allowed[i]) {
            cr_assert_eq(counts[i], 0);
            continue;
        }
        chi_square += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
    }
    /* 11 degrees of freedom at most: above 31.3 once in a thousand seeds. */
    cr_assert_lt(chi_square, 31.3);
}

Test(sampler, frequencies_match_the_probabilities)
{
    check_frequencies((struct ryz_sampling){.temperature = 1, .top_p = 1, .seed = 1});
    check_frequencies((struct ryz_sampling){.temperature = 0.7F, .top_p = 1, .seed = 2});
    check_frequencies((struct ryz_sampling){.temperature = 2, .top_p = 1, .top_k = 5, .seed = 3});
    check_frequencies((struct ryz_sampling){.temperature = 1, .top_p = 0.8F, .seed = 4});
    check_frequencies(
        (struct ryz_sampling){.temperature = 1.3F, .top_p = 1, .min_p = 0.1F, .seed = 5});
}

/* What a draft model needs: drawing from something similar at the same position gives the same
 * token nearly as often as any method could, 1 - tv, and never less often than (1 - tv) / (1 + tv).
 */
Test(sampler, similar_distributions_draw_the_same_token)
{
    enum { VOCAB = 64, DRAWS = 20000 };
    float p[VOCAB], q[VOCAB];
    struct ryz_candidate candidates[VOCAB];
    struct ryz_rng rng;
    ryz_rng_init(&rng, 77, 0);
    for (double spread = 0.1; spread <= 2.0; spread += 0.475) {
        double sum_p = 0.0, sum_q = 0.0, tv = 0.0;
        for (int i = 0; i < VOCAB; i++) {
            p[i] = (float)(6.0 * ryz_rng_unit(&rng));
            q[i] = p[i] + (float)(spread * (2.0 * ryz_rng_unit(&rng) - 1.0));
            sum_p += exp((double)p[i]);
            sum_q += exp((double)q[i]);
        }
        for (int i = 0; i < VOCAB; i++)
            tv += 0.5 * fabs(exp((double)p[i]) / sum_p - exp((double)q[i]) / sum_q);
        const struct ryz_sampling sampling = {.temperature = 1.0f, .top_p = 1.0f, .seed = 3};
        int same = 0;
        for (uint64_t position = 0; position < DRAWS; position++)
            same += ryz_sample(&sampling, p, VOCAB, position, candidates, NULL) ==
                    ryz_sample(&sampling, q, VOCAB, position, candidates, NULL);
        double share = (double)same / DRAWS, slack = 4.0 * 0.5 / sqrt(DRAWS);
        cr_assert_gt(share, (1.0 - tv) / (1.0 + tv) - slack, "tv %g: %g", tv, share);
        cr_assert_lt(share, 1.0 - tv + slack, "tv %g: %g", tv, share);
    }
}

Test(sampler, the_same_seed_and_position_give_the_same_token)
{
    float logits[500];
    struct ryz_rng rng;
    ryz_rng_init(&rng, 1, 1);
    random_logits(&rng, logits, 500);
    struct ryz_sampling a = {.temperature = 2, .top_p = 1, .seed = 9}, b = a;
    b.seed = 10;
    uint32_t seeds_differ = 0, positions_differ = 0;
    for (uint64_t i = 0; i < 100; i++) {
        uint32_t id = pick(&a, logits, 500, i);
        (void)pick(&b, logits, 500, i + 1000); /* other draws in between change nothing */
        cr_assert_eq(pick(&a, logits, 500, i), id);
        seeds_differ += pick(&b, logits, 500, i) != id;
        positions_differ += pick(&a, logits, 500, i + 1) != id;
    }
    cr_assert_gt(seeds_differ, 90);
    cr_assert_gt(positions_differ, 90);
}

Test(sampler, tells_the_log_probability_at_temperature_one)
{
    float logits[] = {1, 3, NAN, 2};
    double sum = exp(1) + exp(3) + exp(2);
    struct ryz_sampling sampling = {.temperature = 5, .top_p = 1, .top_k = 3, .seed = 4};
    for (uint64_t i = 0; i < 20; i++) {
        float logprob = 1;
        uint32_t id = ryz_sample(&sampling, logits, 4, i, scratch, &logprob);
        cr_assert_float_eq((double)logprob, (double)logits[id] - log(sum), 1e-6);
    }
    sampling.temperature = 0;
    float logprob = 1;
    cr_assert_eq(ryz_sample(&sampling, logits, 4, 0, scratch, &logprob), 1);
    cr_assert_float_eq((double)logprob, 3 - log(sum), 1e-6);
}
