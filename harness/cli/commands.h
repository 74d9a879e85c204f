/* commands.h - the commands of ryz: one table, one file each. */
#ifndef RYZ_HARNESS_CLI_COMMANDS_H
#define RYZ_HARNESS_CLI_COMMANDS_H

/* Exit codes; of several that apply the first in this order counts: 64 4 3 2 1 0. */
enum ryz_exit {
    RYZ_EXIT_MET = 0,        /* all targets met, or nothing to meet */
    RYZ_EXIT_MISSED = 1,     /* a target missed */
    RYZ_EXIT_REGRESSION = 2, /* worse than the baseline */
    RYZ_EXIT_INVALID = 3,    /* the run proves nothing */
    RYZ_EXIT_COULD_NOT = 4,  /* could not run */
    RYZ_EXIT_USAGE = 64      /* bad scenario or usage */
};

/* X(function suffix, name, summary) */
#define RYZ_COMMAND_TABLE(X)                                                                       \
    X(run, "run", "run a scenario: traffic, faults, sweep, verdict, plots")                        \
    X(check, "check", "explain a scenario without running it")                                     \
    X(serve, "serve", "serve a model over an OpenAI-compatible HTTP interface")                    \
    X(generate, "generate", "continue one prompt on the terminal")                                 \
    X(inspect, "inspect", "show what is in a model file")                                          \
    X(results, "results", "list, recover, compare or plot results files")                          \
    X(replay, "replay", "replay a recorded run's scheduler events; the decisions must be equal")   \
    X(dod, "dod", "measure the Definition of Done and print its table")                            \
    X(explain, "explain", "say what a metric means and how it is computed")                        \
    X(bench, "bench", "verify and time a kernel")                                                  \
    X(devices, "devices", "show CPU kernels and GPUs that can be used")                            \
    X(docs, "docs", "write the reference pages that are made from tables")                         \
    X(version, "version", "print version and build")

#define X(function, name, summary) int ryz_command_##function(int argc, char **argv);
RYZ_COMMAND_TABLE(X)
#undef X

#endif
