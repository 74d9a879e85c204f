/*
 * gguf.c - the pass over a GGUF header that checks it and indexes it.
 *
 * Leaves to others: values and their meaning (gguf_value.c, model.c). The idea: a cursor that never
 * moves past the end of the file. Every count is compared with what could still fit in the rest of
 * the file before anything is allocated for it, so memory use is bounded by the file's size.
 */
#include "engine/model/gguf.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/base/utf8.h"
#include "engine/model/gguf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF is read in the host's byte order");

#define VERSION           3u
#define HEADER_BYTES      24u
#define ENTRY_BYTES_MIN   13u /* key length, one byte of key, kind: what any entry takes */
#define TENSOR_BYTES_MIN  33u /* name length, one byte, dims, one dim, type, offset */
#define KEY_BYTES_MAX     65535u
#define NAME_BYTES_MAX    64u
#define ALIGNMENT_DEFAULT 32u
#define ALIGNMENT_MIN     8u /* the format wants a multiple of 8; F32 rows need 4 */
#define ALIGNMENT_MAX     (1u << 20)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; absent from older headers */
#endif

struct ryz_gguf {
    const unsigned char *base;
    uint64_t size;
    void *mapping;     /* NULL when the bytes are borrowed */
    uint64_t position; /* of the cursor, while opening */
    uint64_t alignment;
    size_t entry_count, tensor_count;
    struct ryz_gguf_entry *entries; /* (entry_count) file order */
    struct ryz_gguf_tensor *tensors;
    uint32_t *entries_by_key; /* (entry_count) indices in order of the key */
    uint32_t *tensors_by_name;
};

/* ---- cursor ---- */

static enum ryz_status truncated(const struct ryz_gguf *gguf, const char *what,
                                 struct ryz_error *error)
{
    return ryz_fail_at(error, RYZ_CORRUPT, gguf->position, "the file ends inside %s", what);
}

static enum ryz_status read_bytes(struct ryz_gguf *gguf, void *value, size_t bytes,
                                  const char *what, struct ryz_error *error)
{
    if (gguf->size - gguf->position < bytes) return truncated(gguf, what, error);
    memcpy(value, gguf->base + gguf->position, bytes);
    gguf->position += bytes;
    return RYZ_OK;
}

static enum ryz_status read_text(struct ryz_gguf *gguf, struct ryz_gguf_text *text,
                                 const char *what, struct ryz_error *error)
{
    uint64_t length = 0;
    enum ryz_status status = read_bytes(gguf, &length, sizeof length, what, error);
    if (status != RYZ_OK) return status;
    if (gguf->size - gguf->position < length) {
        return ryz_fail_at(error, RYZ_CORRUPT, gguf->position - sizeof length,
                           "%s of %" PRIu64 " bytes is longer than the rest of the file", what,
                           length);
    }
    text->data = (const char *)gguf->base + gguf->position;
    text->length = length;
    gguf->position += length;
    return RYZ_OK;
}

/* A key or a tensor's name: not empty, bounded, fit to be shown (they go into logs). */
static enum ryz_status read_name(struct ryz_gguf *gguf, struct ryz_gguf_text *name,
                                 size_t length_max, const char *what, struct ryz_error *error)
{
    uint64_t start = gguf->position;
    enum ryz_status status = read_text(gguf, name, what, error);
    if (status != RYZ_OK) return status;
    if (name->length == 0 || name->length > length_max) {
        return ryz_fail_at(error, RYZ_CORRUPT, start, "%s of %zu bytes; 1 to %zu are allowed", what,
                           name->length, length_max);
    }
    size_t bad = ryz_utf8_valid_bytes(name->data, name->length);
    for (size_t i = 0; i < bad; i++) {
        unsigned char byte = (unsigned char)name->data[i];
        if (byte < 0x20 || byte == 0x7f) bad = i;
    }
    if (bad == name->length) return RYZ_OK;
    return ryz_fail_at(error, RYZ_CORRUPT, start + sizeof(uint64_t) + bad,
                       "%s holds the byte 0x%02x, a control character or broken UTF-8", what,
                       (unsigned char)name->data[bad]);
}

/* ---- metadata ---- */

