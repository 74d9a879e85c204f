/* version.c - `ryz version`: what this binary was built from. */
#include "harness/cli/commands.h"

#include "harness/record/provenance.h"

#include <stdio.h>

int ryz_command_version(int argc, char **argv)
{
    struct ryz_provenance build = {0};
    ryz_provenance_collect(&build, argc, argv, 0);
    printf("ryz %s, commit %s\n%s, %s\n%s\nHDF5 %s, vector extensions: %s\n", build.ryz_version,
           build.git_commit, build.compiler, build.build_type, build.build_flags,
           build.hdf5_version, build.isa);
    ryz_provenance_deinit(&build);
    return RYZ_EXIT_MET;
}
