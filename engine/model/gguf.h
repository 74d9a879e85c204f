/*
 * gguf.h - reads a GGUF version 3 file: metadata and tensors, checked and mapped.
 *
 * Leaves to others what the keys mean (model.c, tokenizer.c). The idea: everything is checked once
 * at open, in one pass over the header, and everything handed out afterwards is borrowed from the
 * mapping; a file that is refused is refused with the byte offset of what is wrong in it. A file
 * that another process truncates while it is mapped kills the reader (SIGBUS), as with any mapping.
 *
 *   | "GGUF" version | n_tensors n_entries | entries... | tensor infos... | pad | tensor data... |
 */
#ifndef RYZ_MODEL_GGUF_H
#define RYZ_MODEL_GGUF_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_GGUF_DIMS_MAX 4u

struct ryz_gguf; /* immutable after open: any number of threads may read */

/* Bytes in the file, NOT NUL-terminated. */
struct ryz_gguf_text {
    const char *data;
    size_t length;
};

enum ryz_gguf_kind {
    RYZ_GGUF_U8 = 0,
    RYZ_GGUF_I8 = 1,
    RYZ_GGUF_U16 = 2,
    RYZ_GGUF_I16 = 3,
    RYZ_GGUF_U32 = 4,
    RYZ_GGUF_I32 = 5,
    RYZ_GGUF_F32 = 6,
    RYZ_GGUF_BOOL = 7,
    RYZ_GGUF_STRING = 8,
    RYZ_GGUF_ARRAY = 9,
    RYZ_GGUF_U64 = 10,
    RYZ_GGUF_I64 = 11,
    RYZ_GGUF_F64 = 12
};

/* One metadata pair. */
struct ryz_gguf_entry {
    struct ryz_gguf_text key;
    enum ryz_gguf_kind kind;    /* never ARRAY: of the value, or of an array's elements */
    bool is_array;              /* arrays of arrays are refused at open */
    uint64_t count;             /* elements; 1 unless is_array */
    const unsigned char *value; /* first element as stored: little-endian, unaligned */
    uint64_t value_bytes;       /* of all elements */
    uint64_t offset;            /* of the value in the file, for messages */
};

struct ryz_gguf_tensor {
    struct ryz_gguf_text name;
    uint32_t type; /* ggml's number; ours are enum ryz_dtype's */
    uint32_t n_dims;
    uint64_t dims[RYZ_GGUF_DIMS_MAX]; /* fastest first; unused ones are 1 */
    uint64_t elements;                /* product of dims */
    const void *data;                 /* aligned as the file says, `bytes` long */
    uint64_t bytes;
    uint64_t offset; /* of the data in the file */
};

/* Maps and checks a file. RYZ_IO: it cannot be read; RYZ_CORRUPT: it is no sound GGUF; UNSUPPORTED:
 * another version, or a tensor type whose size is unknown. */
RYZ_MUST_USE enum ryz_status ryz_gguf_open(const char *path, struct ryz_gguf **out,
                                           struct ryz_error *error);
/* As above for bytes in memory, borrowed until close and aligned to 64 bytes. */
RYZ_MUST_USE enum ryz_status ryz_gguf_open_memory(const void *data, size_t size,
                                                  struct ryz_gguf **out, struct ryz_error *error);
/* NULL is allowed. */
void ryz_gguf_close(struct ryz_gguf *gguf);
/* Reads the whole file in, so that its pages are there when a request comes. */
void ryz_gguf_touch(const struct ryz_gguf *gguf);

uint64_t ryz_gguf_file_bytes(const struct ryz_gguf *gguf);
size_t ryz_gguf_entry_count(const struct ryz_gguf *gguf);
size_t ryz_gguf_tensor_count(const struct ryz_gguf *gguf);
/* The i-th in file order. */
const struct ryz_gguf_entry *ryz_gguf_entry(const struct ryz_gguf *gguf, size_t i);
const struct ryz_gguf_tensor *ryz_gguf_tensor(const struct ryz_gguf *gguf, size_t i);
/* By name; NULL if there is none. */
const struct ryz_gguf_entry *ryz_gguf_find(const struct ryz_gguf *gguf, const char *key);
const struct ryz_gguf_tensor *ryz_gguf_find_tensor(const struct ryz_gguf *gguf, const char *name);

/* Scalars by key, of any integer kind (or floating kind) that holds the value without loss. The
 * result is RYZ_NOT_FOUND if the key is absent (*value untouched, error filled), RYZ_CORRUPT if it
 * is of another kind or out of range. */
RYZ_MUST_USE enum ryz_status ryz_gguf_get_u32(const struct ryz_gguf *gguf, const char *key,
                                              uint32_t *value, struct ryz_error *error);
RYZ_MUST_USE enum ryz_status ryz_gguf_get_f32(const struct ryz_gguf *gguf, const char *key,
                                              float *value, struct ryz_error *error);
RYZ_MUST_USE enum ryz_status ryz_gguf_get_bool(const struct ryz_gguf *gguf, const char *key,
                                               bool *value, struct ryz_error *error);
RYZ_MUST_USE enum ryz_status ryz_gguf_get_text(const struct ryz_gguf *gguf, const char *key,
                                               struct ryz_gguf_text *value,
                                               struct ryz_error *error);

/* Walks the elements of an entry of kind STRING: start with *cursor = 0 and call `count` times. */
struct ryz_gguf_text ryz_gguf_next_text(const struct ryz_gguf_entry *entry, uint64_t *cursor);
/* Element i of an entry of an integer kind (or BOOL), as int64_t; a U64 above INT64_MAX wraps. */
int64_t ryz_gguf_integer(const struct ryz_gguf_entry *entry, uint64_t i);
/* Element i of an entry of a number kind. */
double ryz_gguf_number(const struct ryz_gguf_entry *entry, uint64_t i);

/* Writes an entry's value for a person, e.g. `[49152] "a" "b" ...`; always NUL-terminated, control
 * characters and broken UTF-8 escaped, cut to capacity (>= 1) between characters. */
void ryz_gguf_format(const struct ryz_gguf_entry *entry, char *text, size_t capacity);
/* "u32", "string", ...; "?" for a number that is no kind. */
const char *ryz_gguf_kind_name(enum ryz_gguf_kind kind);
/* ggml's name of a tensor type in lower case, also of those we cannot compute with ("q4_k"); NULL
 * if unknown. */
const char *ryz_gguf_type_name(uint32_t type);
bool ryz_gguf_text_equal(struct ryz_gguf_text text, const char *other);

#endif
