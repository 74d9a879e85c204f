/*
 * recorder.c - the ring, the writer thread and the live file.
 *
 * The writer's loop: pop rows into one packed buffer per table; append a buffer when it is full or
 * at the next flush; flush the data, then the counts; sync. What a reader of a killed file relies
 * on is only that order.
 */
#include "harness/record/recorder.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/clock.h"
#include "engine/base/ring.h"
#include "harness/record/folder.h"
#include "harness/record/h5.h"
#include "harness/record/live.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RING_ROWS_DEFAULT 32768u
#define BLOCK_NS_DEFAULT  (200 * RYZ_NS_PER_MS)
#define FLUSH_NS          (80 * RYZ_NS_PER_MS)
#define SYNC_NS           RYZ_NS_PER_S
#define POPS_MAX          8192u /* rows between two looks at the clock */

_Static_assert(RYZ_TABLE_LIVE_COUNT <= RYZ_LIVE_TABLES_MAX, "live.h's bound");

struct item {
    uint32_t table;
    union {
#define X(name, dataset, type, columns, chunk, help) struct type row_##name;
        RYZ_LIVE_TABLES(X)
#undef X
    } row;
};

/* One table on its way to disk; owned by the writer thread. */
struct stage {
    const struct ryz_table_spec *spec;
    hid_t dataset, type;
    uint8_t *packed; /* chunk_rows packed rows */
    size_t packed_bytes, staged;
    uint64_t written; /* rows appended to the dataset */
    bool dirty;       /* appended to since the last flush */
};

struct ryz_recorder {
    struct ryz_ring *ring;
    int64_t block_ns;
    pthread_t thread;
    atomic_bool stop;
    _Atomic uint64_t acked[RYZ_TABLE_LIVE_COUNT];
    _Atomic uint64_t dropped[RYZ_TABLE_LIVE_COUNT];
    /* Owned by the writer thread while it runs: */
    hid_t file, acked_set, dropped_set, closed_set;
    int fd;
    struct stage stages[RYZ_TABLE_LIVE_COUNT];
    enum ryz_status status; /* first failure */
    struct ryz_error error;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * RYZ_NS_PER_S + t.tv_nsec;
}

static void pause_ns(long ns)
{
    const struct timespec t = {.tv_nsec = ns};
    nanosleep(&t, NULL);
}

/* ---- any thread ---- */

bool ryz_recorder_push(struct ryz_recorder *recorder, enum ryz_table table, const void *row)
{
    struct item item;
    if (recorder == NULL) return true;
    RYZ_ASSERT((unsigned)table < RYZ_TABLE_LIVE_COUNT);
    item.table = table;
    memcpy(&item.row, row, ryz_table_spec(table)->row_bytes);
    if (ryz_ring_push(recorder->ring, &item)) return true;
    int64_t deadline = now_ns() + recorder->block_ns;
    while (now_ns() < deadline) {
        pause_ns(100 * RYZ_NS_PER_US);
        if (ryz_ring_push(recorder->ring, &item)) return true;
    }
    ryz_add_relaxed(&recorder->dropped[table], 1);
    return false;
}

void ryz_recorder_acked(const struct ryz_recorder *recorder, uint64_t counts[RYZ_TABLE_LIVE_COUNT])
{
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++)
        counts[t] = ryz_load_acquire(&recorder->acked[t]);
}

uint64_t ryz_recorder_dropped(const struct ryz_recorder *recorder)
{
    uint64_t sum = 0;
    for (int t = 0; recorder != NULL && t < RYZ_TABLE_LIVE_COUNT; t++)
        sum += ryz_load_relaxed(&recorder->dropped[t]);
    return sum;
}

/* ---- writer thread ---- */

/* After a failure rows are taken and dropped, so that the load goes on and the run is invalid. */
static void fail(struct ryz_recorder *recorder, enum ryz_status status)
{
    if (recorder->status == RYZ_OK) recorder->status = status;
}

static void append_staged(struct ryz_recorder *recorder, struct stage *stage)
{
    struct ryz_error *error = recorder->status == RYZ_OK ? &recorder->error : NULL;
    if (stage->staged == 0) return;
    enum ryz_status status = recorder->status;
    if (status == RYZ_OK)
        status = ryz_h5_table_append(stage->dataset, stage->type, stage->written, stage->packed,
                                     stage->staged, error);
    if (status == RYZ_OK) {
        stage->written += stage->staged;
        stage->dirty = true;
    } else {
        ryz_add_relaxed(&recorder->dropped[stage - recorder->stages], stage->staged);
        fail(recorder, status);
    }
    stage->staged = 0;
}

