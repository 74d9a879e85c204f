/*
 * ini.c - a strict reader in front of inih's ini_parse_stream.
 *
 * Leaves to others: the meaning of sections and keys, and splitting a good line (inih's). The idea:
 * inih asks for one line after the other; ours hands on only lines that inih understands the way a
 * person does, and an empty line in place of each other one. inih calls back before it asks for
 * the next line, so our count is the number of the line it talks about.
 */
#include "engine/base/ini.h"

#include "engine/base/assert.h"
#include "engine/base/file.h"
#include "engine/base/utf8.h"

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stream {
    const char *text;
    size_t size, at;
    const char *name;
    uint32_t line; /* of the line handed out last */
    uint32_t mistakes;
    bool in_section;    /* a good header was seen and no broken one since */
    bool broken_header; /* the last header was broken: its keys are skipped */
    const struct ryz_ini_sink *sink;
    struct ryz_error *error; /* takes the first mistake */
    char section[RYZ_INI_NAME_MAX + 1];
};

/* One line under inspection, without its newline. */
struct line {
    const char *text;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t skip_blanks(struct line line, size_t at)
{
    while (at < line.length && is_blank(line.text[at])) at++;
    return at;
}

static void report(struct stream *stream, const char *why)
{
    if (stream->mistakes == 0)
        (void)ryz_fail(stream->error, RYZ_INVALID, "%s:%u: %s", stream->name, stream->line, why);
    stream->mistakes++;
    if (stream->sink->mistake != NULL)
        stream->sink->mistake(stream->sink->context, stream->line, why);
}

/* What is wrong with the bytes of a line; NULL if nothing is. */
static const char *check_bytes(struct line line)
{
    if (line.length > RYZ_INI_LINE_MAX)
        return "the line is longer than 190 bytes: shorten it, or move a comment to its own line";
    if (memchr(line.text, '\0', line.length) != NULL)
        return "the line has a NUL byte: this is no text file, or not UTF-8";
    for (size_t i = 0; i < line.length; i++) {
        unsigned char c = (unsigned char)line.text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return "the line has a control character";
    }
    if (ryz_utf8_valid_bytes(line.text, line.length) != line.length)
        return "the line is not UTF-8: save the file with that encoding";
    return NULL;
}

/* A header "[name]", with nothing but a comment after it. NULL: good, and its name was kept. */
static const char *check_header(struct stream *stream, struct line line)
{
    const char *close = memchr(line.text, ']', line.length);
    if (close == NULL) return "the section's name has no closing \"]\"";
    size_t length = (size_t)(close - line.text) - 1;
    if (length == 0) return "the section has no name";
    if (length > RYZ_INI_NAME_MAX) return "the section's name is longer than 48 bytes";
    for (size_t i = 1; i <= length; i++) {
        if (is_blank(line.text[i]) || strchr("[;#=:", line.text[i]) != NULL)
            return "the section's name has a blank or one of [ ; # = : in it";
    }
    size_t rest = skip_blanks(line, length + 2);
    if (rest < line.length && line.text[rest] != ';')
        return "there is something after the section's \"]\"";
    memcpy(stream->section, line.text + 1, length);
    stream->section[length] = '\0';
    return NULL;
}

/* The value's part of a line, from behind the `=`. */
static const char *check_value(struct line line, size_t at)
{
    if (at < line.length && line.text[at] == ';')
        return "a comment after \"=\" needs a blank before its \";\"";
    for (; at < line.length; at++) {
        if (!is_blank(line.text[at]) || at + 1 == line.length) continue;
        if (line.text[at + 1] == ';') break; /* inih cuts the comment here */
        if (line.text[at + 1] == '#') return "a comment behind a value starts with \";\"";
    }
    return NULL;
}

static const char *check_key(struct line line)
{
    size_t separator = 0;
    while (separator < line.length && strchr("=:;", line.text[separator]) == NULL) separator++;
    if (separator == line.length) return "neither \"[section]\" nor \"key = value\"";
    if (line.text[separator] == ':')
        return "a key is followed by \"=\" and holds no \":\" (paths are written with dots)";
    if (line.text[separator] == ';') return "there is no \"=\" before the comment";
    size_t length = separator;
    while (length > 0 && is_blank(line.text[length - 1])) length--;
    if (length == 0) return "there is no key before \"=\"";
    if (length > RYZ_INI_NAME_MAX) return "the key is longer than 48 bytes";
    if (memchr(line.text, ' ', length) != NULL || memchr(line.text, '\t', length) != NULL)
        return "the key has a blank in it";
    return check_value(line, separator + 1);
}

/* Decides whether inih gets to see the line. */
static bool admit(struct stream *stream, struct line line)
{
    size_t first = skip_blanks(line, 0);
    const char *why = check_bytes(line);
    if (why == NULL && (first == line.length || strchr(";#", line.text[first]) != NULL))
        return false; /* empty, or a comment */
    bool header = why == NULL && line.text[first] == '[';
    if (why == NULL && first > 0)
        why = "the line is indented: every key starts in the first column and fits one line";
    if (why == NULL) why = header ? check_header(stream, line) : check_key(line);
    if (why == NULL && !header && !stream->in_section && !stream->broken_header)
        why = "this key comes before the first [section]";
    if (header) {
        stream->in_section = why == NULL;
        stream->broken_header = why != NULL;
    }
    if (why != NULL) {
        report(stream, why);
        return false;
    }
    if (header) {
        struct ryz_ini_item item = {.section = stream->section, .line = stream->line};
        stream->sink->item(stream->sink->context, &item);
    }
    return header || stream->in_section;
}

/* inih's reader: the next line, NUL-terminated; NULL at the end. */
static char *next_line(char *buffer, int capacity, void *user)
{
    struct stream *stream = user;
    RYZ_ASSERT(capacity > (int)RYZ_INI_LINE_MAX + 1);
    if (stream->at == stream->size) return NULL;
    const char *start = stream->text + stream->at;
    const char *newline = memchr(start, '\n', stream->size - stream->at);
    struct line line = {start,
                        newline != NULL ? (size_t)(newline - start) : stream->size - stream->at};
    stream->at += line.length + (newline != NULL);
    stream->line++;
    if (stream->line == 1 && line.length >= 3 && memcmp(line.text, "\xef\xbb\xbf", 3) == 0) {
        line.text += 3; /* a byte order mark */
        line.length -= 3;
    }
    if (line.length > 0 && line.text[line.length - 1] == '\r') line.length--;
    bool good = admit(stream, line);
    size_t kept = good ? line.length : 0;
    memcpy(buffer, line.text, kept);
    buffer[kept] = '\n';
    buffer[kept + 1] = '\0';
    return buffer;
}

/* inih's handler: one key. */
static int take_key(void *user, const char *section, const char *key, const char *value)
{
    struct stream *stream = user;
    RYZ_ASSERT(strcmp(section, stream->section) == 0);
    struct ryz_ini_item item = {section, key, value, stream->line};
    stream->sink->item(stream->sink->context, &item);
    return 1;
}

enum ryz_status ryz_ini_parse(const char *text, size_t size, const char *name,
                              const struct ryz_ini_sink *sink, struct ryz_error *error)
{
    RYZ_ASSERT(sink->item != NULL);
    if (size > RYZ_INI_FILE_MAX) return ryz_fail(error, RYZ_INVALID, "%s: larger than 1 MiB", name);
    struct stream stream = {.text = text, .size = size, .name = name, .sink = sink, .error = error};
    int rc = ini_parse_stream(next_line, &stream, take_key, &stream);
    if (stream.mistakes > 0) return RYZ_INVALID;
    /* Whatever inih dislikes in a line that we let through. */
    if (rc != 0) return ryz_fail(error, RYZ_INVALID, "%s:%d: not understood", name, rc);
    return RYZ_OK;
}

enum ryz_status ryz_ini_load(const char *path, char **text, size_t *size, struct ryz_error *error)
{
    return ryz_file_load(path, RYZ_INI_FILE_MAX, text, size, error);
}

enum ryz_status ryz_ini_read(const char *path, const struct ryz_ini_sink *sink,
                             struct ryz_error *error)
{
    char *text = NULL;
    size_t size = 0;
    enum ryz_status status = ryz_ini_load(path, &text, &size, error);
    if (status != RYZ_OK) return status;
    status = ryz_ini_parse(text, size, path, sink, error);
    free(text);
    return status;
}
