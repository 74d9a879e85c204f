/* sha256.c - see sha256.h; the hash is libsodium's. */
#include "harness/record/sha256.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES 65536

static void to_hex(const unsigned char digest[crypto_hash_sha256_BYTES], char hex[65])
{
    sodium_bin2hex(hex, 65, digest, crypto_hash_sha256_BYTES);
}

/* What one pass over a file finds out. */
struct scan {
    crypto_hash_sha256_state state;
    uint64_t bytes, lines;
    bool binary; /* a NUL byte was seen */
    char last;
};

static void scan_block(struct scan *scan, const unsigned char *block, size_t size)
{
    crypto_hash_sha256_update(&scan->state, block, size);
    for (size_t i = 0; i < size; i++) {
        scan->lines += block[i] == '\n';
        scan->binary |= block[i] == '\0';
    }
    scan->bytes += size;
    scan->last = (char)block[size - 1];
}

/* The first line, printable, cut to fit. */
static void take_first_line(const unsigned char *block, size_t size, char *line, size_t capacity)
{
    size_t n = 0;
    for (size_t i = 0; i < size && block[i] != '\n' && n + 1 < capacity; i++)
        if (block[i] >= 32 && block[i] != 127) line[n++] = (char)block[i];
    line[n] = '\0';
}

static enum ryz_status scan_file(const char *path, struct scan *scan, char *line, size_t capacity,
                                 struct ryz_error *error)
{
    static _Thread_local unsigned char block[BLOCK_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        int os_errno = errno;
        return ryz_fail_errno(error, os_errno == ENOENT ? RYZ_NOT_FOUND : RYZ_IO, os_errno,
                              "cannot open %s", path);
    }
    *scan = (struct scan){0};
    crypto_hash_sha256_init(&scan->state);
    for (;;) {
        size_t size = fread(block, 1, sizeof block, file);
        if (size == 0) break;
        if (scan->bytes == 0 && line != NULL) take_first_line(block, size, line, capacity);
        scan_block(scan, block, size);
    }
    enum ryz_status status = RYZ_OK;
    if (ferror(file)) status = ryz_fail_errno(error, RYZ_IO, errno, "cannot read %s", path);
    (void)fclose(file);
    return status;
}

enum ryz_status ryz_sha256_file(const char *path, char hex[65], struct ryz_error *error)
{
    struct scan scan;
    unsigned char digest[crypto_hash_sha256_BYTES];
    hex[0] = '\0';
    enum ryz_status status = scan_file(path, &scan, NULL, 0, error);
    if (status != RYZ_OK) return status;
    crypto_hash_sha256_final(&scan.state, digest);
    to_hex(digest, hex);
    return RYZ_OK;
}

enum ryz_status ryz_input_describe(const char *path, const char *role, struct ryz_input_row *row,
                                   struct ryz_error *error)
{
    struct scan scan;
    unsigned char digest[crypto_hash_sha256_BYTES];
    *row = (struct ryz_input_row){0};
    enum ryz_status status = scan_file(path, &scan, row->first_line, sizeof row->first_line, error);
    if (status != RYZ_OK) return status;
    crypto_hash_sha256_final(&scan.state, digest);
    to_hex(digest, row->sha256);
    snprintf(row->path, sizeof row->path, "%s", path);
    snprintf(row->role, sizeof row->role, "%s", role);
    row->bytes = scan.bytes;
    if (scan.binary)
        memset(row->first_line, 0, sizeof row->first_line);
    else
        row->rows = scan.lines + (scan.bytes > 0 && scan.last != '\n');
    return RYZ_OK;
}
