/*
 * test_queueing.c - goal: the simulator agrees with queueing theory where theory is exact. Method:
 * one place, steps of one fixed length and Poisson arrivals make an M/D/1 queue, whose mean wait is
 * rho * D / (2 * (1 - rho)).
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "simulators/sim.h"

#include <criterion/criterion.h>
#include <math.h>

#define SERVICE_NS RYZ_NS_PER_MS

struct queue {
    struct ryz_sim *sim;
    struct ryz_rng rng;
    double rate;     /* per ns */
    double clock_ns; /* of the last arrival, unrounded: rounding must not add up */
    uint64_t left, done;
    int64_t arrived_ns[1024]; /* by id modulo its size, which no queue here reaches */
    double wait_sum_ns;
    double in_system_ns; /* integral of the number in the system over time */
    int64_t last_ns;
    uint32_t in_system;
};

static int64_t fixed_cost(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    (void)shape;
    return SERVICE_NS;
}

static void advance(struct queue *queue, int64_t now_ns)
{
    queue->in_system_ns += (double)queue->in_system * (double)(now_ns - queue->last_ns);
    queue->last_ns = now_ns;
}

static void submit_next(struct queue *queue)
{
    if (queue->left == 0) return;
    queue->clock_ns += -log(1.0 - ryz_rng_unit(&queue->rng)) / queue->rate;
    struct ryz_sim_request request = {
        .id = queue->left--,
        .at_ns = (int64_t)queue->clock_ns,
        .deadline_ns = RYZ_TIME_NEVER,
        .timeout_ns = RYZ_TIME_NEVER,
        .prompt_tokens = 1,
        .output_tokens = 1,
        .output_tokens_max = 1,
    };
    cr_assert_eq(ryz_sim_submit(queue->sim, &request, NULL), RYZ_OK);
}

static void on_admitted(void *context, uint64_t id, int64_t now_ns)
{
    struct queue *queue = context;
    advance(queue, now_ns);
    queue->in_system++;
    cr_assert_lt(queue->in_system, 1024u);
    queue->arrived_ns[id % 1024] = now_ns;
    submit_next(queue);
}

static void on_done(void *context, uint64_t id, int64_t now_ns, enum ryz_status status,
                    const struct ryz_waste *waste)
{
    struct queue *queue = context;
    (void)waste;
    cr_assert_eq(status, RYZ_OK);
    advance(queue, now_ns);
    queue->in_system--;
    queue->wait_sum_ns += (double)(now_ns - SERVICE_NS - queue->arrived_ns[id % 1024]);
    queue->done++;
}

static struct queue queue;

/* Mean wait in units of the service time. */
static double mean_wait(double load, uint64_t requests, uint64_t seed)
{
    struct ryz_sim_config config = {
        .core = {.limits = {.batch_requests_max = 1,
                            .batch_tokens_max = 16,
                            .prefill_chunk_max = 16,
                            .kv_block_tokens = 4,
                            .kv_blocks = 4,
                            .queue_requests_max = 1023,
                            .context_tokens_max = 16,
                            .step_ns_max = RYZ_TIME_NEVER,
                            .admit_late = true},
                 .policy = "fcfs"},
        .world = {.step_ns = fixed_cost},
    };
    const struct ryz_sim_callbacks callbacks = {
        .context = &queue, .admitted = on_admitted, .done = on_done};
    queue = (struct queue){.rate = load / (double)SERVICE_NS, .left = requests};
    ryz_rng_init(&queue.rng, seed, 0);
    cr_assert_eq(ryz_sim_open(&config, &callbacks, &queue.sim, NULL), RYZ_OK);
    submit_next(&queue);
    ryz_sim_run(queue.sim, RYZ_TIME_NEVER);
    ryz_sim_close(queue.sim);
    cr_assert_eq(queue.done, requests);
    return queue.wait_sum_ns / (double)requests / (double)SERVICE_NS;
}

Test(queueing, the_mean_wait_is_that_of_an_m_d_1_queue)
{
    static const double loads[] = {0.3, 0.5, 0.7};
    for (size_t i = 0; i < 3; i++) {
        double theory = loads[i] / (2.0 * (1.0 - loads[i]));
        double wait = mean_wait(loads[i], 400000, 11 + i);
        cr_assert_lt(fabs(wait / theory - 1.0), 0.02, "load %g: %g against %g", loads[i], wait,
                     theory);
    }
}

Test(queueing, little_s_law_holds)
{
    double wait = mean_wait(0.6, 100000, 21);
    double mean_in_system = queue.in_system_ns / (double)queue.last_ns;
    double throughput = (double)queue.done / (double)queue.last_ns;
    double law = throughput * (wait + 1.0) * (double)SERVICE_NS;
    cr_assert_lt(fabs(mean_in_system / law - 1.0), 1e-6, "%g against %g", mean_in_system, law);
}
