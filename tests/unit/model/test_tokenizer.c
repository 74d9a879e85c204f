/*
 * Goal: text becomes the ids that the published algorithms give, whatever bytes it is made of, and
 * the ids become the same bytes again. Method: seeded random texts over an alphabet whose classes
 * are written down here, compared with a naive splitter and a naive quadratic BPE of their own.
 */
#include "engine/model/tokenizer.h"

#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/base/utf8.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX 4096u

struct opened {
    struct bytes file;
    struct ryz_gguf *gguf;
    struct ryz_tokenizer *tokenizer;
};

static struct opened open_with(const struct synthetic *synthetic)
{
    struct opened opened = {.file = synthetic_file(synthetic)};
    struct ryz_error error = {0};
    enum ryz_status status =
        ryz_gguf_open_memory(opened.file.data, opened.file.size, &opened.gguf, &error);
    if (status == RYZ_OK) status = ryz_tokenizer_open(opened.gguf, &opened.tokenizer, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    return opened;
}

static struct opened open_rule(const char *pre)
{
    return open_with(&(struct synthetic){.layers = 1, .pre = pre});
}

static void close_all(struct opened *opened)
{
    ryz_tokenizer_close(opened->tokenizer);
    ryz_gguf_close(opened->gguf);
    bytes_free(&opened->file);
}

static size_t encode(const struct opened *opened, const char *text, size_t length, uint32_t *ids)
{
    size_t count = 0;
    cr_assert_eq(ryz_tokenizer_encode(opened->tokenizer, text, length, false, ids, IDS_MAX, &count),
                 RYZ_OK);
    return count;
}

/* Appends the bytes of ids; returns how many. */
static size_t decode(const struct opened *opened, const uint32_t *ids, size_t count, char *text)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *bytes = ryz_tokenizer_bytes(opened->tokenizer, ids[i], &length);
        memcpy(text + size, bytes, length);
        size += length;
    }
    return size;
}

/* ---- an independent, slow way ---- */

enum class { LETTER, NUMBER, SPACE, OTHER };

static const struct {
    const char *text;
    enum class class;
} alphabet[] = {
    {"t", LETTER},
    {"h", LETTER},
    {"e", LETTER},
    {"a", LETTER},
    {"s", LETTER},
    {"l", LETTER},
    {"é", LETTER},
    {"ß", LETTER},
    {"Ж", LETTER},
    {"語", LETTER},
    {"ª", LETTER},
    {"𝒳", LETTER},
    {"1", NUMBER},
    {"2", NUMBER},
    {"²", NUMBER},
    {"٣", NUMBER},
    {"Ⅷ", NUMBER},
    {"½", NUMBER},
    {" ", SPACE},
    {"  ", SPACE},
    {"\n", SPACE},
    {"\t", SPACE},
    {"\xc2\xa0", SPACE},
    {"\xe3\x80\x80", SPACE},
    {"\xc2\x85", SPACE},
    {"\xe2\x80\xa8", SPACE},
    {"'", OTHER},
    {"\"", OTHER},
    {"!", OTHER},
    {"_", OTHER},
    {"€", OTHER},
    {"😀", OTHER},
    {"\xcc\x81", OTHER},
    {"\xe2\x80\x8b", OTHER},
    {"\xe1\xa0\x8e", OTHER},
    {"\x01", OTHER},
    {"\xef\xbf\xbf", OTHER},
};

/* A text as characters with classes. */
struct character {
    uint16_t offset, length;
    enum class class;
};

struct text {
    char bytes[512];
    struct character characters[128];
    size_t count, size;
};

static void append(struct text *text, size_t letter)
{
    const char *piece = alphabet[letter].text;
    for (size_t i = 0; piece[i];) { /* "  " is two characters */
        size_t length = ryz_utf8_char_bytes(piece + i, strlen(piece + i));
        text->characters[text->count++] =
            (struct character){(uint16_t)text->size, (uint16_t)length, alphabet[letter].class};
        memcpy(text->bytes + text->size, piece + i, length);
        text->size += length;
        i += length;
    }
}

static bool is(const struct text *text, size_t i, size_t end, char byte)
{
    return i < end && text->characters[i].length == 1 &&
           text->bytes[text->characters[i].offset] == byte;
}