static size_t take_rows(struct ryz_recorder *recorder)
{
    struct item item;
    size_t taken = 0;
    while (taken < POPS_MAX && ryz_ring_pop(recorder->ring, &item)) {
        struct stage *stage = &recorder->stages[item.table];
        ryz_h5_pack(stage->spec, &item.row, 1, stage->packed + stage->staged * stage->packed_bytes);
        if (++stage->staged == stage->spec->chunk_rows) append_staged(recorder, stage);
        taken++;
    }
    return taken;
}

static bool write_counts(hid_t dataset, const uint64_t counts[RYZ_TABLE_LIVE_COUNT])
{
    return H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, counts) >= 0 &&
           H5Dflush(dataset) >= 0;
}

/* Data first, counts second, acknowledgement last. After a failure nothing more is acknowledged:
 * the library may have thrown the rows away and report the next flush as good. */
static void flush(struct ryz_recorder *recorder)
{
    uint64_t counts[RYZ_TABLE_LIVE_COUNT], dropped[RYZ_TABLE_LIVE_COUNT];
    bool dirty = false, ok = true;
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) append_staged(recorder, &recorder->stages[t]);
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT && recorder->status == RYZ_OK; t++) {
        struct stage *stage = &recorder->stages[t];
        if (stage->dirty) ok = ok && H5Dflush(stage->dataset) >= 0;
        dirty |= stage->dirty;
        stage->dirty = false;
        counts[t] = stage->written;
        dropped[t] = ryz_load_relaxed(&recorder->dropped[t]);
    }
    if (!dirty || recorder->status != RYZ_OK) return;
    ok = ok && write_counts(recorder->dropped_set, dropped);
    ok = ok && write_counts(recorder->acked_set, counts);
    if (!ok)
        recorder->status =
            ryz_h5_fail(&recorder->error, RYZ_IO, "cannot flush the live file; is the disk full?");
    for (int t = 0; ok && t < RYZ_TABLE_LIVE_COUNT; t++)
        ryz_store_release(&recorder->acked[t], counts[t]);
}

static void sync_file(struct ryz_recorder *recorder)
{
    if (recorder->fd < 0 || fdatasync(recorder->fd) == 0) return;
    if (recorder->status == RYZ_OK)
        recorder->status =
            ryz_fail_errno(&recorder->error, RYZ_IO, errno, "cannot sync the live file");
}

static void *write_rows(void *context)
{
    struct ryz_recorder *recorder = context;
    int64_t flushed_ns = now_ns(), synced_ns = flushed_ns;
    ryz_h5_quiet();
    for (;;) {
        bool stopping = ryz_load_acquire(&recorder->stop);
        size_t taken = take_rows(recorder);
        int64_t now = now_ns();
        if (now - flushed_ns >= FLUSH_NS) {
            flush(recorder);
            flushed_ns = now_ns();
        }
        if (now - synced_ns >= SYNC_NS) {
            sync_file(recorder);
            synced_ns = now_ns();
        }
        if (taken == 0 && stopping) break;
        if (taken == 0) pause_ns(2 * RYZ_NS_PER_MS);
    }
    flush(recorder);
    return NULL;
}

/* ---- opening ---- */

static hid_t create_small(hid_t file, const char *name, hid_t type, hsize_t length)
{
    hid_t space = H5Screate_simple(1, &length, NULL);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set = -1;
    /* Early allocation: under SWMR a dataset must not get its space later. */
    if (space >= 0 && list >= 0 && H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) >= 0)
        set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (list >= 0) H5Pclose(list);
    if (space >= 0) H5Sclose(space);
    return set;
}

static bool create_counts(hid_t file, const char *name)
{
    const char *names[RYZ_TABLE_LIVE_COUNT];
    const uint64_t zeros[RYZ_TABLE_LIVE_COUNT] = {0};
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++)
        names[t] = ryz_table_spec((enum ryz_table)t)->name;
    hid_t set = create_small(file, name, H5T_STD_U64LE, RYZ_TABLE_LIVE_COUNT);
    bool ok = set >= 0 && ryz_h5_set_texts(set, "tables", names, RYZ_TABLE_LIVE_COUNT) &&
              H5Dwrite(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0;
    if (set >= 0) H5Dclose(set);
    return ok;
}

