/* inspect.c - `ryz inspect`: a model file's metadata and tensors, whether or not we can serve it.
 */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "engine/model/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TYPES_MAX 64

static void print_entries(const struct ryz_gguf *gguf)
{
    char value[96];
    for (size_t i = 0; i < ryz_gguf_entry_count(gguf); i++) {
        const struct ryz_gguf_entry *entry = ryz_gguf_entry(gguf, i);
        ryz_gguf_format(entry, value, sizeof value);
        printf("  %-44.*s %-7s %s\n", (int)entry->key.length, entry->key.data,
               ryz_gguf_kind_name(entry->kind), value);
    }
}

static const char *type_name(uint32_t type, char *scratch, size_t capacity)
{
    const char *name = ryz_gguf_type_name(type);
    if (name != NULL) return name;
    (void)snprintf(scratch, capacity, "type %u", type);
    return scratch;
}

static void print_tensor(const struct ryz_gguf_tensor *tensor)
{
    char dims[96] = "", scratch[24];
    for (uint32_t d = 0; d < tensor->n_dims; d++) {
        size_t used = strlen(dims);
        (void)snprintf(dims + used, sizeof dims - used, "%s%" PRIu64, d > 0 ? " x " : "",
                       tensor->dims[d]);
    }
    printf("  %-44.*s %-7s %s\n", (int)tensor->name.length, tensor->name.data,
           type_name(tensor->type, scratch, sizeof scratch), dims);
}

/* Tensors, weights and bytes of each type. */
static void print_types(const struct ryz_gguf *gguf)
{
    uint64_t count[TYPES_MAX] = {0}, weights[TYPES_MAX] = {0}, bytes[TYPES_MAX] = {0};
    for (size_t i = 0; i < ryz_gguf_tensor_count(gguf); i++) {
        const struct ryz_gguf_tensor *tensor = ryz_gguf_tensor(gguf, i);
        if (tensor->type >= TYPES_MAX) continue;
        count[tensor->type]++;
        weights[tensor->type] += tensor->elements;
        bytes[tensor->type] += tensor->bytes;
    }
    for (uint32_t type = 0; type < TYPES_MAX; type++) {
        char scratch[24];
        if (count[type] == 0) continue;
        printf("  %-7s %5" PRIu64 " tensors %12" PRIu64 " weights %12" PRIu64 " bytes\n",
               type_name(type, scratch, sizeof scratch), count[type], weights[type], bytes[type]);
    }
}

int ryz_command_inspect(int argc, char **argv)
{
    bool tensors = false;
    const struct ryz_option options[] = {
        {"tensors", RYZ_OPTION_FLAG, &tensors, NULL, "list every tensor"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz inspect [--tensors] FILE.gguf",
        .about = "Shows a model file's metadata and how its weights are stored.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_min = 1,
        .positional_max = 1};
    const char *path = NULL;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &path, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    struct ryz_gguf *gguf = NULL;
    struct ryz_error error = {0};
    if (ryz_gguf_open(path, &gguf, &error) != RYZ_OK) {
        (void)fprintf(stderr, "ryz: %s\n", error.text);
        return RYZ_EXIT_COULD_NOT;
    }
    printf("%s: %" PRIu64 " bytes, %zu tensors\n\nmetadata\n", path, ryz_gguf_file_bytes(gguf),
           ryz_gguf_tensor_count(gguf));
    print_entries(gguf);
    puts("\nweights by type");
    print_types(gguf);
    if (tensors) {
        puts("\ntensors");
        for (size_t i = 0; i < ryz_gguf_tensor_count(gguf); i++) {
            print_tensor(ryz_gguf_tensor(gguf, i));
        }
    }
    ryz_gguf_close(gguf);
    return RYZ_EXIT_MET;
}
