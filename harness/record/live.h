/*
 * live.h - the layout of a live file, shared by its writer and its reader. Private to
 * harness/record.
 *
 *   / @schema         /provenance (attributes, scenario_ini)      /run (attributes, live tables)
 *   /acked    u64[]   rows of each table that were flushed; readers clip to it
 *   /dropped  u64[]   rows the recorder could not take
 *   /closed   u8      1: closed in order
 * The order of acked and dropped is given by their attribute `tables`. Everything exists before
 * SWMR starts, for afterwards HDF5 takes no new objects.
 */
#ifndef RYZ_HARNESS_RECORD_LIVE_H
#define RYZ_HARNESS_RECORD_LIVE_H

#define RYZ_LIVE_SCHEMA     "ryz-live/1"
#define RYZ_LIVE_TABLES_MAX 32

#endif
