/*
 * provenance.h - where a result comes from: without commit, build, machine, seed and scenario a
 * number is not a result. Collected once per process, written into every results file.
 */
#ifndef RYZ_HARNESS_RECORD_PROVENANCE_H
#define RYZ_HARNESS_RECORD_PROVENANCE_H

#include "engine/base/status.h"

#include <stdint.h>

/* X(field and attribute, bytes, what it is); "" where unknown. */
#define RYZ_PROVENANCE_TEXTS(X)                                                                    \
    X(git_commit, 64, "commit the binary was built from, with -dirty if the tree had changes")     \
    X(ryz_version, 32, "version of ryz")                                                           \
    X(build_type, 32, "CMake build type")                                                          \
    X(build_flags, 512, "compiler flags")                                                          \
    X(compiler, 128, "compiler and version")                                                       \
    X(hdf5_version, 32, "HDF5 library")                                                            \
    X(created_utc, 32, "ISO 8601")                                                                 \
    X(host, 64, "host name")                                                                       \
    X(cpu, 128, "processor")                                                                       \
    X(isa, 64, "vector extensions found")                                                          \
    X(kernel, 128, "operating system kernel")                                                      \
    X(governor, 32, "frequency governor of CPU 0")                                                 \
    X(clocksource, 32, "clock source")                                                             \
    X(container, 32, "container or hypervisor, as far as it shows")                                \
    X(gpus, 256, "names of the GPUs, comma-separated; filled by the caller")                       \
    X(argv, 1024, "command line")                                                                  \
    X(user_note, 256, "free text; filled by the caller")

struct ryz_provenance {
#define X(name, bytes, help) char name[bytes];
    RYZ_PROVENANCE_TEXTS(X)
#undef X
    uint32_t cores;
    uint64_t ram_bytes;
    uint64_t seed;   /* of the scenario; filled by the caller */
    char title[192]; /* of the scenario; filled by the caller */
    const char
        *scenario; /* bytes of the scenario file, borrowed (owned after reading: see below) */
    uint64_t scenario_bytes;
    char *owned; /* memory behind `scenario` when read from a file; NULL otherwise */
};

/* Fills all that the process and the machine know. argv may be NULL. Never fails: what cannot be
 * found stays empty. `with_host` false leaves the host name out. */
void ryz_provenance_collect(struct ryz_provenance *provenance, int argc, char *const *argv,
                            int with_host);
/* Frees what reading a file allocated; harmless otherwise. */
void ryz_provenance_deinit(struct ryz_provenance *provenance);

#endif
