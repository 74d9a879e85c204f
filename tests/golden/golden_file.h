/*
 * golden_file.h - reads the records of tests/data/golden (format: README.md there).
 */
#ifndef RYZ_TESTS_GOLDEN_GOLDEN_FILE_H
#define RYZ_TESTS_GOLDEN_GOLDEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOLDEN_TOP         64u /* tokens of a distribution */
#define GOLDEN_PROMPTS_MAX 16u
#define GOLDEN_TOKENS_MAX  2048u

struct golden_distribution {
    uint32_t position;
    double rest_logprob; /* of all other tokens together */
    uint32_t ids[GOLDEN_TOP];
    double logprobs[GOLDEN_TOP];
};

struct golden_prompt {
    uint32_t count;
    uint32_t ids[128];
    struct golden_distribution distributions[128]; /* one after each token */
    uint32_t distribution_count;
};

struct golden_file {
    struct golden_prompt prompts[GOLDEN_PROMPTS_MAX];
    uint32_t prompt_count;
    uint32_t text[GOLDEN_TOKENS_MAX];
    double logprobs[GOLDEN_TOKENS_MAX]; /* of text[1 .. text_count - 1] */
    uint32_t text_count;
    double perplexity;
};

/* Reads tests/data/golden/NAME; NULL if it is not there. A file that is not as its README says ends
 * the test. To be freed. */
struct golden_file *golden_read(const char *name);

#endif
