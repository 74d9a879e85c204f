/*
 * Goal: no file crashes the reader or the model behind it; each is opened or refused with words and
 * an offset inside the file. Method: a sound model file, mutated thousands of times in its header
 * by seeded draws (bytes, bits, whole fields with telling values, moved pieces, cuts), first
 * through the GGUF reader, then through the whole of model and forward pass. Meant to run under
 * sanitizers, too; the number of a failing case is its seed.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define READER_CASES 60000u
#define MODEL_CASES  4000u

/* Values at which arithmetic goes wrong. */
static const uint64_t telling[] = {0,
                                   1,
                                   2,
                                   31,
                                   33,
                                   255,
                                   256,
                                   65536,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   (uint64_t)UINT32_MAX + 1,
                                   INT64_MAX,
                                   UINT64_MAX,
                                   UINT64_MAX - 31,
                                   UINT64_MAX / 4 + 1,
                                   UINT64_C(1) << 62};

/* Where the tensors' data begin: what comes before is the header. */
static size_t header_bytes(const struct bytes *file)
{
    struct ryz_gguf *gguf = NULL;
    cr_assert_eq(ryz_gguf_open_memory(file->data, file->size, &gguf, NULL), RYZ_OK);
    uint64_t first = file->size;
    for (size_t i = 0; i < ryz_gguf_tensor_count(gguf); i++) {
        first = ryz_min_u64(first, ryz_gguf_tensor(gguf, i)->offset);
    }
    ryz_gguf_close(gguf);
    return first;
}

/* One random change to the first `header` bytes of `data`; may shorten *size. */
static void mutate(struct ryz_rng *rng, unsigned char *data, size_t *size, size_t header)
{
    size_t end = header < *size ? header : *size;
    if (end < 16) return;
    size_t at = ryz_rng_below(rng, end - 8);
    uint64_t value = telling[ryz_rng_below(rng, RYZ_COUNT_OF(telling))];
    switch (ryz_rng_below(rng, 7)) {
    case 0:
        data[at] = (unsigned char)ryz_rng_u64(rng);
        break;
    case 1:
        data[at] ^= (unsigned char)(1u << ryz_rng_below(rng, 8));
        break;
    case 2:
        memcpy(data + at, &value, 8);
        break;
    case 3:
        memcpy(data + at, &value, 4);
        break;
    case 4: { /* a piece of the header over another */
        size_t length = 1 + ryz_rng_below(rng, 64), from = ryz_rng_below(rng, end);
        if (from + length <= end && at + length <= end) memmove(data + at, data + from, length);
        break;
    }
    case 5:
        memcpy(data + 8 + 8 * ryz_rng_below(rng, 2), &value, 8);
        break; /* the counts */
    default:   /* rarely, for a cut file is refused at once */
        if (ryz_rng_below(rng, 4) == 0) *size = ryz_rng_below(rng, *size);
        break;
    }
}

/* A mutated copy of exactly the right size, so that a sanitizer sees every read past its end. */
static unsigned char *mutant(const struct bytes *file, size_t header, uint64_t seed, size_t *size)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 0);
    unsigned char *data = aligned_alloc(64, (file->size + 63) / 64 * 64);
    cr_assert_not_null(data);
    memcpy(data, file->data, file->size);
    *size = file->size;
    for (uint64_t i = 1 + ryz_rng_below(&rng, 4); i > 0; i--) mutate(&rng, data, size, header);
    return data;
}

/* Looks at everything that an opened file offers. */
static uint64_t walk(const struct ryz_gguf *gguf)
{
    uint64_t sum = 0;
    char text[200];
    for (size_t i = 0; i < ryz_gguf_entry_count(gguf); i++) {
        const struct ryz_gguf_entry *entry = ryz_gguf_entry(gguf, i);
        ryz_gguf_format(entry, text, 1 + i % sizeof text);
        uint64_t cursor = 0;
        for (uint64_t k = 0; entry->kind == RYZ_GGUF_STRING && k < entry->count; k++) {
            sum += ryz_gguf_next_text(entry, &cursor).length;
        }
    }
    for (size_t i = 0; i < ryz_gguf_tensor_count(gguf); i++) {
        const struct ryz_gguf_tensor *tensor = ryz_gguf_tensor(gguf, i);
        const unsigned char *bytes = tensor->data;
        if (tensor->bytes > 0) sum += (uint64_t)bytes[0] + bytes[tensor->bytes - 1];
    }
    return sum;
}

