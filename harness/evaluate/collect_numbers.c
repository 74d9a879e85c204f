/* collect_numbers.c - quantities that are one number a run: rates, shares, counts, facts. */
#include "harness/evaluate/collect.h"

#include "engine/base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define Z95 1.959963984540054

/* One pass over the requests of a view. */
struct tally {
    double attempted, failed, shed, timeouts, good; /* measured */
    double late;                                    /* measured: refused for a deadline */
    double due, due_admitted, due_kept;             /* measured, with deadlines */
    double lost, cancelled, dropped, retries;       /* all */
    double answered, answered_in, answered_out;     /* ended inside the window */
    double good_in_window;                          /* scheduled inside the window */
    double cached_tok, host_tok, in_tok;
    uint64_t digest;                                                  /* of all outputs */
    double computed, recomputed, missed, rejected, unused, preempted; /* measured, those given up
                                                                         included */
    size_t all;
};

static bool kept_deadlines(const struct ryz_request_row *row)
{
    bool first = row->first_deadline_ns == RYZ_TIME_NONE ||
                 (row->t_first != RYZ_TIME_NONE && row->t_first <= row->first_deadline_ns);
    bool end = row->deadline_ns == RYZ_TIME_NONE ||
               (row->t_done != RYZ_TIME_NONE && row->t_done <= row->deadline_ns);
    return row->status == RYZ_REQUEST_OK && first && end;
}

static void count_deadlines(const struct ryz_request_row *row, struct tally *tally)
{
    if (row->first_deadline_ns == RYZ_TIME_NONE && row->deadline_ns == RYZ_TIME_NONE) return;
    tally->due++;
    tally->due_admitted += row->status != RYZ_REQUEST_SHED && row->status != RYZ_REQUEST_LATE;
    tally->due_kept += kept_deadlines(row);
}

static void count_measured(const struct ryz_request_row *row, struct tally *tally)
{
    if (row->status == RYZ_REQUEST_CANCELLED || row->status == RYZ_REQUEST_DROPPED_BY_HARNESS)
        return;
    tally->attempted++;
    tally->failed += ryz_request_failed(row);
    tally->shed += row->status == RYZ_REQUEST_SHED;
    tally->late += row->status == RYZ_REQUEST_LATE;
    count_deadlines(row, tally);
    tally->timeouts += row->status == RYZ_REQUEST_TIMEOUT;
    tally->good += row->slo_ok;
    tally->cached_tok += row->cached_tok;
    tally->host_tok += row->host_tok;
    tally->in_tok += row->in_tok;
}

static void count_waste(const struct ryz_request_row *row, struct tally *tally)
{
    tally->computed += (double)row->computed_tok;
    tally->recomputed += (double)row->recomputed_tok;
    tally->missed += row->missed_tok;
    tally->rejected += row->rejected_tok;
    if (row->status != RYZ_REQUEST_OK) tally->unused += (double)row->computed_tok;
    tally->preempted += row->preempted;
}

static bool ends_inside(const struct ryz_view *view, const struct ryz_request_row *row)
{
    if (row->phase >= RYZ_PHASES_MAX || row->status != RYZ_REQUEST_OK) return false;
    const struct ryz_window *window = ryz_view_window(view);
    return view->windows->traffic[row->phase].measured && window->measured &&
           row->t_done >= window->begin_ns && row->t_done <= window->end_ns;
}

static struct tally tally_requests(const struct ryz_view *view)
{
    struct tally tally = {0};
    size_t count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(view->data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ryz_request_row *row = &rows[i];
        if (view->traffic >= 0 && row->phase != view->traffic) continue;
        tally.all++;
        tally.lost += row->status == RYZ_REQUEST_LOST;
        tally.cancelled += row->status == RYZ_REQUEST_CANCELLED;
        tally.dropped += row->status == RYZ_REQUEST_DROPPED_BY_HARNESS;
        tally.retries += row->retries;
        if (row->status == RYZ_REQUEST_OK) tally.digest += row->output_hash ^ 3 * row->prompt_hash;
        if (row->measured) count_measured(row, &tally);
        if (row->measured) count_waste(row, &tally);
        if (row->measured && row->slo_ok) tally.good_in_window++;
        if (!ends_inside(view, row)) continue;
        tally.answered++;
        tally.answered_in += row->in_tok;
        tally.answered_out += row->out_tok;
    }
    return tally;
}

/* Output tokens that arrived inside the window, from their own times; without token rows, those of
 * the requests answered inside it. */
