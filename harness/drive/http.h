/*
 * http.h - an OpenAI-compatible server as a target: POST {base}/completions, streamed.
 *
 * One thread, epoll, keep-alive connections, no TLS (put a local proxy in front of an https
 * address). Our own server and others that know token ids get prompts as ids and are asked to
 * return ids, so counts and hashes are exact; for the rest prompts are text, a chunk counts as one
 * token, and the server's own usage figures correct the sum at the end.
 */
#ifndef RYZ_HARNESS_DRIVE_HTTP_H
#define RYZ_HARNESS_DRIVE_HTTP_H

#include "harness/drive/target.h"

struct ryz_tokenizer;

struct ryz_http_options {
    const char *url;                       /* "http://127.0.0.1:8080/v1" */
    const char *model_name;                /* empty: the first that GET {base}/models lists */
    bool text_prompts;                     /* prompts as text; the server knows no token ids */
    const struct ryz_tokenizer *tokenizer; /* to spell prompts as text; NULL: common words */
    uint32_t connections_max;      /* open at once; beyond, requests are not sent; 0: 4096 */
    int64_t connect_timeout_ns;    /* 0: 5 s */
    const struct ryz_clock *clock; /* CLOCK_MONOTONIC */
};

/* Resolves the address, asks for the models, and opens no further connection yet. */
RYZ_MUST_USE enum ryz_status ryz_http_open(const struct ryz_http_options *options,
                                           struct ryz_target **out, struct ryz_error *error);

#endif
