/* h5_attributes.c - attributes of HDF5 objects, and provenance and run info made of them. */
#include "harness/record/h5.h"

#include "engine/base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCENARIO_BYTES_MAX (16u << 20)

/* ---- setters ---- */

static bool write_attribute(hid_t object, const char *name, hid_t type, hid_t space,
                            const void *value)
{
    if (type < 0 || space < 0) return false;
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) return false;
    bool ok = H5Awrite(attribute, type, value) >= 0;
    return H5Aclose(attribute) >= 0 && ok;
}

static hid_t text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0) H5Tset_size(type, bytes);
    return type;
}

bool ryz_h5_set_text(hid_t object, const char *name, const char *text)
{
    hid_t type = text_type(strlen(text) + 1), space = H5Screate(H5S_SCALAR);
    bool ok = write_attribute(object, name, type, space, text);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return ok;
}

bool ryz_h5_set_texts(hid_t object, const char *name, const char *const *texts, size_t count)
{
    size_t width = 1;
    hsize_t length = count;
    if (count == 0) return true;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(texts[i]) + 1;
        width = bytes > width ? bytes : width;
    }
    char *flat = calloc(count, width);
    if (flat == NULL) return false;
    for (size_t i = 0; i < count; i++) memcpy(flat + i * width, texts[i], strlen(texts[i]));
    hid_t type = text_type(width), space = H5Screate_simple(1, &length, NULL);
    bool ok = write_attribute(object, name, type, space, flat);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    free(flat);
    return ok;
}

static bool set_number(hid_t object, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    bool ok = write_attribute(object, name, type, space, value);
    if (space >= 0) H5Sclose(space);
    return ok;
}

bool ryz_h5_set_u64(hid_t object, const char *name, uint64_t value)
{
    return set_number(object, name, H5T_STD_U64LE, &value);
}

bool ryz_h5_set_i64(hid_t object, const char *name, int64_t value)
{
    return set_number(object, name, H5T_STD_I64LE, &value);
}

/* ---- getters ---- */

/* Opens an attribute of the class, with as many elements as *count says at most; < 0 if it is
 * absent or different. */
static hid_t open_attribute(hid_t object, const char *name, H5T_class_t class, size_t *count,
                            size_t *bytes)
{
    if (H5Aexists(object, name) <= 0) return -1;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return -1;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t points = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    bool ok = type >= 0 && H5Tget_class(type) == class && points >= 1 && (size_t)points <= *count;
    if (ok && class == H5T_STRING) ok = H5Tis_variable_str(type) == 0;
    *bytes = ok ? H5Tget_size(type) : 0;
    *count = ok ? (size_t)points : 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (ok && *bytes > 0 && *bytes < 65536) return attribute;
    H5Aclose(attribute);
    return -1;
}

bool ryz_h5_get_texts(hid_t object, const char *name, char *flat, size_t width, size_t rows,
                      size_t *count)
{
    size_t found = rows, bytes = 0;
    *count = 0;
    hid_t attribute = open_attribute(object, name, H5T_STRING, &found, &bytes);
    if (attribute < 0) return false;
    char few[4096] = {0}; /* enough for every attribute of ours, so reading them cannot fail */
    char *many = found * bytes > sizeof few ? calloc(found, bytes) : NULL;
    char *texts = found * bytes > sizeof few ? many : few;
    hid_t type = text_type(bytes);
    bool ok = texts != NULL && type >= 0 && H5Aread(attribute, type, texts) >= 0;
    for (size_t i = 0; ok && i < found; i++) {
        int length = (int)strnlen(texts + i * bytes, bytes);
        snprintf(flat + i * width, width, "%.*s", length, texts + i * bytes);
    }
    *count = ok ? found : 0;
    if (type >= 0) H5Tclose(type);
    free(many);
    H5Aclose(attribute);
    return ok;
}

bool ryz_h5_get_text(hid_t object, const char *name, char *text, size_t capacity)
{
    size_t count = 0;
    text[0] = '\0';
    return ryz_h5_get_texts(object, name, text, capacity, 1, &count);
}

static bool get_number(hid_t object, const char *name, hid_t type, void *value)
{
    size_t count = 1, bytes = 0;
    hid_t attribute = open_attribute(object, name, H5T_INTEGER, &count, &bytes);
    if (attribute < 0) return false;
    bool ok = H5Aread(attribute, type, value) >= 0;
    H5Aclose(attribute);
    return ok;
}

bool ryz_h5_get_u64(hid_t object, const char *name, uint64_t *value)
{
    *value = 0;
    return get_number(object, name, H5T_NATIVE_UINT64, value);
}

bool ryz_h5_get_i64(hid_t object, const char *name, int64_t *value)
{
    *value = 0;
    return get_number(object, name, H5T_NATIVE_INT64, value);
}

/* ---- provenance ---- */

static bool write_scenario(hid_t group, const struct ryz_provenance *provenance)
{
    if (provenance->scenario == NULL || provenance->scenario_bytes == 0) return true;
    hid_t type = text_type((size_t)provenance->scenario_bytes), space = H5Screate(H5S_SCALAR);
    hid_t dataset = -1;
    if (type >= 0 && space >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0)
        dataset =
            H5Dcreate2(group, "scenario_ini", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = dataset >= 0 &&
              H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, provenance->scenario) >= 0;
    if (dataset >= 0) H5Dclose(dataset);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return ok;
}