static double tokens_arrived(const struct ryz_view *view, const struct tally *tally)
{
    size_t count = 0;
    double sum = 0;
    const struct ryz_token_row *tokens = ryz_run_rows(view->data, RYZ_TABLE_TOKENS, &count);
    const struct ryz_window *window = ryz_view_window(view);
    const struct ryz_request_row *row = NULL;
    if (count == 0) return tally->answered_out;
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].t_ns < window->begin_ns || tokens[i].t_ns > window->end_ns) continue;
        if (row == NULL || row->id != tokens[i].request)
            row = ryz_run_data_request(view->data, tokens[i].request);
        if (row == NULL || row->phase >= RYZ_PHASES_MAX) continue;
        if (view->traffic >= 0 && row->phase != view->traffic) continue;
        if (view->windows->traffic[row->phase].measured) sum += tokens[i].n;
    }
    return sum;
}

static void rate(const struct ryz_view *view, double events, struct ryz_number *out)
{
    const struct ryz_window *window = ryz_view_window(view);
    out->known = window->measured && window->end_ns > window->begin_ns;
    if (!out->known) return;
    out->numerator = events;
    out->denominator = (double)(window->end_ns - window->begin_ns) / (double)RYZ_NS_PER_S;
}

static void proportion(double part, double whole, struct ryz_number *out)
{
    out->known = whole > 0;
    out->proportion = true;
    out->numerator = part;
    out->denominator = whole;
    out->n = (size_t)whole;
}

static void total(double value, size_t n, struct ryz_number *out)
{
    out->known = n > 0;
    out->combine = RYZ_COMBINE_SUM;
    out->numerator = value;
    out->denominator = 1;
    out->n = n;
}

/* ---- trace coverage ---- */

static bool has_id(const uint8_t id[16])
{
    static const uint8_t zero[16];
    return memcmp(id, zero, 16) != 0;
}

/* Requests with a trace id and a root span that carries it. A root span is the client's, or the
 * server's where no client made one. */
static void trace_coverage(const struct ryz_view *view, struct ryz_number *out)
{
    size_t count = 0, span_count = 0, all = 0, covered = 0;
    const struct ryz_request_row *rows = ryz_run_rows(view->data, RYZ_TABLE_REQUESTS, &count);
    const struct ryz_span_row *spans = ryz_run_rows(view->data, RYZ_TABLE_SPANS, &span_count);
    uint8_t *found = calloc(count + 1, 1);
    if (found == NULL || span_count == 0) {
        out->no_memory = found == NULL;
        free(found);
        return;
    }
    for (size_t i = 0; i < span_count; i++) {
        if (spans[i].name != RYZ_SPAN_CLIENT && spans[i].name != RYZ_SPAN_REQUEST) continue;
        const struct ryz_request_row *row = ryz_run_data_request(view->data, spans[i].request);
        if (row == NULL || !has_id(row->trace_id)) continue;
        if (memcmp(row->trace_id, spans[i].trace_id, 16) == 0) found[row - rows] = 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (view->traffic >= 0 && rows[i].phase != view->traffic) continue;
        if (rows[i].status == RYZ_REQUEST_DROPPED_BY_HARNESS) continue;
        all++;
        covered += found[i];
    }
    free(found);
    proportion((double)covered, (double)all, out);
}

static void fact(const struct ryz_view *view, enum ryz_quantity quantity, struct ryz_number *out)
{
    size_t count = 0;
    const struct ryz_fact_row *facts = ryz_run_rows(view->data, RYZ_TABLE_FACTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(facts[i].metric, ryz_quantity_spec(quantity)->name) != 0) continue;
        out->known = !isnan(facts[i].value);
        out->numerator = facts[i].value;
        out->denominator = 1;
        out->n = 1;
    }
}

static bool waste_number(const struct tally *tally, enum ryz_quantity quantity,
                         struct ryz_number *out)
{
    double tokens = 0.0, whole = tally->computed;
    switch (quantity) {
    case RYZ_Q_WASTE_RECOMPUTED:
        tokens = tally->recomputed;
        break;
    case RYZ_Q_WASTE_MISSED:
        tokens = tally->missed;
        break;
    case RYZ_Q_WASTE_REJECTED:
        tokens = tally->rejected;
        break;
    case RYZ_Q_WASTE_UNUSED:
        tokens = tally->unused;
        break;
    case RYZ_Q_WASTE_PREEMPTED:
        /* Of an engine that said nothing else nothing is known. */
        tokens = tally->preempted;
        if (tally->computed > 0) whole = tally->attempted;
        break;
    default:
        return false;
    }
    proportion(tokens, whole, out);
    out->proportion = false; /* tokens of one request are not independent trials */
    out->n = (size_t)tally->attempted;
    return true;
}

