/*
 * options.h - reads a command's options from a table and prints its help from the same table.
 *
 * "--name value" and "--name=value" are both understood; an unknown option is refused with the
 * nearest known one.
 */
#ifndef RYZ_HARNESS_CLI_OPTIONS_H
#define RYZ_HARNESS_CLI_OPTIONS_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ryz_option_kind {
    RYZ_OPTION_TEXT,  /* const char ** */
    RYZ_OPTION_U32,   /* uint32_t * */
    RYZ_OPTION_U64,   /* uint64_t * */
    RYZ_OPTION_F64,   /* double *, 0 or more */
    RYZ_OPTION_BYTES, /* uint64_t *, "512 MiB" */
    RYZ_OPTION_FLAG,  /* bool *, takes no value */
    RYZ_OPTION_LIST   /* struct ryz_option_list *, may be given again */
};

#define RYZ_OPTION_LIST_MAX 32u

struct ryz_option_list {
    const char *items[RYZ_OPTION_LIST_MAX];
    uint32_t count;
};

struct ryz_option {
    const char *name; /* without the dashes */
    enum ryz_option_kind kind;
    void *target;      /* as the kind says; holds the default before parsing */
    const char *value; /* placeholder in the help, NULL for a flag */
    const char *help;
};

struct ryz_command_line {
    const char *usage; /* "ryz serve --model FILE [options]" */
    const char *about; /* a sentence or two */
    const struct ryz_option *options;
    size_t option_count;
    uint32_t positional_min, positional_max;
};

/* Parses argv[1..]; positional arguments go to `positional` (positional_max entries). Returns
 * RYZ_OK, RYZ_CANCELLED when --help was asked for (help was printed), RYZ_INVALID with a message on
 * stderr. */
RYZ_MUST_USE enum ryz_status ryz_options_parse(const struct ryz_command_line *line, int argc,
                                               char *const *argv, const char **positional,
                                               uint32_t *positional_count);

/* Whether the value of an option is one of the words of a space-separated list; else stderr says
 * which there are, and which is the nearest. */
RYZ_MUST_USE bool ryz_option_is_word(const char *name, const char *value, const char *words);

#endif
