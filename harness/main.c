/* main.c - finds the command that was asked for; everything else is in harness/cli/. */
#include "engine/base/size.h"
#include "engine/base/suggest.h"
#include "harness/cli/commands.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define X(function, name, summary) {name, summary, ryz_command_##function},
    RYZ_COMMAND_TABLE(X)
#undef X
};

static void print_help(FILE *out)
{
    (void)fputs("ryz finds out how an LLM serving system behaves, and proves it.\n\n"
                "usage: ryz COMMAND [arguments]\n\ncommands:\n",
                out);
    for (size_t i = 0; i < RYZ_COUNT_OF(commands); i++) {
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    (void)fputs("\nstart here:  ryz run scenarios/quickstart.ini\n"
                "more:        ryz COMMAND --help\n",
                out);
}

int main(int argc, char **argv)
{
    /* A client that goes away must end its request, not the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return RYZ_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return RYZ_EXIT_MET;
    }
    if (strcmp(argv[1], "--version") == 0) return ryz_command_version(1, argv);
    const char *names[RYZ_COUNT_OF(commands)];
    for (size_t i = 0; i < RYZ_COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) return commands[i].run(argc - 1, argv + 1);
        names[i] = commands[i].name;
    }
    const char *near = ryz_suggest_nearest(argv[1], names, RYZ_COUNT_OF(commands));
    (void)fprintf(stderr, "ryz: unknown command \"%s\"", argv[1]);
    if (near != NULL) (void)fprintf(stderr, "; did you mean \"%s\"?", near);
    (void)fputs("\n\n", stderr);
    print_help(stderr);
    return RYZ_EXIT_USAGE;
}
