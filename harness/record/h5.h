/*
 * h5.h - the little of HDF5 that the record room needs: row types, tables, attributes, and error
 * texts. Private to harness/record.
 *
 * Rows are packed by us into the file's little-endian layout, so a write converts nothing; reads
 * convert by column name, so that older and newer files are understood.
 */
#ifndef RYZ_HARNESS_RECORD_H5_H
#define RYZ_HARNESS_RECORD_H5_H

#include "engine/base/status.h"
#include "harness/record/provenance.h"
#include "harness/record/run_data.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Turns HDF5's own printing off; to be called on every thread that calls HDF5. */
void ryz_h5_quiet(void);
/* As ryz_fail, with HDF5's innermost complaint appended; clears HDF5's error stack. */
enum ryz_status ryz_h5_fail(struct ryz_error *error, enum ryz_status status, const char *format,
                            ...) RYZ_PRINTF(3, 4);

/* The compound in the file: packed, little-endian. < 0 on failure; H5Tclose it. */
hid_t ryz_h5_file_type(const struct ryz_table_spec *spec);
size_t ryz_h5_packed_bytes(const struct ryz_table_spec *spec);
/* Packs `count` row structs into count * packed_bytes at `out`. */
void ryz_h5_pack(const struct ryz_table_spec *spec, const void *rows, size_t count, uint8_t *out);

/* Creates an empty, growing dataset with its describing attributes. `live`: no filters, for SWMR;
 * else shuffle, deflate 1, fletcher32. */
RYZ_MUST_USE enum ryz_status ryz_h5_table_create(hid_t parent, const struct ryz_table_spec *spec,
                                                 const char *name, bool live, hid_t *dataset,
                                                 struct ryz_error *error);
/* Appends packed rows behind row `first`. */
RYZ_MUST_USE enum ryz_status ryz_h5_table_append(hid_t dataset, hid_t file_type, uint64_t first,
                                                 const uint8_t *packed, size_t count,
                                                 struct ryz_error *error);
/* Writes a whole table as a new dataset. */
RYZ_MUST_USE enum ryz_status ryz_h5_table_write(hid_t parent, const struct ryz_table_spec *spec,
                                                const char *name, const void *rows, size_t count,
                                                struct ryz_error *error);
/* Reads the first `limit` rows (fewer if there are fewer); an absent dataset gives no rows. */
RYZ_MUST_USE enum ryz_status ryz_h5_table_read(hid_t parent, const struct ryz_table_spec *spec,
                                               const char *name, uint64_t limit,
                                               struct ryz_rows *rows, struct ryz_error *error);

/* Attributes; setters create them. Texts are fixed-length strings. */
bool ryz_h5_set_text(hid_t object, const char *name, const char *text);
bool ryz_h5_set_texts(hid_t object, const char *name, const char *const *texts, size_t count);
bool ryz_h5_set_u64(hid_t object, const char *name, uint64_t value);
bool ryz_h5_set_i64(hid_t object, const char *name, int64_t value);
/* Getters give "" or 0 and false when the attribute is absent or of another kind. */
bool ryz_h5_get_text(hid_t object, const char *name, char *text, size_t capacity);
bool ryz_h5_get_u64(hid_t object, const char *name, uint64_t *value);
bool ryz_h5_get_i64(hid_t object, const char *name, int64_t *value);
/* Reads up to `rows` texts into a flat array of rows * width bytes; *count of them. */
bool ryz_h5_get_texts(hid_t object, const char *name, char *flat, size_t width, size_t rows,
                      size_t *count);

/* Provenance and run info as attributes of a group; the scenario as a dataset beside them. */
RYZ_MUST_USE enum ryz_status ryz_h5_provenance_write(hid_t group,
                                                     const struct ryz_provenance *provenance,
                                                     struct ryz_error *error);
RYZ_MUST_USE enum ryz_status ryz_h5_provenance_read(hid_t group, struct ryz_provenance *provenance,
                                                    struct ryz_error *error);
bool ryz_h5_info_write(hid_t group, const struct ryz_run_info *info);
void ryz_h5_info_read(hid_t group, struct ryz_run_info *info);

#endif
