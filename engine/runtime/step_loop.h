/* step_loop.h - the engine thread. */
#ifndef RYZ_RUNTIME_STEP_LOOP_H
#define RYZ_RUNTIME_STEP_LOOP_H

/* pthread start routine; `argument` is the struct ryz_engine, opened. Returns NULL once the engine
 * is stopping and every request has had its end. */
void *ryz_step_loop(void *argument);

#endif
