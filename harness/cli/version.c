/* version.c - `ryz version`: what this binary was built from. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "harness/record/provenance.h"

#include <stdio.h>

int ryz_command_version(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz version",
        .about = "Shows version, commit, compiler and libraries of this binary."};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, NULL, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    struct ryz_provenance build = {0};
    ryz_provenance_collect(&build, argc, argv, 0);
    printf("ryz %s, commit %s\n%s, %s\n%s\nHDF5 %s, vector extensions: %s\n", build.ryz_version,
           build.git_commit, build.compiler, build.build_type, build.build_flags,
           build.hdf5_version, build.isa);
    ryz_provenance_deinit(&build);
    return RYZ_EXIT_MET;
}
