/*
 * generate.c - `ryz generate`: one prompt on the terminal, through the whole engine.
 *
 * Several choices are computed together and shown one after the other: the first one as it comes,
 * what the others say meanwhile is held until it is their turn.
 */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/thread_pool.h"
#include "engine/model/chat.h"
#include "engine/runtime/engine.h"
#include "harness/drive/real_clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct generate_options {
    const char *model, *quant, *isa, *kv_type;
    uint32_t max_tokens, top_k, threads, choices, context;
    double temperature, top_p, min_p;
    uint64_t seed, kv_bytes;
    bool chat;
};

/* A choice that is not shown yet. */
struct held {
    FILE *stream; /* into `text` */
    char *text;
    size_t length;
    bool done;
};

/* What the engine thread tells the main one. */
struct outcome {
    const char *prompt; /* shown before each choice; "" in a chat */
    uint32_t choices;
    uint64_t seed;
    uint32_t shown; /* the choice that is shown now; those before it are over */
    struct held held[RYZ_CHOICES_MAX];

    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint32_t open;          /* lock: choices that are not over */
    enum ryz_status status; /* of the first that failed */
    uint32_t prompt_tokens, output_tokens;
    int64_t arrived_ns, first_ns, last_ns;
};

/* Lets the choice be seen, from now on as it comes. */
static void show(struct outcome *outcome, uint32_t choice)
{
    struct held *held = &outcome->held[choice];
    if (outcome->choices > 1)
        printf("%s=== %u of %u, seed %" PRIu64 " ===\n", choice > 0 ? "\n\n" : "", choice + 1,
               outcome->choices, outcome->seed + choice);
    (void)fputs(outcome->prompt, stdout);
    (void)fflush(held->stream);
    (void)fwrite(held->text, 1, held->length, stdout);
    (void)fflush(stdout);
}

static void add_text(struct outcome *outcome, const struct ryz_stream_event *event)
{
    bool shown = event->choice == outcome->shown;
    if (event->text_length == 0) return;
    (void)fwrite(event->text, 1, event->text_length,
                 shown ? stdout : outcome->held[event->choice].stream);
    if (shown) (void)fflush(stdout);
}

static void end_choice(struct outcome *outcome, const struct ryz_stream_event *event)
{
    bool first = outcome->first_ns == RYZ_TIME_NONE || event->first_token_ns < outcome->first_ns;
    outcome->held[event->choice].done = true;
    while (outcome->shown < outcome->choices && outcome->held[outcome->shown].done)
        if (++outcome->shown < outcome->choices) show(outcome, outcome->shown);
    (void)pthread_mutex_lock(&outcome->lock);
    if (outcome->status == RYZ_OK) outcome->status = event->status;
    outcome->prompt_tokens = event->prompt_tokens;
    outcome->output_tokens += event->output_tokens;
    outcome->arrived_ns = event->arrived_ns;
    outcome->last_ns = event->t_ns;
    if (event->first_token_ns != RYZ_TIME_NONE && first) outcome->first_ns = event->first_token_ns;
    outcome->open--;
    (void)pthread_cond_signal(&outcome->ended);
    (void)pthread_mutex_unlock(&outcome->lock);
}

static void on_event(void *context, const struct ryz_stream_event *event)
{
    struct outcome *outcome = context;
    add_text(outcome, event);
    if (event->done) end_choice(outcome, event);
}

