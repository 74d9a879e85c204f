/*
 * target.h - a thing that answers requests: our engine in process, or any OpenAI-compatible server.
 *
 * One thread submits, cancels and polls. Answers carry the time at which they happened, not when
 * they were polled. Every request that was submitted gets exactly one DONE, whatever happens to
 * it: an answer, a typed error, a cancel, or the connection's end.
 *
 *   submit -> [ACCEPTED] -> TOKENS ... -> DONE
 */
#ifndef RYZ_HARNESS_DRIVE_TARGET_H
#define RYZ_HARNESS_DRIVE_TARGET_H

#include "engine/base/clock.h"
#include "engine/obs/trace.h"
#include "harness/record/rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A request as it is handed over; borrowed for the call. */
struct ryz_ask {
    void *flight;    /* the caller's; comes back in every answer, never looked into */
    uint64_t number; /* of the request, for traces */
    const uint32_t *tokens;
    uint32_t prompt_tokens;
    uint32_t output_tokens; /* wanted */
    bool ignore_eos;        /* generate exactly output_tokens */
    uint8_t priority;
    uint16_t tenant;
    const char *tenant_name;        /* for servers; NULL: "default" */
    int64_t intended_ns;            /* scheduled arrival, absolute */
    int64_t first_deadline_ns;      /* for the first token, absolute; 0: none */
    int64_t deadline_ns;            /* for the end, likewise */
    struct ryz_trace_context trace; /* the client's span is the parent of the server's */
};

enum ryz_answer_kind { RYZ_ANSWER_ACCEPTED, RYZ_ANSWER_TOKENS, RYZ_ANSWER_DONE };

#define RYZ_ANSWER_IDS_MAX 8u /* larger arrivals of tokens come as several answers */

struct ryz_answer {
    void *flight;
    int64_t t_ns; /* on the target's clock */
    enum ryz_answer_kind kind;
    uint32_t token_count; /* TOKENS */
    uint32_t ids[RYZ_ANSWER_IDS_MAX];
    bool ids_known;                 /* TOKENS: ids are the server's; else a chunk counted as one */
    enum ryz_request_status status; /* DONE */
    uint32_t prompt_tokens;         /* DONE: as the server counted; 0: it did not say */
    uint32_t output_tokens;         /* DONE: likewise */
    uint32_t cached_tokens;         /* DONE: of the prompt, found in a cache, as the server says */
    uint32_t bytes_in, bytes_out;   /* DONE */
    struct ryz_waste waste;         /* DONE: zero where the server does not say */
    const char *reason;             /* DONE: why it failed, in words that last until the next poll;
                                       NULL when ok */
};

struct ryz_target {
    const struct ryz_target_ops *ops; /* implementations embed this struct */
};

struct ryz_target_ops {
    const char *name; /* "embedded" | "http" */
    /* Hands a request over. A status other than OK: it was refused on the spot, the text says why,
     * and no answer will come. RYZ_FULL and RYZ_CLOSED: shed; RYZ_INVALID: bad; RYZ_UNAVAILABLE and
     * RYZ_NO_MEMORY: it is the harness that cannot.
     * *handle names it for cancel, until its DONE has been polled. */
    enum ryz_status (*submit)(struct ryz_target *target, const struct ryz_ask *ask, void **handle,
                              struct ryz_error *error);
    /* Gives a request up: its DONE (CANCELLED, unless it had ended) comes soon. */
    void (*cancel)(struct ryz_target *target, void *handle);
    /* Waits until there are answers or until_ns (absolute; in the past: does not wait) and copies
     * up to `capacity` of them; those of one request are in order. */
    size_t (*poll)(struct ryz_target *target, int64_t until_ns, struct ryz_answer *answers,
                   size_t capacity);
    void (*close)(struct ryz_target *target); /* gives up what is still inside */
};

static inline void ryz_target_close(struct ryz_target *target)
{
    if (target != NULL) target->ops->close(target);
}

#endif
