/*
 * values.h - turns the text of one key into a field of the plan.
 *
 * Leaves to others: keys that depend on each other (rules.c) and whether a path exists (paths.c).
 */
#ifndef RYZ_HARNESS_SCENARIO_VALUES_H
#define RYZ_HARNESS_SCENARIO_VALUES_H

#include "engine/base/status.h"
#include "harness/scenario/keys.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads `text` as a value of `key` and stores it at base + key->offset, where base is the struct of
 * the key's section. RYZ_INVALID: nothing was stored; *error says what is allowed, without file or
 * key. */
RYZ_MUST_USE enum ryz_status ryz_value_set(const struct ryz_key *key, const char *text, void *base,
                                           struct ryz_error *error);

/* The compound types, each with its own grammar. */
RYZ_MUST_USE enum ryz_status ryz_value_dist(const char *text, const struct ryz_key *key,
                                            struct ryz_length_dist *dist, struct ryz_error *error);
RYZ_MUST_USE enum ryz_status ryz_value_slo(const char *text, struct ryz_slo *slo,
                                           struct ryz_error *error);
/* "4 GiB", "60 %" or "none"; also for the command line of `ryz serve`. */
RYZ_MUST_USE enum ryz_status ryz_value_memory(const char *text, struct ryz_memory_plan *memory,
                                              struct ryz_error *error);
/* Also for the command line of `ryz serve`: blanks or commas between "name@40%" parts, or "none".
 */
RYZ_MUST_USE enum ryz_status
ryz_value_kv_shares(const char *text, struct ryz_kv_shares_plan *shares, struct ryz_error *error);
/* window[0] is the begin, window[1] the end, both in ns. */
RYZ_MUST_USE enum ryz_status ryz_value_window(const char *text, int64_t window[2],
                                              struct ryz_error *error);
/* Sets action, permille (1000 if no share is given) and value_ns. */
RYZ_MUST_USE enum ryz_status ryz_value_action(const char *text, struct ryz_fault *fault,
                                              struct ryz_error *error);
/* Does the action's text hold a percentage? */
bool ryz_value_action_has_share(const char *text);

/* A quantity within [low, high], in the kind's base unit. */
RYZ_MUST_USE enum ryz_status ryz_value_number(const char *text, const struct ryz_key *key,
                                              double *value, struct ryz_error *error);

/* The next word of a space-separated list: copies it to `word`, moves *list past it. False at the
 * end of the list; a word that does not fit is cut. */
bool ryz_value_next_word(const char **list, char *word, size_t capacity);
/* Index of `word` in a space-separated list, -1 if it is not there. */
int ryz_value_index_of(const char *list, const char *word);

#endif