/* Length of a contraction at i, in characters; 0 if there is none. */
static size_t contraction(const struct text *text, size_t i, size_t end)
{
    if (!is(text, i, end, '\'')) return 0;
    if (is(text, i + 1, end, 's') || is(text, i + 1, end, 't') || is(text, i + 1, end, 'm') ||
        is(text, i + 1, end, 'd')) {
        return 2;
    }
    if (is(text, i + 1, end, 'l') && is(text, i + 2, end, 'l')) return 3;
    if (is(text, i + 2, end, 'e') && (is(text, i + 1, end, 'r') || is(text, i + 1, end, 'v'))) {
        return 3;
    }
    return 0;
}

/* End of the word that starts at i, by GPT-2's rule within [i, end): llama.cpp's hand-written
 * splitter retold. */
static size_t word_end(const struct text *text, size_t i, size_t end)
{
    size_t length = contraction(text, i, end);
    if (length > 0) return i + length;
    size_t first = is(text, i, end, ' ') && i + 1 < end ? i + 1 : i;
    enum class class = text->characters[first].class;
    if (class != SPACE) {
        while (first < end && text->characters[first].class == class) first++;
        return first;
    }
    size_t last = i;
    while (last < end && text->characters[last].class == SPACE) last++;
    if (last - i > 1 && last < end) last--; /* the last space goes to the next word */
    return last;
}

/* Id of the token that the file spells like this. */
static uint32_t spelled_id(const struct opened *opened, const char *text, size_t length)
{
    const struct ryz_gguf_entry *tokens = ryz_gguf_find(opened->gguf, "tokenizer.ggml.tokens");
    uint64_t cursor = 0;
    for (uint32_t id = 0; id < tokens->count; id++) {
        struct ryz_gguf_text token = ryz_gguf_next_text(tokens, &cursor);
        if (token.length == length && memcmp(token.data, text, length) == 0) return id;
    }
    cr_assert_fail("no token \"%.*s\"", (int)length, text);
    return 0;
}

struct rule {
    uint32_t left, right, merged;
};

/* The merges in order of rank; returns how many. */
static size_t read_rules(const struct opened *opened, struct rule *rules)
{
    const struct ryz_gguf_entry *merges = ryz_gguf_find(opened->gguf, "tokenizer.ggml.merges");
    uint64_t cursor = 0;
    for (size_t i = 0; i < merges->count; i++) {
        struct ryz_gguf_text text = ryz_gguf_next_text(merges, &cursor);
        size_t space = (size_t)((const char *)memchr(text.data, ' ', text.length) - text.data);
        char joined[32];
        memcpy(joined, text.data, space);
        memcpy(joined + space, text.data + space + 1, text.length - space - 1);
        rules[i] = (struct rule){
            spelled_id(opened, text.data, space),
            spelled_id(opened, text.data + space + 1, text.length - space - 1),
            spelled_id(opened, joined, text.length - 1),
        };
    }
    return merges->count;
}

/* Lowest-ranked pair first, leftmost among equals, by looking at all of them each time. */
static size_t naive_bpe(const struct opened *opened, const char *word, size_t size, uint32_t *ids)
{
    static struct rule rules[64];
    static size_t rule_count;
    static uint32_t byte_ids[256];
    if (rule_count == 0) {
        rule_count = read_rules(opened, rules);
        for (uint32_t id = 0; id < ryz_tokenizer_vocab_size(opened->tokenizer); id++) {
            size_t length;
            const char *bytes = ryz_tokenizer_bytes(opened->tokenizer, id, &length);
            if (length == 1) byte_ids[(unsigned char)bytes[0]] = id;
        }
    }
    size_t count = size;
    for (size_t i = 0; i < size; i++) ids[i] = byte_ids[(unsigned char)word[i]];
    for (size_t rank = 0; rank < rule_count;) {
        size_t i = 0;
        while (i + 1 < count && !(ids[i] == rules[rank].left && ids[i + 1] == rules[rank].right)) {
            i++;
        }
        if (i + 1 >= count) {
            rank++;
            continue;
        }
        ids[i] = rules[rank].merged;
        memmove(ids + i + 1, ids + i + 2, (count - i - 2) * sizeof *ids);
        count--;
        rank = 0; /* a merge may make a pair of a lower rank */
    }
    return count;
}