/* Moves over `count` elements and checks what can be checked in them. */
static enum ryz_status skip_elements(struct ryz_gguf *gguf, enum ryz_gguf_kind kind, uint64_t count,
                                     struct ryz_error *error)
{
    if (kind == RYZ_GGUF_STRING) {
        struct ryz_gguf_text text;
        for (uint64_t i = 0; i < count; i++) {
            enum ryz_status status = read_text(gguf, &text, "a string", error);
            if (status != RYZ_OK) return status;
        }
        return RYZ_OK;
    }
    size_t each = ryz_gguf_kind_bytes(kind);
    if (count > (gguf->size - gguf->position) / each) return truncated(gguf, "an array", error);
    for (uint64_t i = 0; kind == RYZ_GGUF_BOOL && i < count; i++) {
        if (gguf->base[gguf->position + i] <= 1) continue;
        return ryz_fail_at(error, RYZ_CORRUPT, gguf->position + i, "%u is no boolean",
                           gguf->base[gguf->position + i]);
    }
    gguf->position += count * each;
    return RYZ_OK;
}

static enum ryz_status read_kind(struct ryz_gguf *gguf, enum ryz_gguf_kind *kind,
                                 struct ryz_error *error)
{
    uint32_t number = 0;
    enum ryz_status status = read_bytes(gguf, &number, sizeof number, "a value's type", error);
    if (status != RYZ_OK) return status;
    if (number > RYZ_GGUF_F64) {
        return ryz_fail_at(error, RYZ_CORRUPT, gguf->position - sizeof number,
                           "%" PRIu32 " is no type of value", number);
    }
    *kind = (enum ryz_gguf_kind)number;
    return RYZ_OK;
}

/* The part of an array before its elements. */
static enum ryz_status read_array_head(struct ryz_gguf *gguf, struct ryz_gguf_entry *entry,
                                       struct ryz_error *error)
{
    uint64_t start = gguf->position;
    enum ryz_status status = read_kind(gguf, &entry->kind, error);
    if (status != RYZ_OK) return status;
    if (entry->kind == RYZ_GGUF_ARRAY) {
        return ryz_fail_at(error, RYZ_UNSUPPORTED, start, "an array of arrays");
    }
    entry->is_array = true;
    return read_bytes(gguf, &entry->count, sizeof entry->count, "an array's length", error);
}

static enum ryz_status read_entry(struct ryz_gguf *gguf, struct ryz_gguf_entry *entry,
                                  struct ryz_error *error)
{
    enum ryz_status status = read_name(gguf, &entry->key, KEY_BYTES_MAX, "a key", error);
    if (status != RYZ_OK) return status;
    status = read_kind(gguf, &entry->kind, error);
    if (status != RYZ_OK) return status;
    entry->count = 1;
    if (entry->kind == RYZ_GGUF_ARRAY) {
        status = read_array_head(gguf, entry, error);
        if (status != RYZ_OK) return status;
    }
    entry->offset = gguf->position;
    entry->value = gguf->base + gguf->position;
    status = skip_elements(gguf, entry->kind, entry->count, error);
    entry->value_bytes = gguf->position - entry->offset;
    return status;
}

/* ---- tensors ---- */

/* elements and bytes from dims and type. */
static enum ryz_status size_tensor(struct ryz_gguf_tensor *tensor, uint64_t info_offset,
                                   struct ryz_error *error)
{
    int shown = (int)tensor->name.length;
    size_t elements = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] > 0 && ryz_mul_size(elements, tensor->dims[i], &elements)) continue;
        return ryz_fail_at(error, RYZ_CORRUPT, info_offset,
                           "tensor \"%.*s\" has a dimension of %" PRIu64, shown, tensor->name.data,
                           tensor->dims[i]);
    }
    const struct ryz_gguf_type *type = ryz_gguf_type(tensor->type);
    if (!type) {
        return ryz_fail_at(error, RYZ_UNSUPPORTED, info_offset,
                           "tensor \"%.*s\" has the unknown type %" PRIu32, shown,
                           tensor->name.data, tensor->type);
    }
    size_t bytes;
    if (tensor->dims[0] % type->block_elements != 0 ||
        !ryz_mul_size(elements / type->block_elements, type->block_bytes, &bytes)) {
        return ryz_fail_at(error, RYZ_CORRUPT, info_offset,
                           "tensor \"%.*s\": rows of %" PRIu64 " cannot be stored as %s", shown,
                           tensor->name.data, tensor->dims[0], type->name);
    }
    tensor->elements = elements;
    tensor->bytes = bytes;
    return RYZ_OK;
}

