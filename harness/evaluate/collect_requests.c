/* collect_requests.c - distributions over requests, tokens and spans. */
#include "harness/evaluate/collect.h"

#include "engine/base/clock.h"

#include <math.h>

const struct ryz_window *ryz_view_window(const struct ryz_view *view)
{
    if (view->traffic < 0) return &view->windows->all;
    return &view->windows->traffic[view->traffic];
}

static bool in_view(const struct ryz_view *view, const struct ryz_request_row *row)
{
    return row->measured && (view->traffic < 0 || row->phase == view->traffic);
}

static double between(int64_t from, int64_t to)
{
    if (from == RYZ_TIME_NONE || to == RYZ_TIME_NONE) return NAN;
    return (double)to - (double)from;
}

/* A request's value, NaN if it has none. Latencies of failed requests are infinite. */
static double value_of(const struct ryz_request_row *row, enum ryz_quantity quantity)
{
    bool ok = row->status == RYZ_REQUEST_OK;
    double absent = ryz_request_failed(row) ? INFINITY : NAN;
    switch (quantity) {
    case RYZ_Q_TTFT:
        return ok ? between(row->t_sched, row->t_first) : absent;
    case RYZ_Q_TTFT_SEND:
        return ok ? between(row->t_send, row->t_first) : absent;
    case RYZ_Q_E2E:
        return ok ? between(row->t_sched, row->t_done) : absent;
    case RYZ_Q_SERVICE:
        return ok ? between(row->t_send, row->t_done) : absent;
    case RYZ_Q_TPOT:
        /* A request for one token never had a time per further token to fail. */
        if (!ok) return row->want_tok == 1 ? (double)NAN : absent;
        return row->out_tok < 2 ? (double)NAN
                                : between(row->t_first, row->t_last) / (row->out_tok - 1);
    case RYZ_Q_NORMALISED:
        if (!ok) return absent;
        return row->out_tok < 1 ? (double)NAN : between(row->t_sched, row->t_done) / row->out_tok;
    case RYZ_Q_LAG:
        return between(row->t_sched, row->t_send);
    case RYZ_Q_TOKENS_IN:
        return row->in_tok;
    case RYZ_Q_TOKENS_OUT:
        return ok ? row->out_tok : (double)NAN;
    default:
        return NAN;
    }
}

/* Gaps between the token arrivals of one request. */
static void add_gaps(const struct ryz_token_row *tokens, uint32_t count, bool per_token,
                     struct ryz_samples *out)
{
    for (uint32_t i = 1; i < count; i++) {
        double gap = between(tokens[i - 1].t_ns, tokens[i].t_ns);
        uint32_t n = per_token && tokens[i].n > 1 ? tokens[i].n : 1;
        if (isnan(gap)) continue;
        for (uint32_t k = 0; k < n; k++) ryz_samples_add(out, gap / n);
    }
}

static void add_token_gaps(const struct ryz_view *view, bool per_token, struct ryz_samples *out)
{
    size_t count = 0, token_count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(view->data, RYZ_TABLE_REQUESTS, &count);
    const struct ryz_token_row *tokens = ryz_run_rows(view->data, RYZ_TABLE_TOKENS, &token_count);
    for (size_t i = 0; i < count; i++) {
        const struct ryz_request_row *row = &rows[i];
        if (!in_view(view, row) || row->status != RYZ_REQUEST_OK || row->tok_count < 2) continue;
        if (row->tok_first > token_count || row->tok_count > token_count - row->tok_first) continue;
        add_gaps(tokens + row->tok_first, row->tok_count, per_token, out);
    }
}

static void add_spans(const struct ryz_view *view, enum ryz_span_name name, struct ryz_samples *out)
{
    size_t count = 0;
    const struct ryz_span_row *spans = ryz_run_rows(view->data, RYZ_TABLE_SPANS, &count);
    for (size_t i = 0; i < count; i++) {
        if (spans[i].name != name) continue;
        const struct ryz_request_row *row = ryz_run_data_request(view->data, spans[i].request);
        double duration = between(spans[i].t0_ns, spans[i].t1_ns);
        if (row != NULL && in_view(view, row) && !isnan(duration)) ryz_samples_add(out, duration);
    }
}

bool ryz_collect_request_samples(const struct ryz_view *view, enum ryz_quantity quantity,
                                 struct ryz_samples *out)
{
    size_t count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(view->data, RYZ_TABLE_REQUESTS, &count);
    switch (quantity) {
    case RYZ_Q_ITL:
        add_token_gaps(view, true, out);
        return true;
    case RYZ_Q_ICL:
        add_token_gaps(view, false, out);
        return true;
    case RYZ_Q_QUEUE:
        add_spans(view, RYZ_SPAN_QUEUE, out);
        return true;
    case RYZ_Q_PREFILL:
        add_spans(view, RYZ_SPAN_PREFILL, out);
        return true;
    case RYZ_Q_DECODE:
        add_spans(view, RYZ_SPAN_DECODE, out);
        return true;
    case RYZ_Q_TTFT:
    case RYZ_Q_TTFT_SEND:
    case RYZ_Q_TPOT:
    case RYZ_Q_E2E:
    case RYZ_Q_SERVICE:
    case RYZ_Q_NORMALISED:
    case RYZ_Q_LAG:
    case RYZ_Q_TOKENS_IN:
    case RYZ_Q_TOKENS_OUT:
        break;
    default:
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        double value = in_view(view, &rows[i]) ? value_of(&rows[i], quantity) : (double)NAN;
        if (!isnan(value)) ryz_samples_add(out, value);
    }
    return true;
}
