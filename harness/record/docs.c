/* docs.c - see docs.h. */
#include "harness/record/docs.h"

#include "harness/record/provenance.h"
#include "harness/record/results_file.h"
#include "harness/record/rows.h"

#include <string.h>

static const char head[] =
    "# Results files\n"
    "\n"
    "Made from the tables in `harness/record/rows.h`; `ryz docs` writes it anew.\n"
    "\n"
    "One HDF5 file per `ryz run`, schema `" RYZ_RESULTS_SCHEMA
    "`. It has its name only when it is\n"
    "whole. Rows are compounds of little-endian fixed types, texts are fixed-length strings, "
    "enums\n"
    "are HDF5 enums with their names again in the attribute `names_COLUMN`; so h5py, pandas, "
    "Octave\n"
    "and Julia read a table in one line. Chunks are shuffled, deflated (1) and checksummed\n"
    "(fletcher32). Every table has the attributes `title`, `columns`, `units` and `long_name`.\n"
    "\n"
    "```\n"
    "/                    @schema @title @created_utc @Conventions @default; complete (u8)\n"
    "/provenance          attributes below; scenario_ini (bytes as written), inputs (table)\n"
    "/sweep               @axes; points (table)\n"
    "/run0000 ...         one group per point and repeat: @point @repeat @seed @valid\n"
    "                     @invalid_reason @complete @t0_utc_ns @t0_mono_ns @label @driver @model\n"
    "                     @phases, @dropped_TABLE where the recorder lost rows; tables of the run\n"
    "/accuracy/run0000    scored tokens (table `accuracy`)\n"
    "/targets, /compare   tables\n"
    "```\n"
    "\n"
    "Times are int64 nanoseconds since the run's t0 (CLOCK_MONOTONIC `t0_mono_ns`, wall clock\n"
    "`t0_utc_ns`); absent is INT64_MIN. Raw times are stored and everything else is derived: with\n"
    "columns of `requests`, ttft = t_first - t_sched and end to end = t_done - t_sched.\n"
    "`requests` is sorted by id, `tokens` by request; `tok_first` and `tok_count` index into it.\n"
    "\n"
    "```python\n"
    "import h5py, pandas\n"
    "f = h5py.File('results/run.h5')\n"
    "steps = pandas.DataFrame(f['run0000/engine'][:])\n"
    "```\n"
    "\n"
    "`notebooks/ryz.py` does the same for tables with 16-byte trace ids, and decodes enums.\n"
    "\n"
    "## While it runs\n"
    "\n"
    "A run is written to a live file (`.live/`, SWMR) first, flushed at least every 100 ms and "
    "synced\n"
    "every second. `acked` holds the rows of each table that were flushed; readers must clip to "
    "it.\n"
    "After a crash `ryz results recover LIVE OUT` writes every acknowledged row into an ordinary "
    "file\n"
    "with complete = 0. Never run h5clear on a live file: it can cut the file to its head.\n"
    "If a file system has no locks, set HDF5_USE_FILE_LOCKING=FALSE.\n";

static const char *type_text(const struct ryz_column *column, char *text, size_t capacity)
{
    switch (column->kind) {
    case RYZ_COL_U8:
        return "u1";
    case RYZ_COL_U16:
        return "u2";
    case RYZ_COL_U32:
        return "u4";
    case RYZ_COL_U64:
        return "u8";
    case RYZ_COL_I8:
        return "i1";
    case RYZ_COL_I16:
        return "i2";
    case RYZ_COL_I32:
        return "i4";
    case RYZ_COL_I64:
        return "i8";
    case RYZ_COL_F32:
        return "f4";
    case RYZ_COL_F64:
        return "f8";
    case RYZ_COL_STATUS:
    case RYZ_COL_SPAN:
    case RYZ_COL_EVENT:
        return "enum u2";
    case RYZ_COL_SCHED:
        return "enum u4";
    case RYZ_COL_STR:
        snprintf(text, capacity, "S%u", column->length);
        return text;
    case RYZ_COL_BYTES:
        snprintf(text, capacity, "u1[%u]", column->length);
        return text;
    }
    return "";
}

static void write_table(FILE *out, const struct ryz_table_spec *spec)
{
    fprintf(out, "\n### %s\n\n%s.\n\n| column | type | unit | meaning |\n|---|---|---|---|\n",
            spec->name, spec->help);
    for (uint32_t i = 0; i < spec->column_count; i++) {
        const struct ryz_column *column = &spec->columns[i];
        char text[16];
        fprintf(out, "| `%s` | %s | %s | %s |\n", column->name,
                type_text(column, text, sizeof text), column->unit, column->meaning);
    }
}

static void write_enums(FILE *out)
{
    (void)fputs("\n## Enums\n\n### requests.status\n\n| name | value | meaning |\n|---|---|---|\n",
                out);
#define X(name, value, text, help) fprintf(out, "| `%s` | %d | %s |\n", text, value, help);
    RYZ_REQUEST_STATUS_TABLE(X)
#undef X
    (void)fputs("\n### events.kind\n\n| name | value | who, value and note |\n|---|---|---|\n",
                out);
#define X(name, value, text, help) fprintf(out, "| `%s` | %d | %s |\n", text, value, help);
    RYZ_RUN_EVENT_TABLE(X)
#undef X
    (void)fputs("\n### spans.name\n\n| name | value | what it covers |\n|---|---|---|\n", out);
#define X(name, text, help) fprintf(out, "| `%s` | %d | %s |\n", text, RYZ_SPAN_##name, help);
    RYZ_SPAN_TABLE(X)
#undef X
    (void)fputs("\n### sched_log.kind\n\n| name | value |\n|---|---|\n", out);
#define X(value, text) fprintf(out, "| `%s` | %d |\n", text, value);
    RYZ_SCHED_EVENT_TABLE(X)
#undef X
}

void ryz_results_write_docs(FILE *out)
{
    (void)fputs(head, out);
    (void)fputs("\n## Provenance\n\n| attribute | meaning |\n|---|---|\n", out);
#define X(name, bytes, help) fprintf(out, "| `%s` | %s |\n", #name, help);
    RYZ_PROVENANCE_TEXTS(X)
#undef X
    (void)fputs("| `title` | title of the scenario |\n| `cores` | processors online |\n"
                "| `ram_bytes` | memory of the host |\n| `seed` | seed of the scenario |\n",
                out);
    (void)fputs("\n## Tables of a run, recorded while it runs\n", out);
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++)
        write_table(out, ryz_table_spec((enum ryz_table)t));
    (void)fputs("\n## Tables written afterwards\n", out);
    for (int t = RYZ_TABLE_LIVE_COUNT; t < RYZ_TABLE_COUNT; t++)
        write_table(out, ryz_table_spec((enum ryz_table)t));
    write_enums(out);
}