/* Reads one tensor info; `offset` stays relative to the data section for now. */
static enum ryz_status read_tensor(struct ryz_gguf *gguf, struct ryz_gguf_tensor *tensor,
                                   struct ryz_error *error)
{
    static const char what[] = "a tensor's description";
    uint64_t start = gguf->position;
    enum ryz_status status =
        read_name(gguf, &tensor->name, NAME_BYTES_MAX, "a tensor's name", error);
    if (status != RYZ_OK) return status;
    status = read_bytes(gguf, &tensor->n_dims, sizeof tensor->n_dims, what, error);
    if (status != RYZ_OK) return status;
    if (tensor->n_dims < 1 || tensor->n_dims > RYZ_GGUF_DIMS_MAX) {
        return ryz_fail_at(error, RYZ_CORRUPT, start,
                           "tensor \"%.*s\" has %" PRIu32 " dimensions; 1 to %u are allowed",
                           (int)tensor->name.length, tensor->name.data, tensor->n_dims,
                           RYZ_GGUF_DIMS_MAX);
    }
    for (uint32_t i = 0; i < RYZ_GGUF_DIMS_MAX; i++) tensor->dims[i] = 1;
    status = read_bytes(gguf, tensor->dims, tensor->n_dims * sizeof tensor->dims[0], what, error);
    if (status != RYZ_OK) return status;
    status = read_bytes(gguf, &tensor->type, sizeof tensor->type, what, error);
    if (status != RYZ_OK) return status;
    status = read_bytes(gguf, &tensor->offset, sizeof tensor->offset, what, error);
    if (status != RYZ_OK) return status;
    return size_tensor(tensor, start, error);
}

/* Turns a relative offset into data, once the start of the data section is known. */
static enum ryz_status place_tensor(const struct ryz_gguf *gguf, struct ryz_gguf_tensor *tensor,
                                    uint64_t data_start, struct ryz_error *error)
{
    int shown = (int)tensor->name.length;
    uint64_t rest = gguf->size - data_start;
    if (tensor->offset % gguf->alignment != 0) {
        return ryz_fail_at(error, RYZ_CORRUPT, data_start,
                           "tensor \"%.*s\" starts at %" PRIu64 ", no multiple of %" PRIu64, shown,
                           tensor->name.data, tensor->offset, gguf->alignment);
    }
    if (tensor->offset > rest || tensor->bytes > rest - tensor->offset) {
        return ryz_fail_at(error, RYZ_CORRUPT, gguf->size,
                           "the file ends before tensor \"%.*s\" (%" PRIu64 " bytes at %" PRIu64
                           ") does; it is truncated or damaged",
                           shown, tensor->name.data, tensor->bytes, tensor->offset);
    }
    tensor->offset += data_start;
    tensor->data = gguf->base + tensor->offset;
    return RYZ_OK;
}

/* ---- indices ---- */

static int compare_text(struct ryz_gguf_text a, struct ryz_gguf_text b)
{
    int order = memcmp(a.data, b.data, a.length < b.length ? a.length : b.length);
    if (order != 0) return order;
    return (a.length > b.length) - (a.length < b.length);
}

static int compare_entries(const void *a, const void *b, void *context)
{
    const struct ryz_gguf *gguf = context;
    return compare_text(gguf->entries[*(const uint32_t *)a].key,
                        gguf->entries[*(const uint32_t *)b].key);
}

static int compare_tensors(const void *a, const void *b, void *context)
{
    const struct ryz_gguf *gguf = context;
    return compare_text(gguf->tensors[*(const uint32_t *)a].name,
                        gguf->tensors[*(const uint32_t *)b].name);
}

static int compare_offsets(const void *a, const void *b, void *context)
{
    const struct ryz_gguf *gguf = context;
    uint64_t x = gguf->tensors[*(const uint32_t *)a].offset;
    uint64_t y = gguf->tensors[*(const uint32_t *)b].offset;
    return (x > y) - (x < y);
}

