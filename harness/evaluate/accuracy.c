/*
 * accuracy.c - perplexity and its growth against a base, from scored tokens.
 *
 * Both models score the same tokens, so the loss is a paired difference: the noise of the text
 * cancels. Neighbouring tokens are not independent; the interval therefore takes whole context
 * windows as its units (a ratio estimator over window sums).
 */
#include "harness/evaluate/collect.h"

#include <math.h>

struct scores {
    double logprob, difference, kl, agree; /* sums */
    size_t count, paired, kl_count, agree_count;
};

static struct scores add_up(const struct ryz_accuracy_row *rows, size_t count)
{
    struct scores s = {0};
    for (size_t i = 0; i < count; i++) {
        s.logprob += rows[i].logprob;
        s.count++;
        if (!isnan(rows[i].base_logprob)) {
            s.difference += rows[i].base_logprob - rows[i].logprob;
            s.paired++;
        }
        if (!isnan(rows[i].kl)) {
            s.kl += rows[i].kl;
            s.kl_count++;
        }
        if (rows[i].top1 >= 0) {
            s.agree += rows[i].top1;
            s.agree_count++;
        }
    }
    return s;
}

/* Standard error of the mean difference over windows; rows of a window are neighbours. *windows
 * gets their number. */
static double window_error(const struct ryz_accuracy_row *rows, size_t count, double mean,
                           size_t *windows)
{
    double squares = 0, tokens = 0, sum = 0, n = 0;
    *windows = 0;
    for (size_t i = 0; i <= count; i++) {
        bool ends = i == count || (i > 0 && rows[i].window != rows[i - 1].window);
        if (ends && n > 0) {
            double residual = sum - mean * n;
            squares += residual * residual;
            tokens += n;
            sum = n = 0;
            (*windows)++;
        }
        if (i == count || isnan(rows[i].base_logprob)) continue;
        sum += rows[i].base_logprob - rows[i].logprob;
        n++;
    }
    double w = (double)*windows;
    return *windows < 2 ? (double)NAN : sqrt(w / (w - 1) * squares) / tokens;
}

/* Student's t at 97.5 %, good to 1 % from 3 degrees of freedom on (Cornish-Fisher). */
static double t975(double freedom)
{
    const double z = 1.959963984540054;
    double z3 = z * z * z, z5 = z3 * z * z;
    return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom * freedom);
}

static void loss(const struct ryz_accuracy_row *rows, size_t count, const struct scores *s,
                 struct ryz_number *out)
{
    size_t windows = 0;
    if (s->paired == 0) return;
    double mean = s->difference / (double)s->paired;
    double error = window_error(rows, count, mean, &windows);
    if (windows < 2) return;
    double half = t975((double)windows - 1) * error;
    out->known = true;
    out->n = s->paired;
    out->denominator = 1;
    out->lo = expm1(mean - half);
    out->hi = expm1(mean + half);
    /* The claim is that the loss is no larger, so its upper end is the number. */
    out->numerator = out->hi;
}

bool ryz_collect_accuracy_number(const struct ryz_view *view, enum ryz_quantity quantity,
                                 struct ryz_number *out)
{
    size_t count = 0;
    const struct ryz_accuracy_row *rows = ryz_run_rows(view->data, RYZ_TABLE_ACCURACY, &count);
    if (quantity != RYZ_Q_PERPLEXITY && quantity != RYZ_Q_LOSS && quantity != RYZ_Q_KL &&
        quantity != RYZ_Q_TOP1)
        return false;
    struct scores s = add_up(rows, count);
    out->denominator = 1;
    switch (quantity) {
    case RYZ_Q_PERPLEXITY:
        out->known = s.count > 0;
        out->n = s.count;
        if (out->known) out->numerator = exp(-s.logprob / (double)s.count);
        break;
    case RYZ_Q_LOSS:
        loss(rows, count, &s, out);
        break;
    case RYZ_Q_KL:
        out->known = s.kl_count > 0;
        out->n = s.kl_count;
        if (out->known) out->numerator = s.kl / (double)s.kl_count;
        break;
    default:
        out->known = s.agree_count > 0;
        out->n = s.agree_count;
        out->proportion = out->known;
        out->numerator = s.agree;
        out->denominator = (double)s.agree_count;
        break;
    }
    return true;
}