/* Everything that has to exist before SWMR starts. */
static enum ryz_status create_layout(hid_t file, const struct ryz_recorder_options *options,
                                     struct ryz_error *error)
{
    const uint8_t zero = 0;
    hid_t provenance = H5Gcreate2(file, "provenance", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t run = H5Gcreate2(file, "run", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t closed = create_small(file, "closed", H5T_STD_U8LE, 1);
    enum ryz_status status = RYZ_OK;
    if (provenance < 0 || run < 0 || closed < 0 ||
        !ryz_h5_set_text(file, "schema", RYZ_LIVE_SCHEMA) ||
        !ryz_h5_info_write(run, options->info) || !create_counts(file, "acked") ||
        !create_counts(file, "dropped") ||
        H5Dwrite(closed, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, &zero) < 0)
        status = ryz_h5_fail(error, RYZ_IO, "cannot lay out the live file");
    if (status == RYZ_OK) status = ryz_h5_provenance_write(provenance, options->provenance, error);
    for (int t = 0; status == RYZ_OK && t < RYZ_TABLE_LIVE_COUNT; t++) {
        const struct ryz_table_spec *spec = ryz_table_spec((enum ryz_table)t);
        hid_t dataset = -1;
        status = ryz_h5_table_create(run, spec, spec->name, true, &dataset, error);
        if (dataset >= 0) H5Dclose(dataset);
    }
    if (closed >= 0) H5Dclose(closed);
    if (run >= 0) H5Gclose(run);
    if (provenance >= 0) H5Gclose(provenance);
    return status;
}

static enum ryz_status open_sets(struct ryz_recorder *recorder, struct ryz_error *error)
{
    bool ok = true;
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        struct stage *stage = &recorder->stages[t];
        char path[64] = "/run/";
        strncat(path, stage->spec->name, sizeof path - 8);
        stage->dataset = H5Dopen2(recorder->file, path, H5P_DEFAULT);
        stage->type = ryz_h5_file_type(stage->spec);
        ok = ok && stage->dataset >= 0 && stage->type >= 0;
    }
    recorder->acked_set = H5Dopen2(recorder->file, "acked", H5P_DEFAULT);
    recorder->dropped_set = H5Dopen2(recorder->file, "dropped", H5P_DEFAULT);
    recorder->closed_set = H5Dopen2(recorder->file, "closed", H5P_DEFAULT);
    if (ok && recorder->acked_set >= 0 && recorder->dropped_set >= 0 && recorder->closed_set >= 0)
        return RYZ_OK;
    return ryz_h5_fail(error, RYZ_IO, "cannot open the tables of the live file");
}

static enum ryz_status open_file(struct ryz_recorder *recorder,
                                 const struct ryz_recorder_options *options,
                                 struct ryz_error *error)
{
    enum ryz_status status = ryz_folder_make_parent(options->live_path, error);
    if (status != RYZ_OK) return status;
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list < 0 || H5Pset_libver_bounds(list, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) < 0)
        return ryz_h5_fail(error, RYZ_NO_MEMORY, "HDF5 gives no property list");
    recorder->file = H5Fcreate(options->live_path, H5F_ACC_EXCL, H5P_DEFAULT, list);
    H5Pclose(list);
    if (recorder->file < 0)
        return ryz_h5_fail(error, RYZ_IO,
                           "cannot create the live file %s; if its file system has "
                           "no locks, set HDF5_USE_FILE_LOCKING=FALSE",
                           options->live_path);
    status = create_layout(recorder->file, options, error);
    if (status != RYZ_OK) return status;
    if (H5Fstart_swmr_write(recorder->file) < 0)
        return ryz_h5_fail(error, RYZ_IO, "cannot start SWMR on %s", options->live_path);
    void *handle = NULL;
    if (H5Fget_vfd_handle(recorder->file, H5P_DEFAULT, &handle) >= 0 && handle != NULL)
        recorder->fd = *(int *)handle;
    return open_sets(recorder, error);
}