static enum ryz_status index_entries(struct ryz_gguf *gguf, struct ryz_error *error)
{
    for (size_t i = 0; i < gguf->entry_count; i++) gguf->entries_by_key[i] = (uint32_t)i;
    qsort_r(gguf->entries_by_key, gguf->entry_count, sizeof gguf->entries_by_key[0],
            compare_entries, gguf);
    for (size_t i = 1; i < gguf->entry_count; i++) {
        const struct ryz_gguf_entry *a = &gguf->entries[gguf->entries_by_key[i - 1]];
        const struct ryz_gguf_entry *b = &gguf->entries[gguf->entries_by_key[i]];
        if (compare_text(a->key, b->key) != 0) continue;
        return ryz_fail_at(error, RYZ_CORRUPT, a->offset > b->offset ? a->offset : b->offset,
                           "the key \"%.*s\" comes twice",
                           (int)(a->key.length < 100 ? a->key.length : 100), a->key.data);
    }
    return RYZ_OK;
}

/* No two tensors may share bytes: a damaged offset would otherwise go unnoticed. */
static enum ryz_status check_overlap(struct ryz_gguf *gguf, uint32_t *order,
                                     struct ryz_error *error)
{
    qsort_r(order, gguf->tensor_count, sizeof order[0], compare_offsets, gguf);
    for (size_t i = 1; i < gguf->tensor_count; i++) {
        const struct ryz_gguf_tensor *a = &gguf->tensors[order[i - 1]];
        const struct ryz_gguf_tensor *b = &gguf->tensors[order[i]];
        if (a->bytes <= b->offset - a->offset) continue;
        return ryz_fail_at(error, RYZ_CORRUPT, b->offset, "tensors \"%.*s\" and \"%.*s\" overlap",
                           (int)a->name.length, a->name.data, (int)b->name.length, b->name.data);
    }
    return RYZ_OK;
}

static enum ryz_status index_tensors(struct ryz_gguf *gguf, struct ryz_error *error)
{
    uint32_t *order = gguf->tensors_by_name;
    for (size_t i = 0; i < gguf->tensor_count; i++) order[i] = (uint32_t)i;
    enum ryz_status status = check_overlap(gguf, order, error);
    if (status != RYZ_OK) return status;
    qsort_r(order, gguf->tensor_count, sizeof order[0], compare_tensors, gguf);
    for (size_t i = 1; i < gguf->tensor_count; i++) {
        const struct ryz_gguf_tensor *a = &gguf->tensors[order[i - 1]];
        const struct ryz_gguf_tensor *b = &gguf->tensors[order[i]];
        if (compare_text(a->name, b->name) != 0) continue;
        return ryz_fail_at(error, RYZ_CORRUPT, a->offset > b->offset ? a->offset : b->offset,
                           "the tensor \"%.*s\" comes twice", (int)a->name.length, a->name.data);
    }
    return RYZ_OK;
}

/* ---- open ---- */

/* *array = calloc(count, bytes), never NULL for a count of 0. */
static bool allocate(void **array, size_t count, size_t bytes)
{
    *array = calloc(count ? count : 1, bytes);
    return *array != NULL;
}

static enum ryz_status allocate_indices(struct ryz_gguf *gguf, struct ryz_error *error)
{
    void *entries, *tensors = NULL, *by_key = NULL, *by_name = NULL;
    bool done = allocate(&entries, gguf->entry_count, sizeof gguf->entries[0]) &&
                allocate(&tensors, gguf->tensor_count, sizeof gguf->tensors[0]) &&
                allocate(&by_key, gguf->entry_count, sizeof gguf->entries_by_key[0]) &&
                allocate(&by_name, gguf->tensor_count, sizeof gguf->tensors_by_name[0]);
    gguf->entries = entries;
    gguf->tensors = tensors;
    gguf->entries_by_key = by_key;
    gguf->tensors_by_name = by_name;
    if (done) return RYZ_OK;
    (void)ryz_fail(error, RYZ_NO_MEMORY, "no memory for %zu keys and %zu tensors",
                   gguf->entry_count, gguf->tensor_count);
    return RYZ_NO_MEMORY; /* spelled out for the analyzer, which cannot see into ryz_fail */
}

static enum ryz_status check_count(uint64_t count, uint64_t each_bytes, uint64_t rest_bytes,
                                   uint64_t offset, struct ryz_error *error)
{
    if (count <= rest_bytes / each_bytes && count <= UINT32_MAX) return RYZ_OK;
    return ryz_fail_at(error, RYZ_CORRUPT, offset,
                       "a count of %" PRIu64 " that the rest of the file (%" PRIu64
                       " bytes) cannot hold",
                       count, rest_bytes);
}

