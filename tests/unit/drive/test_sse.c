/*
 * Goal: the events of a stream are the same wherever the network cuts it.
 * Method: one stream with every line end and field, cut at every pair of places.
 */
#include "harness/drive/sse.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    char text[1024]; /* events joined by '|' */
    uint32_t count, stop_at;
};

static bool see(void *context, char *data, size_t length)
{
    struct seen *seen = context;
    cr_assert_eq(strlen(data), length);
    strcat(seen->text, data);
    strcat(seen->text, "|");
    return ++seen->count != seen->stop_at;
}

static const char stream[] = ": comment\n"
                             "data: {\"a\":1}\n\n"
                             "event: x\rdata:two\rdata:  lines\r\r"
                             "id: 7\r\ndata\r\n\r\n"
                             "datum: no\n\n"
                             "\n\n"
                             "data: [DONE]\r\n\r\n"
                             "data: never ended\n";

Test(sse, gives_the_same_events_wherever_it_is_cut)
{
    size_t length = strlen(stream);
    for (size_t i = 0; i <= length; i++) {
        for (size_t j = i; j <= length; j++) {
            struct ryz_sse sse;
            struct seen seen = {.count = 0};
            ryz_sse_init(&sse);
            cr_assert_eq(ryz_sse_feed(&sse, stream, i, see, &seen), RYZ_OK);
            cr_assert_eq(ryz_sse_feed(&sse, stream + i, j - i, see, &seen), RYZ_OK);
            cr_assert_eq(ryz_sse_feed(&sse, stream + j, length - j, see, &seen), RYZ_OK);
            cr_assert_str_eq(seen.text, "{\"a\":1}|two\n lines||[DONE]|", "cut at %zu %zu", i, j);
            ryz_sse_deinit(&sse);
        }
    }
}

Test(sse, stops_when_the_listener_says_so)
{
    struct ryz_sse sse;
    struct seen seen = {.stop_at = 2};
    ryz_sse_init(&sse);
    cr_assert_eq(ryz_sse_feed(&sse, stream, strlen(stream), see, &seen), RYZ_CANCELLED);
    cr_assert_eq(seen.count, 2);
    ryz_sse_deinit(&sse);
}

Test(sse, refuses_an_event_without_end)
{
    struct ryz_sse sse;
    struct seen seen = {.count = 0};
    char *piece = malloc(65536);
    memset(piece, 'x', 65536);
    ryz_sse_init(&sse);
    enum ryz_status status = ryz_sse_feed(&sse, "data: ", 6, see, &seen);
    for (int i = 0; i < 100 && status == RYZ_OK; i++)
        status = ryz_sse_feed(&sse, piece, 65536, see, &seen);
    cr_assert_eq(status, RYZ_CORRUPT);
    cr_assert_eq(seen.count, 0);
    ryz_sse_deinit(&sse);
    free(piece);
}
