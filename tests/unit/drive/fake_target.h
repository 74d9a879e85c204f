/*
 * fake_target.h - a target in virtual time, so that the pacer's timing can be asserted exactly.
 *
 * The clock moves 1 us each time it is read (spinning ends) and jumps when the pacer waits. A
 * request gets its first token after first_ns, the others every gap_ns. During a stall nothing
 * moves: submit itself blocks until it is over, as a full socket buffer would.
 */
#ifndef RYZ_TESTS_DRIVE_FAKE_TARGET_H
#define RYZ_TESTS_DRIVE_FAKE_TARGET_H

#include "harness/drive/pacer.h"

#define FAKE_ROWS_MAX 20000

struct fake_target {
    struct ryz_target base;
    struct ryz_clock clock;
    int64_t now_ns;
    int64_t first_ns, gap_ns;
    int64_t stall_begin_ns, stall_end_ns;
    enum ryz_status refuse_with; /* OK: answers */
    bool silent;                 /* takes requests and never answers */
    bool holds_ghosts;           /* does not even answer a cancel */
    bool knows_ids;
    struct ryz_ask last; /* as submitted; what it points to may be gone */
    uint32_t inside, most_inside, cancels, submitted;
    struct ryz_answer *answers; /* (answer_count) to come */
    size_t answer_count, answer_capacity;
    void **cancelled; /* flights */
    size_t cancelled_count;

    /* What the sink saw. */
    struct ryz_request_row rows[FAKE_ROWS_MAX];
    uint32_t row_count;
    uint64_t tokens, spans, failures, progresses;
    uint32_t begins, ends;
};

void fake_open(struct fake_target *fake);
void fake_close(struct fake_target *fake);
/* A sink that fills the fields above. */
struct ryz_drive_sink fake_sink(struct fake_target *fake);

#endif
