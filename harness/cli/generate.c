/* generate.c - `ryz generate`: one prompt on the terminal, through the whole engine. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/thread_pool.h"
#include "engine/model/chat.h"
#include "engine/runtime/engine.h"
#include "harness/drive/real_clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct generate_options {
    const char *model, *quant, *isa;
    uint32_t max_tokens, top_k, threads;
    double temperature, top_p, min_p;
    uint64_t seed;
    bool chat;
};

/* What the engine thread tells the main one. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    struct ryz_stream_event last;
};

static void on_event(void *context, const struct ryz_stream_event *event)
{
    struct outcome *outcome = context;
    if (event->text_length > 0) {
        (void)fwrite(event->text, 1, event->text_length, stdout);
        (void)fflush(stdout);
    }
    if (!event->done) return;
    (void)pthread_mutex_lock(&outcome->lock);
    outcome->done = true;
    outcome->last = *event;
    (void)pthread_cond_signal(&outcome->ended);
    (void)pthread_mutex_unlock(&outcome->lock);
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

static void print_summary(const struct ryz_stream_event *last)
{
    double ttft_s = (double)(last->first_token_ns - last->arrived_ns) / 1e9;
    double decode_s = (double)(last->t_ns - last->first_token_ns) / 1e9;
    double rate = decode_s > 0 ? (double)(last->output_tokens - 1) / decode_s : 0;
    (void)fprintf(stderr, "\n[%u + %u tokens, first after %.0f ms, then %.1f tokens/s]\n",
                  last->prompt_tokens, last->output_tokens, ttft_s * 1e3, rate);
}

static enum ryz_status generate(struct ryz_engine *engine, const struct generate_options *o,
                                const char *text, struct ryz_error *error)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(ryz_engine_model(engine));
    enum ryz_status status = encode_prompt(tokenizer, text, o->chat, &ids, &count, error);
    if (status != RYZ_OK) goto out_free_ids;
    struct outcome outcome = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    struct ryz_generate request = {
        .tokens = ids,
        .token_count = (uint32_t)count,
        .max_tokens = o->max_tokens,
        .sampling = {.temperature = (float)o->temperature,
                     .top_p = (float)o->top_p,
                     .min_p = (float)o->min_p,
                     .top_k = o->top_k,
                     .seed = o->seed},
        .wants_text = true,
        .deadline_ns = RYZ_TIME_NEVER,
        .arrived_ns = RYZ_TIME_NONE,
        .on_event = on_event,
        .context = &outcome,
    };
    if (!o->chat) (void)fputs(text, stdout);
    status = ryz_engine_submit(engine, &request, NULL, error);
    if (status != RYZ_OK) goto out_free_ids;
    (void)pthread_mutex_lock(&outcome.lock);
    while (!outcome.done) (void)pthread_cond_wait(&outcome.ended, &outcome.lock);
    (void)pthread_mutex_unlock(&outcome.lock);
    status = outcome.last.status;
    if (status != RYZ_OK) {
        (void)ryz_fail(error, status, "the request failed: %s (prompt of %zu tokens)",
                       ryz_status_text(status), count);
    } else {
        print_summary(&outcome.last);
    }
out_free_ids:
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
        .limits = {.batch_requests_max = 1,
                   .batch_tokens_max = 512,
                   .prefill_chunk_max = 512,
                   .kv_block_tokens = 16,
                   .queue_requests_max = 1,
                   .step_ns_max = RYZ_TIME_NEVER,
                   .admit_late = true},
        .kv_bytes = UINT64_C(512) << 20,
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
        {"max-tokens", RYZ_OPTION_U32, &o.max_tokens, "N", "tokens to generate (128)"},
        {"temperature", RYZ_OPTION_F64, &o.temperature, "T", "0: greedy (0.8)"},
        {"top-k", RYZ_OPTION_U32, &o.top_k, "N", "0: off (0)"},
        {"top-p", RYZ_OPTION_F64, &o.top_p, "P", "1: off (0.95)"},
        {"min-p", RYZ_OPTION_F64, &o.min_p, "P", "0: off (0)"},
        {"seed", RYZ_OPTION_U64, &o.seed, "N", "same seed, same text (1)"},
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
    return run(&o, text);
}