static size_t naive_encode(const struct opened *opened, const struct text *text, bool digits_alone,
                           uint32_t *ids)
{
    size_t count = 0;
    for (size_t segment = 0; segment < text->count;) {
        size_t segment_end = segment;
        bool digit = digits_alone && text->characters[segment].class == NUMBER;
        while (!digit && segment_end < text->count &&
               !(digits_alone && text->characters[segment_end].class == NUMBER)) {
            segment_end++;
        }
        if (digit) segment_end = segment + 1;
        for (size_t i = segment; i < segment_end;) {
            size_t end = word_end(text, i, segment_end);
            size_t offset = text->characters[i].offset;
            size_t stop = end < text->count ? text->characters[end].offset : text->size;
            count += naive_bpe(opened, text->bytes + offset, stop - offset, ids + count);
            i = end;
        }
        segment = segment_end;
    }
    return count;
}

/* Random texts, checked against the naive way and decoded again. */
static void check_random_texts(const char *pre, bool digits_alone)
{
    struct opened opened = open_rule(pre);
    static uint32_t ids[IDS_MAX], wanted[IDS_MAX];
    static char back[4096];
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct ryz_rng rng;
        ryz_rng_init(&rng, seed, 0);
        struct text text = {.count = 0};
        uint64_t pieces = ryz_rng_below(&rng, 40), kinds = 3 + ryz_rng_below(&rng, 34);
        for (uint64_t i = 0; i < pieces; i++) {
            /* Few kinds at a time make runs and contractions likely. */
            uint64_t kind = (ryz_rng_below(&rng, kinds) * 7 + seed) % RYZ_COUNT_OF(alphabet);
            append(&text, kind);
        }
        size_t count = encode(&opened, text.bytes, text.size, ids);
        size_t wanted_count = naive_encode(&opened, &text, digits_alone, wanted);
        cr_assert_eq(count, wanted_count, "seed %llu: \"%.*s\"", (unsigned long long)seed,
                     (int)text.size, text.bytes);
        cr_assert_eq(memcmp(ids, wanted, count * sizeof *ids), 0, "seed %llu: \"%.*s\"",
                     (unsigned long long)seed, (int)text.size, text.bytes);
        cr_assert_eq(decode(&opened, ids, count, back), text.size);
        cr_assert_eq(memcmp(back, text.bytes, text.size), 0);
    }
    close_all(&opened);
}

Test(tokenizer, gpt2_gives_the_ids_of_a_naive_implementation)
{
    check_random_texts("gpt-2", false);
}

Test(tokenizer, smollm_gives_the_ids_of_a_naive_implementation)
{
    check_random_texts("smollm", true);
}

/* ---- stated examples ---- */

static void expect_words(const char *pre, const char *text, const char *const *words, size_t count)
{
    /* Words are told by encoding each alone: together they must give the same ids. */
    struct opened opened = open_rule(pre);
    uint32_t ids[256], pieces[256];
    size_t total = encode(&opened, text, strlen(text), ids), sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += encode(&opened, words[i], strlen(words[i]), pieces + sum);
    }
    cr_assert_eq(total, sum, "%s", text);
    cr_assert_eq(memcmp(ids, pieces, total * sizeof *ids), 0, "%s", text);
    close_all(&opened);
}

Test(tokenizer, merges_stop_at_word_borders)
{
    static const char *const gpt2[] = {"the", "'s", " the", " ", " 1212"};
    expect_words("gpt-2", "the's the  1212", gpt2, RYZ_COUNT_OF(gpt2));
    static const char *const smollm[] = {"the", "  ", "1", "2", "1", "2"};
    expect_words("smollm", "the  1212", smollm, RYZ_COUNT_OF(smollm));
}

Test(tokenizer, any_bytes_survive_the_way_there_and_back)
{
    struct opened opened = open_rule("gpt-2");
    static uint32_t ids[IDS_MAX];
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct ryz_rng rng;
        ryz_rng_init(&rng, seed, 1);
        char text[64], back[64];
        size_t size = ryz_rng_below(&rng, sizeof text + 1);
        for (size_t i = 0; i < size; i++) {
            /* Many lead and continuation bytes, so that all broken forms come up. */
            text[i] = (char)(ryz_rng_below(&rng, 3) ? 0x80 + ryz_rng_below(&rng, 0x80)
                                                    : ryz_rng_below(&rng, 0x80));
        }
        size_t count = encode(&opened, text, size, ids);
        cr_assert(count <= ryz_tokenizer_encode_bound(size));
        cr_assert_eq(decode(&opened, ids, count, back), size, "seed %llu",
                     (unsigned long long)seed);
        cr_assert_eq(memcmp(back, text, size), 0);
    }
    close_all(&opened);
}