static bool request_number(const struct ryz_view *view, enum ryz_quantity quantity,
                           struct ryz_number *out)
{
    struct tally t = tally_requests(view);
    switch (quantity) {
    case RYZ_Q_THROUGHPUT_REQ:
        rate(view, t.answered, out);
        break;
    case RYZ_Q_THROUGHPUT_OUT:
        rate(view, tokens_arrived(view, &t), out);
        break;
    case RYZ_Q_THROUGHPUT_TOTAL:
        rate(view, t.answered_in + tokens_arrived(view, &t), out);
        break;
    case RYZ_Q_GOODPUT_RATE:
        rate(view, t.good_in_window, out);
        break;
    case RYZ_Q_GOODPUT_RATIO:
        proportion(t.good, t.attempted, out);
        break;
    case RYZ_Q_ERRORS:
        proportion(t.failed, t.attempted, out);
        break;
    case RYZ_Q_SHED:
        proportion(t.shed, t.attempted, out);
        break;
    case RYZ_Q_REJECTED:
        proportion(t.shed + t.late, t.attempted, out);
        break;
    case RYZ_Q_DEADLINE_KEPT:
        proportion(t.due_kept, t.due_admitted, out);
        break;
    case RYZ_Q_DEADLINE_GOODPUT:
        proportion(t.due_kept, t.due, out);
        break;
    case RYZ_Q_TIMEOUTS:
        proportion(t.timeouts, t.attempted, out);
        break;
    case RYZ_Q_LOST:
        total(t.lost, t.all, out);
        break;
    case RYZ_Q_CANCELLED:
        total(t.cancelled, t.all, out);
        break;
    case RYZ_Q_RETRIES:
        total(t.retries, t.all, out);
        break;
    case RYZ_Q_HARNESS_DROPPED:
        total(t.dropped, t.all, out);
        break;
    case RYZ_Q_REQUESTS:
        total(t.attempted, t.all, out);
        break;
    case RYZ_Q_OUTPUT_DIGEST:
        total((double)(t.digest & ((UINT64_C(1) << 48) - 1)), t.all, out);
        break;
    case RYZ_Q_CACHE_HIT:
    case RYZ_Q_CACHE_HOST_HIT:
        proportion(quantity == RYZ_Q_CACHE_HIT ? t.cached_tok : t.host_tok, t.in_tok, out);
        out->proportion = false; /* tokens of a prefix are not independent trials */
        break;
    default:
        if (!waste_number(&t, quantity, out)) return false;
        break;
    }
    if (out->n == 0) out->n = (size_t)t.attempted;
    return true;
}

void ryz_collect_number(const struct ryz_view *view, enum ryz_quantity quantity,
                        struct ryz_number *out)
{
    *out = (struct ryz_number){.combine = RYZ_COMBINE_RATIO, .lo = NAN, .hi = NAN};
    switch (quantity) {
    case RYZ_Q_TRACE_COVERAGE:
        trace_coverage(view, out);
        return;
    case RYZ_Q_RECOVER:
        ryz_collect_recover(view, out);
        return;
    case RYZ_Q_MODEL_SIZE:
    case RYZ_Q_MODEL_RATIO:
    case RYZ_Q_MODEL_PARAMS:
    case RYZ_Q_MEMORY_USED:
    case RYZ_Q_MEMORY_LIMIT:
    case RYZ_Q_MEMORY_SCRATCH:
    case RYZ_Q_MEMORY_KV:
    case RYZ_Q_CLIPPED:
    case RYZ_Q_LAG_MAX:
    case RYZ_Q_CACHE_BOUND:
    case RYZ_Q_CACHE_LRU:
    case RYZ_Q_COST_P50:
    case RYZ_Q_COST_P90:
    case RYZ_Q_COST_BIAS:
    case RYZ_Q_COST_SAMPLES:
        fact(view, quantity, out);
        return;
    default:
        break;
    }
    if (ryz_collect_engine_number(view, quantity, out)) return;
    if (ryz_collect_accuracy_number(view, quantity, out)) return;
    request_number(view, quantity, out);
}

void ryz_collect_samples(const struct ryz_view *view, enum ryz_quantity quantity,
                         struct ryz_samples *out)
{
    if (!ryz_collect_request_samples(view, quantity, out))
        ryz_collect_engine_samples(view, quantity, out);
}

void ryz_number_add(struct ryz_number *to, const struct ryz_number *from)
{
    if (!from->known) return;
    if (!to->known) {
        *to = *from;
        return;
    }
    to->numerator += from->numerator;
    to->denominator += from->denominator;
    to->n += from->n;
    /* An interval that came with one number does not describe the pool. */
    to->lo = to->hi = NAN;
}

/* Wilson's interval of a proportion. */
static void wilson(double part, double n, struct ryz_estimate *e)
{
    double p = part / n, z2 = Z95 * Z95;
    double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    e->lo = centre - half < 0 || part <= 0 ? 0 : centre - half;
    e->hi = centre + half > 1 || part >= n ? 1 : centre + half;
}

struct ryz_estimate ryz_number_estimate(const struct ryz_number *number)
{
    struct ryz_estimate e = {NAN, number->lo, number->hi, number->n};
    if (!number->known) return e;
    if (number->combine == RYZ_COMBINE_SUM)
        e.value = number->numerator;
    else if (number->denominator > 0)
        e.value = number->numerator / number->denominator;
    if (number->proportion && number->denominator > 0)
        wilson(number->numerator, number->denominator, &e);
    return e;
}
