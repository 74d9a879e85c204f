/*
 * trace.c - W3C trace contexts as text, and ids that a run can repeat.
 *
 * Leaves to others: who makes a span and where it goes. The idea: an id is a hash of (seed,
 * number), so two runs of one scenario can be laid side by side trace by trace.
 */
#include "engine/obs/trace.h"

#include "engine/base/rng.h"

#include <string.h>

#define TRACEPARENT_LENGTH 55u

/* Streams of the id generator, so that a trace and a span of the same number differ. */
#define STREAM_TRACE UINT64_C(0x7472616365)
#define STREAM_SPAN  UINT64_C(0x7370616e)

static const char *const names[RYZ_SPAN_COUNT] = {
#define X(name, text, help) text,
    RYZ_SPAN_TABLE(X)
#undef X
};

const char *ryz_span_name(enum ryz_span_name name)
{
    return (unsigned)name < RYZ_SPAN_COUNT ? names[name] : "unknown";
}

/* Value of a lower-case hex digit, -1 for anything else: the W3C text forbids upper case. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* Reads 2 * count hex digits; false at the first character that is none (a NUL too). */
static bool read_hex(const char *text, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void write_hex(const uint8_t *bytes, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static void store_u64(uint64_t value, uint8_t bytes[8])
{
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (56 - 8 * i));
}

static bool is_zero(const uint8_t trace_id[16])
{
    static const uint8_t zero[16];
    return memcmp(trace_id, zero, sizeof zero) == 0;
}

/* Version 00 is exactly 55 characters; a later one may go on after another dash, and what we know
 * of it still holds (W3C Trace Context, "versioning"). ff is forbidden. */
static bool parse(const char *text, struct ryz_trace_context *out)
{
    uint8_t version = 0, span[8], flags = 0;
    if (strnlen(text, TRACEPARENT_LENGTH) < TRACEPARENT_LENGTH) return false;
    if (!read_hex(text, &version, 1) || version == 0xff || text[2] != '-') return false;
    if (!read_hex(text + 3, out->trace_id, 16) || text[35] != '-') return false;
    if (!read_hex(text + 36, span, 8) || text[52] != '-') return false;
    if (!read_hex(text + 53, &flags, 1)) return false;
    char next = text[TRACEPARENT_LENGTH];
    if (next != '\0' && (version == 0 || next != '-')) return false;
    for (int i = 0; i < 8; i++) out->span_id = out->span_id << 8 | span[i];
    out->sampled = (flags & 1) != 0;
    return out->span_id != 0 && !is_zero(out->trace_id);
}

bool ryz_traceparent_parse(const char *text, struct ryz_trace_context *out)
{
    *out = (struct ryz_trace_context){0};
    if (text != NULL && parse(text, out)) return true;
    *out = (struct ryz_trace_context){0};
    return false;
}

void ryz_traceparent_format(const struct ryz_trace_context *context, char text[56])
{
    uint8_t span[8];
    store_u64(context->span_id, span);
    text[0] = text[1] = '0';
    text[2] = '-';
    write_hex(context->trace_id, 16, text + 3);
    text[35] = '-';
    write_hex(span, 8, text + 36);
    text[52] = '-';
    text[53] = '0';
    text[54] = context->sampled ? '1' : '0';
    text[55] = '\0';
}

void ryz_trace_id_format(const uint8_t trace_id[16], char text[33])
{
    write_hex(trace_id, 16, text);
    text[32] = '\0';
}

void ryz_span_id_format(uint64_t span_id, char text[17])
{
    uint8_t bytes[8];
    store_u64(span_id, bytes);
    write_hex(bytes, 8, text);
    text[16] = '\0';
}

void ryz_trace_id_make(uint64_t seed, uint64_t number, uint8_t trace_id[16])
{
    uint64_t high = ryz_rng_at(seed, STREAM_TRACE, 2 * number);
    uint64_t low = ryz_rng_at(seed, STREAM_TRACE, 2 * number + 1);
    store_u64(high, trace_id);
    store_u64(low | (uint64_t)(high == 0 && low == 0), trace_id + 8);
}

uint64_t ryz_span_id_make(uint64_t seed, uint64_t number)
{
    uint64_t id = ryz_rng_at(seed, STREAM_SPAN, number);
    return id != 0 ? id : 1;
}