Test(tokenizer, a_word_of_a_million_letters_is_cut_and_merged)
{
    struct opened opened = open_rule("gpt-2");
    size_t length = 1u << 20;
    char *text = malloc(length);
    uint32_t *ids = malloc(length * sizeof *ids);
    for (size_t i = 0; i < length; i++) text[i] = "the"[i % 3];
    size_t count = 0;
    cr_assert_eq(ryz_tokenizer_encode(opened.tokenizer, text, length, false, ids, length, &count),
                 RYZ_OK);
    cr_assert_eq(count, length / 3 + 1); /* "the" is one token; 2^20 = 3 n + 1 */
    memset(text, ' ', length);
    cr_assert_eq(ryz_tokenizer_encode(opened.tokenizer, text, length, false, ids, length, &count),
                 RYZ_OK);
    cr_assert_eq(count, length / 2); /* two spaces are one token */
    free(text);
    free(ids);
    close_all(&opened);
}

Test(tokenizer, control_tokens_in_a_text_count_only_when_asked_for)
{
    struct opened opened = open_rule("gpt-2");
    static const char text[] = "the<|im_end|>\n";
    uint32_t ids[32];
    size_t count = encode(&opened, text, strlen(text), ids);
    for (size_t i = 0; i < count; i++) {
        cr_assert_not(ryz_tokenizer_is_control(opened.tokenizer, ids[i]));
    }
    cr_assert_gt(count, 3);
    cr_assert_eq(ryz_tokenizer_encode(opened.tokenizer, text, strlen(text), true, ids, 32, &count),
                 RYZ_OK);
    cr_assert_eq(count, 3);
    cr_assert_eq(ids[1], 2);
    cr_assert(ryz_tokenizer_is_control(opened.tokenizer, ids[1]));
    close_all(&opened);
}

Test(tokenizer, says_how_many_ids_there_are_when_they_do_not_fit)
{
    struct opened opened = open_rule("gpt-2");
    uint32_t ids[8] = {0, 0, 77};
    size_t count = 0;
    cr_assert_eq(ryz_tokenizer_encode(opened.tokenizer, "! ! ! ! !", 9, false, ids, 2, &count),
                 RYZ_FULL);
    cr_assert_eq(count, 9);
    cr_assert_eq(ids[2], 77);
    cr_assert_eq(ryz_tokenizer_encode(opened.tokenizer, "", 0, false, NULL, 0, &count), RYZ_OK);
    cr_assert_eq(count, 0);
    close_all(&opened);
}

Test(tokenizer, knows_its_special_ids)
{
    struct opened opened = open_rule("gpt-2");
    const struct ryz_tokenizer *tokenizer = opened.tokenizer;
    cr_assert_eq(ryz_tokenizer_find_control(tokenizer, "<|im_start|>"), 1);
    cr_assert_eq(ryz_tokenizer_find_control(tokenizer, "<|im_start|> "), RYZ_TOKEN_NONE);
    cr_assert_eq(ryz_tokenizer_find_control(tokenizer, "the"), RYZ_TOKEN_NONE);
    cr_assert_eq(ryz_tokenizer_find_control(tokenizer, ""), RYZ_TOKEN_NONE);
    cr_assert(ryz_tokenizer_is_end(tokenizer, 0));
    cr_assert_not(ryz_tokenizer_is_end(tokenizer, 1));
    cr_assert(ryz_tokenizer_is_end(tokenizer, 2));
    cr_assert_not(ryz_tokenizer_is_end(tokenizer, 1u << 30));
    cr_assert_eq(ryz_tokenizer_bos(tokenizer), RYZ_TOKEN_NONE);
    cr_assert(ryz_tokenizer_is_chatml(tokenizer));
    size_t length = 9;
    (void)ryz_tokenizer_bytes(tokenizer, 1, &length);
    cr_assert_eq(length, 0);
    length = 9;
    (void)ryz_tokenizer_bytes(tokenizer, UINT32_MAX, &length);
    cr_assert_eq(length, 0);
    close_all(&opened);
}

static void want_bos(struct gguf_builder *builder)
{
    builder_bool(builder, "tokenizer.ggml.add_bos_token", true);
}

Test(tokenizer, tells_the_begin_token_if_the_file_wants_one)
{
    struct opened opened = open_with(&(struct synthetic){.layers = 1, .change = want_bos});
    cr_assert_eq(ryz_tokenizer_bos(opened.tokenizer), 0);
    close_all(&opened);
}