static void check_error(const struct ryz_error *error, enum ryz_status status, size_t size,
                        uint64_t seed)
{
    cr_assert_eq(error->status, status, "case %llu", (unsigned long long)seed);
    cr_assert_gt(strlen(error->text), 0, "case %llu", (unsigned long long)seed);
    cr_assert(error->byte_offset == RYZ_NO_OFFSET || error->byte_offset <= size, "case %llu: %s",
              (unsigned long long)seed, error->text);
}

Test(gguf_mutations, the_reader_opens_or_refuses)
{
    struct bytes file = synthetic_file(&(struct synthetic){.layers = 1, .embd = 32});
    size_t header = header_bytes(&file), size = 0, opened = 0;
    uint64_t sum = 0;
    for (uint64_t seed = 0; seed < READER_CASES; seed++) {
        unsigned char *data = mutant(&file, header, seed, &size);
        struct ryz_gguf *gguf = NULL;
        struct ryz_error error = {0};
        enum ryz_status status = ryz_gguf_open_memory(data, size, &gguf, &error);
        if (status == RYZ_OK) {
            opened++;
            sum += walk(gguf);
            ryz_gguf_close(gguf);
        } else {
            check_error(&error, status, size, seed);
            cr_assert_neq(error.byte_offset, RYZ_NO_OFFSET, "case %llu: %s",
                          (unsigned long long)seed, error.text);
        }
        free(data);
    }
    /* Both ways out must have been taken, or the mutations test nothing. */
    cr_assert(opened > READER_CASES / 20 && opened < READER_CASES * 19 / 20, "%zu opened", opened);
    cr_assert_gt(sum, 0);
    bytes_free(&file);
}

/* Runs an accepted model: its sizes must fit its tensors whatever else is in the file. */
static void try_model(const struct ryz_model *model)
{
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(model);
    uint32_t ids[64], blocks[] = {1, 0, 3, 2};
    size_t count = 0;
    enum ryz_status status =
        ryz_tokenizer_encode(tokenizer, "the <|im_end|> 12\xff", 18, true, ids, 64, &count);
    cr_assert_eq(status, RYZ_OK);
    seeded_tokens(model, 1, ids, 8);
    struct rig rig;
    rig_open(&rig, model, &(struct rig_options){.n_blocks = 4, .max_tokens = 8});
    uint32_t usable = ryz_min_u32(8, ryz_forward_context(rig.forward));
    struct ryz_batch_sequence sequence = {ids, blocks, usable, 0, true};
    struct ryz_batch batch = {&sequence, 1, usable};
    ryz_forward_run(rig.forward, &batch);
    (void)ryz_forward_logits(rig.forward, 0);
    rig_close(&rig);
}

Test(gguf_mutations, the_model_opens_and_runs_or_is_refused)
{
    struct bytes file = synthetic_file(&(struct synthetic){.layers = 1, .embd = 32});
    size_t header = header_bytes(&file), size = 0, opened = 0;
    for (uint64_t seed = 0; seed < MODEL_CASES; seed++) {
        unsigned char *data = mutant(&file, header, seed, &size);
        struct temporary_file temporary = write_temporary(data, size);
        struct ryz_model *model = NULL;
        struct ryz_error error = {0};
        enum ryz_status status = ryz_model_open(temporary.path, NULL, &model, &error);
        if (status == RYZ_OK) {
            opened++;
            try_model(model);
            ryz_model_close(model);
        } else {
            check_error(&error, status, size, seed);
        }
        close_temporary(&temporary);
        free(data);
    }
    cr_assert(opened > MODEL_CASES / 50 && opened < MODEL_CASES * 19 / 20, "%zu opened", opened);
    bytes_free(&file);
}
