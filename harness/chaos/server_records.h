/*
 * server_records.h - fetches a spawned server's steps and spans while it runs, so that a killed
 * server takes no more than the last moment's with it.
 */
#ifndef RYZ_HARNESS_CHAOS_SERVER_RECORDS_H
#define RYZ_HARNESS_CHAOS_SERVER_RECORDS_H

#include "harness/chaos/control_client.h"

struct ryz_server_records;

/* Fetches twice a second on a thread of its own; the callbacks of `sink` run there. */
RYZ_MUST_USE enum ryz_status ryz_server_records_open(const char *control_path,
                                                     const struct ryz_control_records *sink,
                                                     struct ryz_server_records **out,
                                                     struct ryz_error *error);
/* Fetches once more and ends. *dropped (may be NULL): records that the server could not keep;
 * *failed (may be NULL): fetches that got no answer. NULL is allowed. */
void ryz_server_records_close(struct ryz_server_records *records, uint64_t *dropped,
                              uint64_t *failed);

#endif
