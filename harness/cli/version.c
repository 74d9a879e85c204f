/* version.c - `ryz version`: what this binary was built from. */
#include "harness/cli/commands.h"

#include "harness/run/provenance.h"

#include <stdio.h>

int ryz_command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("ryz %s (%s, %s, %s)\n", ryz_build_version(), ryz_build_commit(), ryz_build_compiler(),
           ryz_build_flags());
    return RYZ_EXIT_MET;
}
