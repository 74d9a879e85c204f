/* sha256.h - the SHA-256 of a file, and the row of /provenance/inputs that says what was read. */
#ifndef RYZ_HARNESS_RECORD_SHA256_H
#define RYZ_HARNESS_RECORD_SHA256_H

#include "engine/base/status.h"
#include "harness/record/rows.h"

/* 64 lower-case hex digits and a NUL. */
RYZ_MUST_USE enum ryz_status ryz_sha256_file(const char *path, char hex[65],
                                             struct ryz_error *error);
/* Describes one input file: size, hash, and for texts the line count and first line. */
RYZ_MUST_USE enum ryz_status ryz_input_describe(const char *path, const char *role,
                                                struct ryz_input_row *row, struct ryz_error *error);

#endif
