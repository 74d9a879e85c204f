/*
 * fair_share.h - what each tenant has been served: the virtual token counters of VTC.
 *
 * After "Fairness in Serving Large Language Models" (arXiv 2401.00588): a counter per tenant grows
 * by the weighted tokens it is served; the next request is taken from the tenant whose counter is
 * least. A tenant that comes back after having had nothing queued is lifted to the least counter of
 * those that queue, so nobody saves up credit. Between two tenants that always queue, the service
 * differs by at most 2 * max(w_in * longest prompt, w_out * tokens of a full batch).
 */
#ifndef RYZ_SCHED_FAIR_SHARE_H
#define RYZ_SCHED_FAIR_SHARE_H

#include "engine/sched/sched.h"

#define RYZ_FAIR_PROMPT_WEIGHT 1u /* w_in: a prompt token */
#define RYZ_FAIR_OUTPUT_WEIGHT 2u /* w_out: an output token */

struct ryz_fair_share {
    uint64_t service[RYZ_TENANTS_MAX]; /* weighted tokens, lifts included */
    uint32_t queued[RYZ_TENANTS_MAX];  /* waiting requests */
    uint64_t last_left;                /* counter of the tenant that emptied its queue last */
};

/* A request of `tenant` joins the queue; lifts the tenant if it had nothing there. */
void ryz_fair_share_queued(struct ryz_fair_share *share, uint16_t tenant);
/* The counter with which a request of `tenant` that joined now would stand in the queue. */
uint64_t ryz_fair_share_on_arrival(const struct ryz_fair_share *share, uint16_t tenant);
/* A request of `tenant` leaves the queue, started or not. */
void ryz_fair_share_unqueued(struct ryz_fair_share *share, uint16_t tenant);
/* Charges tokens of a prompt that starts, and of output. */
void ryz_fair_share_charge(struct ryz_fair_share *share, uint16_t tenant, uint32_t prompt_tokens,
                           uint32_t output_tokens);

#endif