/* ---- refusing ---- */

static void expect_refusal(struct gguf_builder *builder, enum ryz_status wanted, const char *word)
{
    struct bytes file = builder_finish(builder);
    struct ryz_gguf *gguf = NULL;
    struct ryz_tokenizer *tokenizer = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_gguf_open_memory(file.data, file.size, &gguf, &error), RYZ_OK);
    enum ryz_status status = ryz_tokenizer_open(gguf, &tokenizer, &error);
    cr_assert_eq(status, wanted, "%s: %s", ryz_status_name(status), error.text);
    cr_assert_not_null(strstr(error.text, word), "\"%s\" lacks \"%s\"", error.text, word);
    ryz_gguf_close(gguf);
    bytes_free(&file);
}

struct vocabulary {
    const char *model, *pre;
    const char *tokens[4];
    int32_t types[4];
    size_t type_count;
    const char *merges[1];
    uint32_t eos;
    enum ryz_status status;
    const char *word;
};

Test(tokenizer, refuses_what_it_cannot_encode_with)
{
    static const struct vocabulary cases[] = {
        {.model = "llama", .status = RYZ_UNSUPPORTED, .word = "\"llama\""},
        {.pre = "deepseek-llm", .status = RYZ_UNSUPPORTED, .word = "\"deepseek-llm\""},
        {.type_count = 3, .status = RYZ_CORRUPT, .word = "token_type"},
        {.tokens = {"a", "b", "ab", "a b"}, .status = RYZ_CORRUPT, .word = "token 3"},
        {.tokens = {"a", "b", "ab", "\xff"}, .status = RYZ_CORRUPT, .word = "token 3"},
        {.tokens = {"a", "b", "ab", "\xc5"}, .status = RYZ_CORRUPT, .word = "token 3"},
        {.merges = {"ab"}, .status = RYZ_CORRUPT, .word = "no space"},
        {.merges = {""}, .status = RYZ_CORRUPT, .word = "no space"},
        {.merges = {"a c"}, .status = RYZ_CORRUPT, .word = "lacks"},
        {.merges = {"b a"}, .status = RYZ_CORRUPT, .word = "lacks"},
        /* A merge may not make a control token: users could type it then. */
        {.types = {1, 1, 3, 1}, .type_count = 4, .status = RYZ_CORRUPT, .word = "lacks"},
        {.eos = 4, .status = RYZ_CORRUPT, .word = "eos"},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        const struct vocabulary *c = &cases[i];
        static const char *const tokens[] = {"a", "b", "ab", "c"}, *const merges[] = {"a b"};
        static const int32_t types[] = {1, 1, 1, 1};
        struct gguf_builder builder;
        builder_init(&builder);
        builder_text(&builder, "tokenizer.ggml.model", c->model ? c->model : "gpt2");
        builder_text(&builder, "tokenizer.ggml.pre", c->pre ? c->pre : "gpt-2");
        builder_texts(&builder, "tokenizer.ggml.tokens", c->tokens[0] ? c->tokens : tokens, 4);
        builder_i32s(&builder, "tokenizer.ggml.token_type", c->types[0] ? c->types : types,
                     c->type_count ? c->type_count : 4);
        builder_texts(&builder, "tokenizer.ggml.merges", c->merges[0] ? c->merges : merges, 1);
        builder_u32(&builder, "tokenizer.ggml.eos_token_id", c->eos);
        expect_refusal(&builder, c->status, c->word);
    }
    struct gguf_builder builder;
    builder_init(&builder);
    expect_refusal(&builder, RYZ_CORRUPT, "tokenizer.ggml.tokens");
}

Test(tokenizer, leaves_out_bytes_that_the_vocabulary_cannot_spell)
{
    struct gguf_builder builder;
    builder_init(&builder);
    static const char *const tokens[] = {"a", "b", "ab"}, *const merges[] = {"a b"};
    builder_text(&builder, "tokenizer.ggml.model", "gpt2");
    builder_text(&builder, "tokenizer.ggml.pre", "gpt-2");
    builder_texts(&builder, "tokenizer.ggml.tokens", tokens, 3);
    builder_texts(&builder, "tokenizer.ggml.merges", merges, 1);
    struct opened opened = {.file = builder_finish(&builder)};
    cr_assert_eq(ryz_gguf_open_memory(opened.file.data, opened.file.size, &opened.gguf, NULL),
                 RYZ_OK);
    cr_assert_eq(ryz_tokenizer_open(opened.gguf, &opened.tokenizer, NULL), RYZ_OK);
    uint32_t ids[16];
    cr_assert_eq(encode(&opened, "abxab!a", 7, ids), 3);
    cr_assert(ids[0] == 2 && ids[1] == 2 && ids[2] == 0);
    cr_assert_not(ryz_tokenizer_is_chatml(opened.tokenizer));
    close_all(&opened);
}

