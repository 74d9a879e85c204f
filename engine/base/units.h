/*
 * units.h - quantities as people write them: "250 ms", "6 /s", "1 %", "512 MiB", "4 x".
 *
 * A number without its unit is refused where a unit is due, and a unit of the wrong kind too.
 */
#ifndef RYZ_BASE_UNITS_H
#define RYZ_BASE_UNITS_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

enum ryz_unit_kind {
    RYZ_UNIT_TIME,   /* ns us ms s min h -> nanoseconds */
    RYZ_UNIT_RATE,   /* /s /min /h -> per second */
    RYZ_UNIT_RATIO,  /* % x -> 1 = 100 % = 1 x */
    RYZ_UNIT_BYTES,  /* B KiB MiB GiB kB MB GB -> bytes */
    RYZ_UNIT_TOKENS, /* tok -> tokens; a bare count is allowed */
    RYZ_UNIT_COUNT   /* no unit */
};

/* Reads all of `text` as one quantity of `kind`; blanks between number and unit are optional.
 * *value is in the base unit named above. */
RYZ_MUST_USE enum ryz_status ryz_units_parse(const char *text, enum ryz_unit_kind kind,
                                             double *value, struct ryz_error *error);
/* Writes a value in the unit a person would choose, e.g. 0.25 s -> "250 ms". */
void ryz_units_format(double value, enum ryz_unit_kind kind, char *text, size_t capacity);

#endif
