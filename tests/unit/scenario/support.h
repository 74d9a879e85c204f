/*
 * support.h - a folder with a scenario and the data it may name, and what ryz says about it.
 */
#ifndef RYZ_TESTS_UNIT_SCENARIO_SUPPORT_H
#define RYZ_TESTS_UNIT_SCENARIO_SUPPORT_H

#include "harness/scenario/plan.h"

#include <stddef.h>
#include <stdint.h>

/* A complete scenario of nine lines, so that what a test adds starts at line 10. */
#define GOOD                                                                                       \
    "[scenario]\n"                                                                                 \
    "name = x\n"                                                                                   \
    "schema = 1\n"                                                                                 \
    "[model]\n"                                                                                    \
    "path = model.gguf\n"                                                                          \
    "[traffic.main]\n"                                                                             \
    "arrival = closed\n"                                                                           \
    "concurrency = 2\n"                                                                            \
    "requests = 10\n"

/* Makes a temporary folder with model.gguf, text.txt and trace.csv and goes there; to be used as
 * the .init and .fini of a suite. $RYZ_DATA is unset. */
void support_open(void);
void support_close(void);

/* Writes a file into the folder. */
void support_write(const char *name, const char *text);
void support_write_bytes(const char *name, const char *bytes, size_t size);

/* Opens s.ini, whose text is given, with up to 4 overrides (NULL ends them). */
enum ryz_status support_try(const char *text, const char *const *overrides, struct ryz_plan **plan,
                            struct ryz_error *error);
/* As above; fails the test if it is refused. The caller closes the plan. */
struct ryz_plan *support_plan(const char *text, const char *const *overrides);
/* What `ryz check` prints; the caller frees it. */
char *support_check(const char *text, const char *const *overrides, enum ryz_status *status);

/* Expects this text to be refused; `says` must be in the messages, which begin with "s.ini:". */
void support_refuses(const char *text, const char *says);

uint64_t support_seed(const char *property);

#endif