static void close_file(struct ryz_recorder *recorder)
{
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        struct stage *stage = &recorder->stages[t];
        if (stage->dataset >= 0) H5Dclose(stage->dataset);
        if (stage->type >= 0) H5Tclose(stage->type);
        stage->dataset = stage->type = -1;
    }
    if (recorder->acked_set >= 0) H5Dclose(recorder->acked_set);
    if (recorder->dropped_set >= 0) H5Dclose(recorder->dropped_set);
    if (recorder->closed_set >= 0) H5Dclose(recorder->closed_set);
    if (recorder->file >= 0 && H5Fclose(recorder->file) < 0 && recorder->status == RYZ_OK)
        recorder->status = ryz_h5_fail(&recorder->error, RYZ_IO, "cannot close the live file");
    recorder->file = -1;
}

static void free_recorder(struct ryz_recorder *recorder)
{
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) free(recorder->stages[t].packed);
    ryz_ring_close(recorder->ring);
    free(recorder);
}

static enum ryz_status prepare(struct ryz_recorder *recorder,
                               const struct ryz_recorder_options *options, struct ryz_error *error)
{
    size_t rows = options->ring_rows > 0 ? options->ring_rows : RING_ROWS_DEFAULT;
    recorder->block_ns = options->block_ns > 0 ? options->block_ns : BLOCK_NS_DEFAULT;
    recorder->file = recorder->acked_set = recorder->dropped_set = recorder->closed_set = -1;
    recorder->fd = -1;
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        struct stage *stage = &recorder->stages[t];
        stage->spec = ryz_table_spec((enum ryz_table)t);
        stage->dataset = stage->type = -1;
        stage->packed_bytes = ryz_h5_packed_bytes(stage->spec);
    }
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        struct stage *stage = &recorder->stages[t];
        stage->packed = malloc(stage->packed_bytes * stage->spec->chunk_rows);
        if (stage->packed == NULL)
            return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a recorder");
    }
    return ryz_ring_open(rows, sizeof(struct item), &recorder->ring, error);
}

enum ryz_status ryz_recorder_open(const struct ryz_recorder_options *options,
                                  struct ryz_recorder **out, struct ryz_error *error)
{
    *out = NULL;
    ryz_h5_quiet();
    struct ryz_recorder *recorder = calloc(1, sizeof *recorder);
    if (recorder == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a recorder");
    enum ryz_status status = prepare(recorder, options, error);
    if (status == RYZ_OK) status = open_file(recorder, options, error);
    if (status == RYZ_OK) {
        int result = pthread_create(&recorder->thread, NULL, write_rows, recorder);
        if (result != 0)
            status = ryz_fail_errno(error, RYZ_NO_MEMORY, result, "cannot start the writer thread");
    }
    if (status != RYZ_OK) {
        close_file(recorder);
        free_recorder(recorder);
        return status;
    }
    *out = recorder;
    return RYZ_OK;
}

/* After a failed write HDF5's close would mark the file as whole with an end it never reached, and
 * no reader could open it. Its descriptor is pointed at memory first, which leaves the file as a
 * killed process would: readable up to the acknowledged rows. */
static void protect_file(const struct ryz_recorder *recorder)
{
    int memory = memfd_create("ryz-live", MFD_CLOEXEC);
    if (memory < 0) return;
    if (recorder->fd >= 0 && dup2(memory, recorder->fd) < 0) errno = 0;
    close(memory);
}

enum ryz_status ryz_recorder_close(struct ryz_recorder *recorder, struct ryz_error *error)
{
    const uint8_t one = 1;
    if (recorder == NULL) return RYZ_OK;
    ryz_h5_quiet();
    ryz_store_release(&recorder->stop, true);
    pthread_join(recorder->thread, NULL);
    if (recorder->status == RYZ_OK &&
        H5Dwrite(recorder->closed_set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, &one) < 0)
        recorder->status = ryz_h5_fail(&recorder->error, RYZ_IO, "cannot complete the live file");
    if (recorder->status == RYZ_OK && H5Fflush(recorder->file, H5F_SCOPE_LOCAL) < 0)
        recorder->status = ryz_h5_fail(&recorder->error, RYZ_IO, "cannot flush the live file");
    sync_file(recorder);
    if (recorder->status != RYZ_OK) protect_file(recorder);
    close_file(recorder);
    enum ryz_status status = recorder->status;
    if (status != RYZ_OK) {
        if (error != NULL) *error = recorder->error;
    }
    free_recorder(recorder);
    return status;
}
