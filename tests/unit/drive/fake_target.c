/* fake_target.c - see fake_target.h. */
#include "tests/unit/drive/fake_target.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct fake_target *as_fake(struct ryz_target *target)
{
    return (struct fake_target *)(void *)target;
}

static int64_t now(void *context)
{
    struct fake_target *fake = context;
    fake->now_ns += RYZ_NS_PER_US;
    return fake->now_ns;
}

static void push(struct fake_target *fake, const struct ryz_answer *answer)
{
    if (fake->answer_count == fake->answer_capacity) {
        fake->answer_capacity = fake->answer_capacity * 2 + 64;
        fake->answers = realloc(fake->answers, fake->answer_capacity * sizeof *fake->answers);
        cr_assert_not_null(fake->answers);
    }
    fake->answers[fake->answer_count++] = *answer;
}

static void wait_out_the_stall(struct fake_target *fake)
{
    if (fake->now_ns >= fake->stall_begin_ns && fake->now_ns < fake->stall_end_ns)
        fake->now_ns = fake->stall_end_ns;
}

static enum ryz_status fake_submit(struct ryz_target *target, const struct ryz_ask *ask,
                                   void **handle, struct ryz_error *error)
{
    struct fake_target *fake = as_fake(target);
    wait_out_the_stall(fake);
    fake->submitted++;
    fake->last = *ask;
    if (fake->refuse_with != RYZ_OK) return ryz_fail(error, fake->refuse_with, "refused");
    *handle = ask->flight;
    if (++fake->inside > fake->most_inside) fake->most_inside = fake->inside;
    if (fake->silent) return RYZ_OK;
    struct ryz_answer answer = {
        .flight = ask->flight, .kind = RYZ_ANSWER_ACCEPTED, .t_ns = fake->now_ns};
    push(fake, &answer);
    answer.kind = RYZ_ANSWER_TOKENS;
    answer.token_count = 1;
    answer.ids_known = fake->knows_ids;
    for (uint32_t i = 0; i < ask->output_tokens; i++) {
        answer.t_ns = fake->now_ns + fake->first_ns + i * fake->gap_ns;
        answer.ids[0] = i;
        push(fake, &answer);
    }
    answer.kind = RYZ_ANSWER_DONE;
    answer.status = RYZ_REQUEST_OK;
    push(fake, &answer);
    return RYZ_OK;
}

static void fake_cancel(struct ryz_target *target, void *handle)
{
    struct fake_target *fake = as_fake(target);
    fake->cancels++;
    if (fake->holds_ghosts) return;
    for (size_t i = 0; i < fake->answer_count;) { /* what it would have said */
        if (fake->answers[i].flight == handle)
            memmove(&fake->answers[i], &fake->answers[i + 1],
                    (--fake->answer_count - i) * sizeof *fake->answers);
        else
            i++;
    }
    struct ryz_answer answer = {.flight = handle,
                                .kind = RYZ_ANSWER_DONE,
                                .t_ns = fake->now_ns,
                                .status = RYZ_REQUEST_CANCELLED};
    push(fake, &answer);
}

/* The earliest answer; of equal times the first that was queued. */
static size_t earliest(const struct fake_target *fake)
{
    size_t best = 0;
    for (size_t i = 1; i < fake->answer_count; i++) {
        if (fake->answers[i].t_ns < fake->answers[best].t_ns) best = i;
    }
    return best;
}

static size_t fake_poll(struct ryz_target *target, int64_t until_ns, struct ryz_answer *answers,
                        size_t capacity)
{
    struct fake_target *fake = as_fake(target);
    size_t count = 0;
    wait_out_the_stall(fake);
    while (count < capacity && fake->answer_count > 0) {
        size_t i = earliest(fake);
        int64_t t_ns = fake->answers[i].t_ns;
        if (t_ns > fake->now_ns && (count > 0 || t_ns > until_ns)) break;
        if (t_ns > fake->now_ns) fake->now_ns = t_ns;
        wait_out_the_stall(fake);
        answers[count] = fake->answers[i];
        /* It is seen when the stall is over, and stamped then. */
        if (answers[count].t_ns < fake->stall_end_ns && t_ns >= fake->stall_begin_ns)
            answers[count].t_ns = fake->now_ns;
        if (answers[count].kind == RYZ_ANSWER_DONE) fake->inside--;
        count++;
        memmove(&fake->answers[i], &fake->answers[i + 1],
                (--fake->answer_count - i) * sizeof *fake->answers);
    }
    if (count == 0 && until_ns > fake->now_ns) fake->now_ns = until_ns;
    return count;
}

static const struct ryz_target_ops fake_ops = {
    .name = "fake", .submit = fake_submit, .cancel = fake_cancel, .poll = fake_poll};

void fake_open(struct fake_target *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->base.ops = &fake_ops;
    fake->clock = (struct ryz_clock){.now_ns = now, .context = fake};
    fake->first_ns = 2 * RYZ_NS_PER_MS;
    fake->gap_ns = RYZ_NS_PER_MS;
    fake->stall_begin_ns = fake->stall_end_ns = RYZ_TIME_NONE;
    fake->knows_ids = true;
}

void fake_close(struct fake_target *fake)
{
    free(fake->answers);
}

static void on_request(void *context, const struct ryz_request_row *row)
{
    struct fake_target *fake = context;
    cr_assert_lt(fake->row_count, FAKE_ROWS_MAX);
    fake->rows[fake->row_count++] = *row;
}

static void on_tokens(void *context, uint64_t request, int64_t t_ns, uint32_t count)
{
    struct fake_target *fake = context;
    cr_assert_gt(request, 0);
    cr_assert_geq(t_ns, 0);
    fake->tokens += count;
}

static void on_span(void *context, const struct ryz_span *span)
{
    struct fake_target *fake = context;
    cr_assert_eq(span->name, RYZ_SPAN_CLIENT);
    cr_assert_leq(span->t0_ns, span->t1_ns);
    cr_assert_eq(span->parent, 0);
    fake->spans++;
}

static void on_progress(void *context, const struct ryz_drive_progress *progress)
{
    struct fake_target *fake = context;
    cr_assert_leq(progress->failed, progress->ended);
    fake->progresses++;
}

static void on_phase(void *context, uint32_t traffic, bool begins, int64_t t_ns)
{
    struct fake_target *fake = context;
    (void)t_ns;
    uint32_t *seen = begins ? &fake->begins : &fake->ends;
    cr_assert_eq(*seen & 1u << traffic, 0, "told twice");
    *seen |= 1u << traffic;
}

static void on_failure(void *context, uint64_t request, int64_t t_ns,
                       enum ryz_request_status status, const char *reason)
{
    struct fake_target *fake = context;
    (void)request, (void)t_ns;
    cr_assert_neq(status, RYZ_REQUEST_OK);
    cr_assert_neq(reason[0], '\0', "a failure without a reason");
    fake->failures++;
}

struct ryz_drive_sink fake_sink(struct fake_target *fake)
{
    return (struct ryz_drive_sink){.context = fake,
                                   .request = on_request,
                                   .tokens = on_tokens,
                                   .span = on_span,
                                   .progress = on_progress,
                                   .phase = on_phase,
                                   .failure = on_failure};
}