Test(tokenizer, finds_the_longest_special_token_and_user_defined_ones_always)
{
    struct gguf_builder builder;
    builder_init(&builder);
    static const char *const tokens[] = {"a", "b", "<x>", "<x>a", "[u]"}, *const merges[] = {"a b"};
    static const int32_t types[] = {1, 1, 3, 3, 4};
    builder_text(&builder, "tokenizer.ggml.model", "gpt2");
    builder_text(&builder, "tokenizer.ggml.pre", "gpt-2");
    builder_texts(&builder, "tokenizer.ggml.tokens", tokens, 5);
    builder_i32s(&builder, "tokenizer.ggml.token_type", types, 5);
    builder_texts(&builder, "tokenizer.ggml.merges", merges, 0);
    struct opened opened = {.file = builder_finish(&builder)};
    cr_assert_eq(ryz_gguf_open_memory(opened.file.data, opened.file.size, &opened.gguf, NULL),
                 RYZ_OK);
    cr_assert_eq(ryz_tokenizer_open(opened.gguf, &opened.tokenizer, NULL), RYZ_OK);
    uint32_t ids[16];
    static const char text[] = "b<x>a<x>b[u]";
    static const uint32_t parsed[] = {1, 3, 2, 1, 4}, plain[] = {1, 0, 1, 4};
    size_t count = 0;
    cr_assert_eq(ryz_tokenizer_encode(opened.tokenizer, text, strlen(text), true, ids, 16, &count),
                 RYZ_OK);
    cr_assert_eq(count, RYZ_COUNT_OF(parsed));
    cr_assert_eq(memcmp(ids, parsed, sizeof parsed), 0);
    cr_assert_eq(encode(&opened, text, strlen(text), ids), RYZ_COUNT_OF(plain));
    cr_assert_eq(memcmp(ids, plain, sizeof plain), 0);
    size_t length;
    cr_assert_eq(strncmp(ryz_tokenizer_bytes(opened.tokenizer, 4, &length), "[u]", 3), 0);
    cr_assert_eq(length, 3);
    close_all(&opened);
}

/* ---- streams ---- */

Test(utf8, a_stream_is_cut_only_at_character_borders)
{
    static const struct {
        const char *bytes;
        size_t complete;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"é", 2},
        {"a\xc3", 1},
        {"語", 3},
        {"a\xe8\xaa", 1},
        {"a\xe8", 1},
        {"😀", 4},
        {"\xf0\x9f\x98", 0},
        {"\xf0\x9f", 0},
        {"ab\xf0", 2},
        /* What can never become a character is complete: holding it back would hold it for good. */
        {"a\xff", 2},
        {"\x80\x80", 2},
        {"\x80\x80\x80\x80", 4},
        {"\xc0", 1},
        {"\xe0\x80", 2},
        {"\xed\xa0", 2},
        {"\xf4\x90", 2},
        {"\xf5\x80", 2},
        {"\xc3\xa9\xc3", 2},
        {"\xe8\xaa\xe8", 2},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        cr_assert_eq(ryz_utf8_complete_prefix(cases[i].bytes, strlen(cases[i].bytes)),
                     cases[i].complete, "case %zu", i);
    }
}

Test(utf8, pieces_of_any_size_join_to_the_whole)
{
    static const char text[] = "a é 語 😀 \xff\xe8\xaa \xed\xa0\x80 z";
    size_t size = sizeof text - 1;
    for (size_t step = 1; step < 6; step++) {
        char held[16];
        size_t held_size = 0, done = 0;
        for (size_t i = 0; i < size; i += step) {
            size_t added = size - i < step ? size - i : step;
            memcpy(held + held_size, text + i, added);
            held_size += added;
            size_t complete = ryz_utf8_complete_prefix(held, held_size);
            cr_assert_eq(memcmp(held, text + done, complete), 0);
            done += complete;
            held_size -= complete;
            memmove(held, held + complete, held_size);
            cr_assert_leq(held_size, 3);
        }
        cr_assert_eq(done, size);
    }
}