static enum ryz_status read_header(struct ryz_gguf *gguf, struct ryz_error *error)
{
    if (gguf->size < 4 || memcmp(gguf->base, "GGUF", 4) != 0) {
        return ryz_fail_at(error, RYZ_CORRUPT, 0, "no GGUF file: it does not start with \"GGUF\"");
    }
    if (gguf->size < HEADER_BYTES) {
        return ryz_fail_at(error, RYZ_CORRUPT, gguf->size, "the file ends inside its header");
    }
    uint32_t version;
    uint64_t counts[2];
    memcpy(&version, gguf->base + 4, sizeof version);
    memcpy(counts, gguf->base + 8, sizeof counts);
    if (version != VERSION) {
        bool swapped = __builtin_bswap32(version) <= VERSION;
        return ryz_fail_at(error, RYZ_UNSUPPORTED, 4, "GGUF version %" PRIu32 "%s; only %u is read",
                           swapped ? __builtin_bswap32(version) : version,
                           swapped ? " in big-endian order" : "", VERSION);
    }
    gguf->position = HEADER_BYTES;
    uint64_t rest = gguf->size - HEADER_BYTES;
    enum ryz_status status = check_count(counts[0], TENSOR_BYTES_MIN, rest, 8, error);
    if (status == RYZ_OK) status = check_count(counts[1], ENTRY_BYTES_MIN, rest, 16, error);
    gguf->tensor_count = counts[0];
    gguf->entry_count = counts[1];
    return status;
}

static enum ryz_status read_alignment(struct ryz_gguf *gguf, struct ryz_error *error)
{
    static const char key[] = "general.alignment";
    uint32_t alignment = ALIGNMENT_DEFAULT;
    const struct ryz_gguf_entry *entry = ryz_gguf_find(gguf, key);
    if (entry) {
        enum ryz_status status = ryz_gguf_get_u32(gguf, key, &alignment, error);
        if (status != RYZ_OK) return status;
    }
    bool power = (alignment & (alignment - 1)) == 0;
    if (!power || alignment < ALIGNMENT_MIN || alignment > ALIGNMENT_MAX) {
        return ryz_fail_at(error, RYZ_CORRUPT, entry ? entry->offset : 0,
                           "an alignment of %" PRIu32 "; powers of two from %u to %u are read",
                           alignment, ALIGNMENT_MIN, ALIGNMENT_MAX);
    }
    gguf->alignment = alignment;
    return RYZ_OK;
}

static enum ryz_status read_tensors(struct ryz_gguf *gguf, struct ryz_error *error)
{
    enum ryz_status status = RYZ_OK;
    for (size_t i = 0; status == RYZ_OK && i < gguf->tensor_count; i++) {
        status = read_tensor(gguf, &gguf->tensors[i], error);
    }
    if (status != RYZ_OK || gguf->tensor_count == 0) return status;
    uint64_t padding = (0 - gguf->position) & (gguf->alignment - 1);
    if (gguf->size - gguf->position < padding) return truncated(gguf, "padding", error);
    uint64_t data_start = gguf->position + padding;
    for (size_t i = 0; status == RYZ_OK && i < gguf->tensor_count; i++) {
        status = place_tensor(gguf, &gguf->tensors[i], data_start, error);
    }
    return status;
}

static enum ryz_status read_all(struct ryz_gguf *gguf, struct ryz_error *error)
{
    enum ryz_status status = read_header(gguf, error);
    if (status != RYZ_OK) return status;
    status = allocate_indices(gguf, error);
    for (size_t i = 0; status == RYZ_OK && i < gguf->entry_count; i++) {
        status = read_entry(gguf, &gguf->entries[i], error);
    }
    if (status == RYZ_OK) status = index_entries(gguf, error);
    if (status == RYZ_OK) status = read_alignment(gguf, error);
    if (status == RYZ_OK) status = read_tensors(gguf, error);
    if (status == RYZ_OK) status = index_tensors(gguf, error);
    return status;
}

