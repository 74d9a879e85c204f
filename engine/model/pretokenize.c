/*
 * pretokenize.c - the pre-tokenizers as regular expressions of PCRE2.
 *
 * Leaves to others what is done with a word (tokenizer.c). The idea: one anchored expression whose
 * alternatives cover every character, matched again and again from where the last match ended, so
 * time is linear in the text. White space is spelled out, because llama.cpp's set (Unicode's
 * White_Space) is not what PCRE2 means by \s (that has U+180E too). PCRE2 10.42 knows the letters
 * of Unicode 14, llama.cpp those of 15.1; scripts added between the two may be cut differently.
 */
#include "engine/model/pretokenize.h"

#include "engine/base/size.h"
#include "engine/base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* Steps of one match. The expressions need a handful for a word of any length; a limit keeps a
 * mistake in a future one from hanging a server. */
#define MATCH_LIMIT 100000u

#define SPACES                                                                                     \
    "\\x{09}-\\x{0d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"  \
    "\\x{205f}\\x{3000}"

/* GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static const char gpt2_expression[] = "'s|'t|'re|'ve|'m|'ll|'d"
                                      "| ?\\p{L}+"
                                      "| ?\\p{N}+"
                                      "| ?[^" SPACES "\\p{L}\\p{N}]+"
                                      "|[" SPACES "]+(?![^" SPACES "])"
                                      "|[" SPACES "]+";

/* SmolLM: every digit is cut off first, then GPT-2's expression cuts what lies between. In one
 * pass: a digit is a word, and to the white space before it a digit looks like the text's end. */
static const char smollm_expression[] = "'s|'t|'re|'ve|'m|'ll|'d"
                                        "| ?\\p{L}+"
                                        "|\\p{N}"
                                        "| ?[^" SPACES "\\p{L}\\p{N}]+"
                                        "|[" SPACES "]+(?![^" SPACES "\\p{N}])"
                                        "|[" SPACES "]+";

static const struct {
    const char *name;
    const char *expression;
} rules[] = {
    {"gpt-2", gpt2_expression},
    {"smollm", smollm_expression},
};

struct ryz_pretokenizer {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static const char *find_expression(const char *name)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(rules); i++) {
        if (strcmp(name, rules[i].name) == 0) return rules[i].expression;
    }
    return NULL;
}

static enum ryz_status compile(struct ryz_pretokenizer *pretokenizer, const char *expression,
                               struct ryz_error *error)
{
    int code;
    PCRE2_SIZE offset;
    pretokenizer->code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
                                       PCRE2_UTF | PCRE2_ANCHORED, &code, &offset, NULL);
    if (!pretokenizer->code) {
        return ryz_fail(error, RYZ_UNSUPPORTED,
                        "this PCRE2 refuses a pre-tokenizer at %zu (error %d); was it built "
                        "with Unicode?",
                        (size_t)offset, code);
    }
    /* Without JIT (some hardened kernels) matching is slower and gives the same. */
    (void)pcre2_jit_compile(pretokenizer->code, PCRE2_JIT_COMPLETE);
    pretokenizer->limits = pcre2_match_context_create(NULL);
    if (!pretokenizer->limits) {
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a pre-tokenizer");
    }
    (void)pcre2_set_match_limit(pretokenizer->limits, MATCH_LIMIT);
    return RYZ_OK;
}

enum ryz_status ryz_pretokenizer_open(const char *name, struct ryz_pretokenizer **out,
                                      struct ryz_error *error)
{
    const char *expression = find_expression(name);
    if (!expression) {
        return ryz_fail(error, RYZ_UNSUPPORTED,
                        "the pre-tokenizer \"%.40s\" is not known; gpt-2 and smollm are", name);
    }
    struct ryz_pretokenizer *pretokenizer = calloc(1, sizeof *pretokenizer);
    if (!pretokenizer) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a pre-tokenizer");
    enum ryz_status status = compile(pretokenizer, expression, error);
    if (status != RYZ_OK) {
        ryz_pretokenizer_close(pretokenizer);
        return status;
    }
    *out = pretokenizer;
    return RYZ_OK;
}

void ryz_pretokenizer_close(struct ryz_pretokenizer *pretokenizer)
{
    if (!pretokenizer) return;
    pcre2_match_context_free(pretokenizer->limits);
    pcre2_code_free(pretokenizer->code);
    free(pretokenizer);
}

/* Cuts a text that is well-formed throughout, which spares PCRE2 its own check at every match. */
static enum ryz_status cut_valid(const struct ryz_pretokenizer *pretokenizer,
                                 pcre2_match_data *match, const char *text, size_t length,
                                 ryz_word_fn on_word, void *context)
{
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
    for (size_t start = 0; start < length; start = range[1]) {
        int found = pcre2_match(pretokenizer->code, (PCRE2_SPTR)text, length, start,
                                PCRE2_NO_UTF_CHECK, match, pretokenizer->limits);
        if (found < 0 || range[1] <= start) return RYZ_INVALID;
        enum ryz_status status = on_word(context, text + start, range[1] - start);
        if (status != RYZ_OK) return status;
    }
    return RYZ_OK;
}

enum ryz_status ryz_pretokenize(const struct ryz_pretokenizer *pretokenizer, const char *text,
                                size_t length, ryz_word_fn on_word, void *context)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) return RYZ_NO_MEMORY;
    enum ryz_status status = RYZ_OK;
    for (size_t start = 0; status == RYZ_OK && start < length;) {
        size_t valid = ryz_utf8_valid_bytes(text + start, length - start);
        if (valid > 0) {
            status = cut_valid(pretokenizer, match, text + start, valid, on_word, context);
        } else {
            status = on_word(context, text + start, 1);
            valid = 1;
        }
        start += valid;
    }
    pcre2_match_data_free(match);
    return status;
}