/* Prompt text to ids; *ids is malloc'ed. */
static enum ryz_status encode_prompt(const struct ryz_tokenizer *tokenizer, const char *text,
                                     bool chat, uint32_t **ids, size_t *count,
                                     struct ryz_error *error)
{
    size_t length = strlen(text), capacity = ryz_tokenizer_encode_bound(length) + 128;
    *ids = calloc(capacity, sizeof **ids);
    if (*ids == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the prompt");
    if (chat) {
        struct ryz_chat_message message = {"user", text, length};
        return ryz_chat_encode(tokenizer, NULL, &message, 1, *ids, capacity, count, error);
    }
    enum ryz_status status =
        ryz_tokenizer_encode(tokenizer, text, length, false, *ids, capacity, count);
    if (status != RYZ_OK) return ryz_fail(error, status, "the prompt could not be tokenized");
    return RYZ_OK;
}

static void print_summary(const struct outcome *outcome)
{
    double ttft_s = (double)(outcome->first_ns - outcome->arrived_ns) / 1e9;
    double decode_s = (double)(outcome->last_ns - outcome->first_ns) / 1e9;
    uint32_t later = outcome->output_tokens - outcome->choices;
    (void)fprintf(stderr, "\n[%u + %u tokens, first after %.0f ms, then %.1f tokens/s]\n",
                  outcome->prompt_tokens, outcome->output_tokens, ttft_s * 1e3,
                  decode_s > 0 ? later / decode_s : 0.0);
}

static void close_held(struct outcome *outcome)
{
    for (uint32_t i = 0; i < outcome->choices; i++) {
        if (outcome->held[i].stream != NULL) (void)fclose(outcome->held[i].stream);
        free(outcome->held[i].text);
    }
}

static enum ryz_status open_held(struct outcome *outcome, struct ryz_error *error)
{
    for (uint32_t i = 0; i < outcome->choices; i++) {
        struct held *held = &outcome->held[i];
        held->stream = open_memstream(&held->text, &held->length);
        if (held->stream == NULL)
            return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u choices", outcome->choices);
    }
    return RYZ_OK;
}

/* Submits the prompt and waits until all choices are over. */
static enum ryz_status ask(struct ryz_engine *engine, const struct generate_options *o,
                           const uint32_t *ids, size_t count, struct outcome *outcome,
                           struct ryz_error *error)
{
    struct ryz_generate request = {
        .tokens = ids,
        .token_count = (uint32_t)count,
        .max_tokens = o->max_tokens,
        .choices = o->choices,
        .sampling = {.temperature = (float)o->temperature,
                     .top_p = (float)o->top_p,
                     .min_p = (float)o->min_p,
                     .top_k = o->top_k,
                     .seed = o->seed},
        .wants_text = true,
        .deadline_ns = RYZ_TIME_NEVER,
        .arrived_ns = RYZ_TIME_NONE,
        .on_event = on_event,
        .context = outcome,
    };
    show(outcome, 0);
    enum ryz_status status = ryz_engine_submit(engine, &request, NULL, error);
    if (status != RYZ_OK) return status;
    (void)pthread_mutex_lock(&outcome->lock);
    while (outcome->open > 0) (void)pthread_cond_wait(&outcome->ended, &outcome->lock);
    (void)pthread_mutex_unlock(&outcome->lock);
    if (outcome->status != RYZ_OK)
        return ryz_fail(error, outcome->status, "the request failed: %s (prompt of %zu tokens)",
                        ryz_status_text(outcome->status), count);
    print_summary(outcome);
    return RYZ_OK;
}

static enum ryz_status generate(struct ryz_engine *engine, const struct generate_options *o,
                                const char *text, struct ryz_error *error)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(ryz_engine_model(engine));
    struct outcome outcome = {.prompt = o->chat ? "" : text,
                              .choices = o->choices,
                              .seed = o->seed,
                              .open = o->choices,
                              .first_ns = RYZ_TIME_NONE,
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .ended = PTHREAD_COND_INITIALIZER};
    enum ryz_status status = encode_prompt(tokenizer, text, o->chat, &ids, &count, error);
    if (status == RYZ_OK) status = open_held(&outcome, error);
    if (status == RYZ_OK) status = ask(engine, o, ids, count, &outcome, error);
    close_held(&outcome);
    free(ids);
    return status;
}