enum ryz_status ryz_h5_provenance_write(hid_t group, const struct ryz_provenance *provenance,
                                        struct ryz_error *error)
{
    bool ok = ryz_h5_set_text(group, "title", provenance->title) &&
              ryz_h5_set_u64(group, "cores", provenance->cores) &&
              ryz_h5_set_u64(group, "ram_bytes", provenance->ram_bytes) &&
              ryz_h5_set_u64(group, "seed", provenance->seed);
#define X(name, bytes, help) ok = ok && ryz_h5_set_text(group, #name, provenance->name);
    RYZ_PROVENANCE_TEXTS(X)
#undef X
    if (ok && write_scenario(group, provenance)) return RYZ_OK;
    return ryz_h5_fail(error, RYZ_IO, "cannot write the provenance");
}

static enum ryz_status read_scenario(hid_t group, struct ryz_provenance *provenance,
                                     struct ryz_error *error)
{
    if (H5Lexists(group, "scenario_ini", H5P_DEFAULT) <= 0) return RYZ_OK;
    hid_t dataset = H5Dopen2(group, "scenario_ini", H5P_DEFAULT);
    if (dataset < 0) return ryz_h5_fail(error, RYZ_CORRUPT, "scenario_ini cannot be opened");
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    size_t bytes = type >= 0 ? H5Tget_size(type) : 0;
    bool ok = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
              H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && bytes > 0 &&
              bytes <= SCENARIO_BYTES_MAX;
    provenance->owned = ok ? calloc(1, bytes + 1) : NULL;
    ok = provenance->owned != NULL &&
         H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, provenance->owned) >= 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Dclose(dataset);
    if (!ok) {
        ryz_provenance_deinit(provenance);
        return ryz_h5_fail(error, RYZ_CORRUPT, "scenario_ini is damaged");
    }
    provenance->scenario = provenance->owned;
    provenance->scenario_bytes = bytes;
    return RYZ_OK;
}

enum ryz_status ryz_h5_provenance_read(hid_t group, struct ryz_provenance *provenance,
                                       struct ryz_error *error)
{
    uint64_t cores = 0;
    *provenance = (struct ryz_provenance){0};
    ryz_h5_get_text(group, "title", provenance->title, sizeof provenance->title);
    ryz_h5_get_u64(group, "cores", &cores);
    ryz_h5_get_u64(group, "ram_bytes", &provenance->ram_bytes);
    ryz_h5_get_u64(group, "seed", &provenance->seed);
    provenance->cores = (uint32_t)cores;
#define X(name, bytes, help)                                                                       \
    ryz_h5_get_text(group, #name, provenance->name, sizeof provenance->name);
    RYZ_PROVENANCE_TEXTS(X)
#undef X
    return read_scenario(group, provenance, error);
}

/* ---- run info ---- */

bool ryz_h5_info_write(hid_t group, const struct ryz_run_info *info)
{
    const char *phases[RYZ_PHASES_MAX];
    size_t count = info->phase_count < RYZ_PHASES_MAX ? info->phase_count : RYZ_PHASES_MAX;
    for (size_t i = 0; i < count; i++) phases[i] = info->phases[i];
    return ryz_h5_set_u64(group, "point", info->point) &&
           ryz_h5_set_u64(group, "repeat", info->repeat) &&
           ryz_h5_set_u64(group, "seed", info->seed) &&
           ryz_h5_set_i64(group, "t0_utc_ns", info->t0_utc_ns) &&
           ryz_h5_set_i64(group, "t0_mono_ns", info->t0_mono_ns) &&
           ryz_h5_set_text(group, "label", info->label) &&
           ryz_h5_set_text(group, "driver", info->driver) &&
           ryz_h5_set_text(group, "model", info->model) &&
           ryz_h5_set_texts(group, "phases", phases, count);
}

void ryz_h5_info_read(hid_t group, struct ryz_run_info *info)
{
    uint64_t number = 0;
    size_t count = 0;
    *info = (struct ryz_run_info){0};
    if (ryz_h5_get_u64(group, "point", &number)) info->point = (uint32_t)number;
    if (ryz_h5_get_u64(group, "repeat", &number)) info->repeat = (uint32_t)number;
    ryz_h5_get_u64(group, "seed", &info->seed);
    ryz_h5_get_i64(group, "t0_utc_ns", &info->t0_utc_ns);
    ryz_h5_get_i64(group, "t0_mono_ns", &info->t0_mono_ns);
    ryz_h5_get_text(group, "label", info->label, sizeof info->label);
    ryz_h5_get_text(group, "driver", info->driver, sizeof info->driver);
    ryz_h5_get_text(group, "model", info->model, sizeof info->model);
    ryz_h5_get_texts(group, "phases", info->phases[0], RYZ_PHASE_NAME_MAX, RYZ_PHASES_MAX, &count);
    info->phase_count = (uint32_t)count;
}
