/* golden_file.c - see golden_file.h. */
#include "tests/golden/golden_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is left of a line. */
struct cursor {
    char *at;
};

static double number(struct cursor *cursor)
{
    char *end;
    double value = strtod(cursor->at, &end);
    cr_assert_neq(end, cursor->at, "no number in \"%.40s\"", cursor->at);
    cursor->at = end;
    return value;
}

static uint32_t whole(struct cursor *cursor)
{
    double value = number(cursor);
    cr_assert(value >= 0 && value <= UINT32_MAX);
    return (uint32_t)value;
}

static uint32_t read_ids(struct cursor *cursor, uint32_t *ids, uint32_t max)
{
    uint32_t count = whole(cursor);
    cr_assert_leq(count, max);
    for (uint32_t i = 0; i < count; i++) ids[i] = whole(cursor);
    return count;
}

static void read_distribution(struct cursor *cursor, struct golden_file *file)
{
    cr_assert_gt(file->prompt_count, 0);
    struct golden_prompt *prompt = &file->prompts[file->prompt_count - 1];
    cr_assert_lt(prompt->distribution_count, 128);
    struct golden_distribution *d = &prompt->distributions[prompt->distribution_count++];
    d->position = whole(cursor);
    cr_assert_lt(d->position, prompt->count);
    d->rest_logprob = number(cursor);
    for (uint32_t i = 0; i < GOLDEN_TOP; i++) {
        d->ids[i] = whole(cursor);
        cr_assert_eq(*cursor->at, ':');
        cursor->at++;
        d->logprobs[i] = number(cursor);
    }
}

static void read_record(char *line, struct golden_file *file)
{
    char kind[16] = "";
    int used = 0;
    if (sscanf(line, "%15s%n", kind, &used) != 1 || kind[0] == '#') return;
    struct cursor cursor = {line + used};
    if (strcmp(kind, "prompt") == 0) {
        cr_assert_lt(file->prompt_count, GOLDEN_PROMPTS_MAX);
        cr_assert_eq(whole(&cursor), file->prompt_count);
        struct golden_prompt *prompt = &file->prompts[file->prompt_count++];
        prompt->count = read_ids(&cursor, prompt->ids, 128);
    } else if (strcmp(kind, "dist") == 0) {
        read_distribution(&cursor, file);
    } else if (strcmp(kind, "text") == 0) {
        cr_assert_eq(whole(&cursor), 0);
        file->text_count = read_ids(&cursor, file->text, GOLDEN_TOKENS_MAX);
    } else if (strcmp(kind, "logp") == 0) {
        uint32_t position = whole(&cursor);
        cr_assert(position >= 1 && position < file->text_count);
        file->logprobs[position] = number(&cursor);
    } else {
        cr_assert_str_eq(kind, "perplexity");
        file->perplexity = number(&cursor);
    }
}

struct golden_file *golden_read(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/data/golden/%s", RYZ_SOURCE_DIR, name);
    FILE *stream = fopen(path, "r");
    if (!stream) return NULL;
    struct golden_file *file = calloc(1, sizeof *file);
    cr_assert_not_null(file);
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stream) > 0) read_record(line, file);
    free(line);
    (void)fclose(stream);
    cr_assert(file->prompt_count > 0 && file->text_count > 1 && file->perplexity > 1);
    return file;
}