static int run(const struct generate_options *o, const char *text)
{
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    struct ryz_engine_options options = {
        .model_path = o->model,
        .quant = o->quant,
        .backend = "cpu",
        .isa = o->isa,
        .threads = o->threads != 0 ? o->threads : ryz_cpu_count(),
        .policy = "fcfs",
        .limits = {.batch_requests_max = o->choices,
                   .batch_tokens_max = 512,
                   .prefill_chunk_max = 512,
                   .kv_block_tokens = 16,
                   .queue_requests_max = o->choices,
                   .context_tokens_max = o->context,
                   .step_ns_max = RYZ_TIME_NEVER,
                   .admit_late = true},
        .kv_bytes = o->kv_bytes,
        .kv_type = o->kv_type,
        .clock = clock,
    };
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_engine_open(&options, &engine, &error);
    if (status == RYZ_OK) status = generate(engine, o, text, &error);
    ryz_engine_close(engine);
    if (status == RYZ_OK) return RYZ_EXIT_MET;
    (void)fprintf(stderr, "ryz: %s\n", error.text);
    return RYZ_EXIT_COULD_NOT;
}

int ryz_command_generate(int argc, char **argv)
{
    struct generate_options o = {.model = "models/ryz-tiny.gguf",
                                 .quant = "as_is",
                                 .isa = "auto",
                                 .kv_type = "bf16",
                                 .kv_bytes = UINT64_C(512) << 20,
                                 .choices = 1,
                                 .max_tokens = 128,
                                 .temperature = 0.8,
                                 .top_p = 0.95,
                                 .seed = 1};
    const struct ryz_option options[] = {
        {"model", RYZ_OPTION_TEXT, &o.model, "FILE", "GGUF file (models/ryz-tiny.gguf)"},
        {"quant", RYZ_OPTION_TEXT, &o.quant, "TYPE", "as_is f32 f16 bf16 q8_0 q4_0 q4_1 (as_is)"},
        {"isa", RYZ_OPTION_TEXT, &o.isa, "NAME", "auto ref avx2 avx512 (auto)"},
        {"threads", RYZ_OPTION_U32, &o.threads, "N", "threads (all cores)"},
        {"chat", RYZ_OPTION_FLAG, &o.chat, NULL, "put the prompt into the chat template"},
        {"n", RYZ_OPTION_U32, &o.choices, "N", "answers, with seeds one apart (1)"},
        {"max-tokens", RYZ_OPTION_U32, &o.max_tokens, "N", "tokens to generate (128)"},
        {"temperature", RYZ_OPTION_F64, &o.temperature, "T", "0: greedy (0.8)"},
        {"top-k", RYZ_OPTION_U32, &o.top_k, "N", "0: off (0)"},
        {"top-p", RYZ_OPTION_F64, &o.top_p, "P", "1: off (0.95)"},
        {"min-p", RYZ_OPTION_F64, &o.min_p, "P", "0: off (0)"},
        {"seed", RYZ_OPTION_U64, &o.seed, "N", "same seed, same text (1)"},
        {"context", RYZ_OPTION_U32, &o.context, "N", "prompt + output tokens (the model's)"},
        {"kv", RYZ_OPTION_BYTES, &o.kv_bytes, "SIZE", "KV cache, e.g. 64MiB (512MiB)"},
        {"kv-type", RYZ_OPTION_TEXT, &o.kv_type, "TYPE",
         "bf16, or int8: nearly twice the tokens; f32: slow, for comparisons (bf16)"},
    };
    const struct ryz_command_line line = {.usage = "ryz generate [options] PROMPT",
                                          .about =
                                              "Continues PROMPT and prints the text as it comes.",
                                          .options = options,
                                          .option_count = sizeof options / sizeof options[0],
                                          .positional_min = 1,
                                          .positional_max = 1};
    const char *text = NULL;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &text, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (o.choices < 1 || o.choices > RYZ_CHOICES_MAX) {
        (void)fprintf(stderr, "ryz: --n is 1 to %u\n", RYZ_CHOICES_MAX);
        return RYZ_EXIT_USAGE;
    }
    return run(&o, text);
}