enum ryz_status ryz_gguf_open_memory(const void *data, size_t size, struct ryz_gguf **out,
                                     struct ryz_error *error)
{
    struct ryz_gguf *gguf = calloc(1, sizeof *gguf);
    if (!gguf) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a GGUF reader");
    gguf->base = data;
    gguf->size = size;
    enum ryz_status status = read_all(gguf, error);
    if (status != RYZ_OK) {
        ryz_gguf_close(gguf);
        return status;
    }
    *out = gguf;
    return RYZ_OK;
}

/* Maps a regular file, read only; closes the descriptor in any case. */
static enum ryz_status map_file(const char *path, void **mapping, size_t *size,
                                struct ryz_error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        enum ryz_status kind = errno == ENOENT ? RYZ_NOT_FOUND : RYZ_IO;
        return ryz_fail_errno(error, kind, errno, "cannot open the model %.160s", path);
    }
    enum ryz_status status = RYZ_OK;
    struct stat info;
    if (fstat(file, &info) != 0) {
        status = ryz_fail_errno(error, RYZ_IO, errno, "cannot look at %.160s", path);
    } else if (!S_ISREG(info.st_mode) || info.st_size == 0) {
        status = ryz_fail(error, RYZ_INVALID, "%.160s is no file, or an empty one", path);
    } else {
        *size = (size_t)info.st_size;
        *mapping = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
        if (*mapping == MAP_FAILED) {
            status = ryz_fail_errno(error, RYZ_IO, errno, "cannot map %.160s", path);
        }
    }
    (void)close(file);
    return status;
}

enum ryz_status ryz_gguf_open(const char *path, struct ryz_gguf **out, struct ryz_error *error)
{
    void *mapping = NULL;
    size_t size = 0;
    enum ryz_status status = map_file(path, &mapping, &size, error);
    if (status != RYZ_OK) return status;
    status = ryz_gguf_open_memory(mapping, size, out, error);
    if (status != RYZ_OK) {
        (void)munmap(mapping, size);
        ryz_error_about(error, path);
        return status;
    }
    (*out)->mapping = mapping;
    return RYZ_OK;
}

void ryz_gguf_touch(const struct ryz_gguf *gguf)
{
    /* EINVAL: a kernel before 5.14, where the pages come when they are used. */
    if (gguf->mapping) (void)madvise(gguf->mapping, gguf->size, MADV_POPULATE_READ);
}

void ryz_gguf_close(struct ryz_gguf *gguf)
{
    if (!gguf) return;
    if (gguf->mapping) (void)munmap(gguf->mapping, gguf->size);
    free(gguf->entries);
    free(gguf->tensors);
    free(gguf->entries_by_key);
    free(gguf->tensors_by_name);
    free(gguf);
}

uint64_t ryz_gguf_file_bytes(const struct ryz_gguf *gguf)
{
    return gguf->size;
}

size_t ryz_gguf_entry_count(const struct ryz_gguf *gguf)
{
    return gguf->entry_count;
}

size_t ryz_gguf_tensor_count(const struct ryz_gguf *gguf)
{
    return gguf->tensor_count;
}

const struct ryz_gguf_entry *ryz_gguf_entry(const struct ryz_gguf *gguf, size_t i)
{
    RYZ_ASSERT(i < gguf->entry_count);
    return &gguf->entries[i];
}

const struct ryz_gguf_tensor *ryz_gguf_tensor(const struct ryz_gguf *gguf, size_t i)
{
    RYZ_ASSERT(i < gguf->tensor_count);
    return &gguf->tensors[i];
}

const struct ryz_gguf_entry *ryz_gguf_find(const struct ryz_gguf *gguf, const char *key)
{
    struct ryz_gguf_text wanted = {key, strlen(key)};
    size_t low = 0, high = gguf->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ryz_gguf_entry *entry = &gguf->entries[gguf->entries_by_key[middle]];
        int order = compare_text(entry->key, wanted);
        if (order == 0) return entry;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct ryz_gguf_tensor *ryz_gguf_find_tensor(const struct ryz_gguf *gguf, const char *name)
{
    struct ryz_gguf_text wanted = {name, strlen(name)};
    size_t low = 0, high = gguf->tensor_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ryz_gguf_tensor *tensor = &gguf->tensors[gguf->tensors_by_name[middle]];
        int order = compare_text(tensor->name, wanted);
        if (order == 0) return tensor;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
