/* docs.c - docs/results.md from rows.h, so that page and file cannot differ. */
#include "harness/record/docs.h"

#include "engine/base/size.h"
#include "harness/record/rows.h"

static const char *const kind_names[] = {
    [RYZ_COL_U8] = "u8",       [RYZ_COL_U16] = "u16",   [RYZ_COL_U32] = "u32",
    [RYZ_COL_U64] = "u64",     [RYZ_COL_I8] = "i8",     [RYZ_COL_I16] = "i16",
    [RYZ_COL_I32] = "i32",     [RYZ_COL_I64] = "i64",   [RYZ_COL_F32] = "f32",
    [RYZ_COL_F64] = "f64",     [RYZ_COL_STR] = "text",  [RYZ_COL_BYTES] = "u8",
    [RYZ_COL_STATUS] = "enum", [RYZ_COL_SPAN] = "enum", [RYZ_COL_EVENT] = "enum",
    [RYZ_COL_SCHED] = "enum",
};

static const char intro[] =
    "# Results files\n\n"
    "Made by `ryz docs` from the tables in `harness/record/rows.h`.\n\n"
    "One HDF5 file per `ryz run`, all points and repeats of a sweep inside. Every table is one\n"
    "compound dataset of little-endian fixed types, so one line opens it:\n\n"
    "```python\n"
    "pandas.DataFrame(h5py.File(\"results/quickstart.h5\")[\"run0000/requests\"][:])\n"
    "```\n\n"
    "| where | what |\n| --- | --- |\n"
    "| `/` | attributes `schema` (`ryz-results/1`), `title`, `created_utc`; dataset `complete` |\n"
    "| `/provenance` | commit, compiler, flags, machine, seed, the scenario's bytes, `inputs` |\n"
    "| `/sweep/points` | the points of the grid |\n"
    "| `/runNNNN` | one group a point and repeat, with the tables below |\n"
    "| `/accuracy/runNNNN` | scored tokens |\n"
    "| `/targets` | the verdicts |\n\n"
    "Times are int64 nanoseconds since the run's `t0_mono_ns`; an absent time is INT64_MIN. Live\n"
    "files in `.live/` are HDF5 SWMR files: after a crash use `ryz results recover`, never\n"
    "`h5clear`, which can destroy them. Where a network file system refuses locks, set\n"
    "`HDF5_USE_FILE_LOCKING=FALSE`.\n";

static void write_table(FILE *out, const struct ryz_table_spec *spec)
{
    (void)fprintf(out,
                  "\n## %s\n\n%s.\n\n| column | type | unit | meaning |\n| --- | --- | --- | "
                  "--- |\n",
                  spec->name, spec->help);
    for (uint32_t i = 0; i < spec->column_count; i++) {
        const struct ryz_column *column = &spec->columns[i];
        (void)fprintf(out, "| `%s` | %s", column->name, kind_names[column->kind]);
        if (column->length > 0) (void)fprintf(out, "[%u]", column->length);
        (void)fprintf(out, " | %s | %s |\n", column->unit, column->meaning);
    }
}

static void write_statuses(FILE *out)
{
    static const char *const rows[][2] = {
#define X(name, value, text, help) {text, help},
        RYZ_REQUEST_STATUS_TABLE(X)
#undef X
    };
    (void)fputs("\n## How a request ended\n\n| status | meaning |\n| --- | --- |\n", out);
    for (size_t i = 0; i < RYZ_COUNT_OF(rows); i++) {
        (void)fprintf(out, "| `%s` | %s |\n", rows[i][0], rows[i][1]);
    }
}

static void write_events(FILE *out)
{
    static const char *const rows[][2] = {
#define X(name, value, text, help) {text, help},
        RYZ_RUN_EVENT_TABLE(X)
#undef X
    };
    (void)fputs("\n## Events of a run\n\n| kind | meaning |\n| --- | --- |\n", out);
    for (size_t i = 0; i < RYZ_COUNT_OF(rows); i++) {
        (void)fprintf(out, "| `%s` | %s |\n", rows[i][0], rows[i][1]);
    }
}

void ryz_results_write_docs(FILE *out)
{
    (void)fputs(intro, out);
    write_statuses(out);
    write_events(out);
    for (int table = 0; table < RYZ_TABLE_COUNT; table++) {
        write_table(out, ryz_table_spec((enum ryz_table)table));
    }
}
