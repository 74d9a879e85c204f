/*
 * docs.c - docs/scenario.md, from the same rows that the reader uses.
 *
 * Leaves to others: where it is written. A test compares the file in the repository with what this
 * writes, so the page cannot fall behind.
 */
#include "harness/scenario/docs.h"

#include "engine/base/units.h"
#include "harness/scenario/keys.h"

#include <string.h>

static const char grammar[] =
    "# Scenario files\n"
    "\n"
    "This page is written by `ryz docs` from the table of keys in `harness/scenario/keys.h`; "
    "change\n"
    "it there. A test compares the two.\n"
    "\n"
    "A scenario says what is served, which traffic arrives, what goes wrong, what is swept and\n"
    "what must hold. `ryz check FILE` prints every mistake in it, or the expanded plan.\n"
    "\n"
    "## Rules\n"
    "\n"
    "- `key = value` lines under `[section]` headers; `;` starts a comment, at the start of a "
    "line\n"
    "  or after a blank; `#` only at the start of a line. A line has up to 190 bytes, is not\n"
    "  indented, and the file is UTF-8.\n"
    "- A key or section that is not on this page is refused, and so is a key given twice.\n"
    "- Every quantity carries its unit: times `ns us ms s min h`, rates `/s /min /h`, ratios\n"
    "  `% x`, sizes `B KiB MiB GiB kB MB GB`. Counts, tokens and factors may stand bare.\n"
    "- Lists are separated by blanks.\n"
    "- Names (of scenarios, `[traffic.NAME]`, `[fault.NAME]`) have up to 31 characters of `a-z`,\n"
    "  `0-9` and `_`.\n"
    "- Any key of `[engine] [model] [traffic.*] [fault.*] [accuracy]` has a dot path,\n"
    "  `engine.max_batch` or `traffic.main.rate`. It is set on the command line with\n"
    "  `--set traffic.main.rate=20/s` (which wins over the file), or swept under `[sweep]`.\n"
    "- `include = other.ini` in `[scenario]` reads other files first, one level deep; keys of the\n"
    "  including file win.\n"
    "- Data paths are looked for beside the file that names them, then below `$RYZ_DATA`, then\n"
    "  below the current directory.\n";

static const char sweep_text[] =
    "Besides the keys below, `[sweep]` takes dot paths as keys; each is an axis of the grid with "
    "up\n"
    "to 32 values, up to 6 axes and 4096 points. Units follow their number without a blank\n"
    "(`5/s 10/s`); values with blanks in them are separated by ` | `. The last axis varies\n"
    "fastest.\n"
    "\n"
    "```ini\n"
    "[sweep]\n"
    "engine.max_batch    = 1 4 16\n"
    "traffic.main.rate   = 2/s 4/s\n"
    "traffic.main.prompt = fixed 64 | uniform 64..512\n"
    "```\n"
    "\n";

static const char targets_text[] =
    "Each line is `metric = OP value` with OP one of `<= >= == < >`; the metric is\n"
    "`[traffic.|value.]quantity.statistic`, words of `a-z 0-9 _` joined by dots (and the\n"
    "units of a swept rate or size, `5/s`, `64MiB`). Up to 64.\n"
    "\n"
    "```ini\n"
    "[targets]\n"
    "ttft.p99      = <= 250 ms\n"
    "goodput.ratio = >= 99 %\n"
    "```\n"
    "\n"
    "A bound can be a multiple of another metric, `metric = OP FACTOR of metric [+ metric]`, with "
    "the\n"
    "factor in `x` or `%`:\n"
    "\n"
    "```ini\n"
    "[sweep]\n"
    "engine.scheduler  = fcfs edf\n"
    "traffic.low.rate  = 1/s 60/s\n"
    "[targets]\n"
    "edf.deadline.goodput   = >= 1.5 x of fcfs.deadline.goodput\n"
    "edf.60/s.high.ttft.p99 = <= 120 % of edf.1/s.high.ttft.p99 + edf.60/s.step.max\n"
    "```\n"
    "\n"
    "- The metric on the right has a scope of its own. Axes that it does not name keep the value "
    "of\n"
    "  the point that is judged: the first line above compares at 1/s, and at 60/s.\n"
    "- It is judged whether the metric keeps `FACTOR x reference + addend`. The result shows both "
    "sides\n"
    "  divided by the reference: `got` is metric / reference, `want` is FACTOR + addend / "
    "reference;\n"
    "  `why` shows the values.\n"
    "- All metrics of a line have one unit, and each needs its own number of samples. Where one "
    "was\n"
    "  not measured the target is not applicable; where the reference is 0 or of failed requests "
    "it\n"
    "  is INVALID.\n"
    "- Bounds of this kind say nothing on how late the generator may send: add a "
    "`harness.lag.p99`\n"
    "  target.\n";

static enum ryz_unit_kind unit_of(enum ryz_value_type type)
{
    switch (type) {
    case RYZ_VALUE_TIME:
        return RYZ_UNIT_TIME;
    case RYZ_VALUE_RATE:
        return RYZ_UNIT_RATE;
    case RYZ_VALUE_BYTES:
        return RYZ_UNIT_BYTES;
    case RYZ_VALUE_SHARE:
        return RYZ_UNIT_RATIO;
    default:
        return RYZ_UNIT_COUNT;
    }
}

/* What may be written: the words, or the type with its range. */
static void write_value(const struct ryz_key *key, FILE *out)
{
    bool number =
        key->low < key->high && key->type != RYZ_VALUE_SEED && key->type != RYZ_VALUE_WINDOW;
    bool listed = key->type == RYZ_VALUE_WORD || key->type == RYZ_VALUE_WORDS ||
                  key->type == RYZ_VALUE_ENUM ||
                  (key->type == RYZ_VALUE_BOOL && key->words[0] != '\0');
    if (listed) {
        (void)fprintf(out, "`%s`", key->words);
        return;
    }
    (void)fprintf(out, "%s", ryz_value_type_text(key->type));
    if (number) {
        char low[32], high[32];
        ryz_units_format(key->low, unit_of(key->type), low, sizeof low);
        ryz_units_format(key->high, unit_of(key->type), high, sizeof high);
        (void)fprintf(out, "; %s to %s", low, high);
    }
    if (key->words[0] != '\0') (void)fprintf(out, "; or `%s`", key->words);
}

static void write_keys(enum ryz_section section, FILE *out)
{
    const struct ryz_key *key = NULL;
    (void)fprintf(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        if (key->section != section) continue;
        (void)fprintf(out, "| `%s` | ", key->name);
        write_value(key, out);
        if (key->fallback == NULL) {
            (void)fprintf(out, " | required");
        } else if (key->fallback[0] == '\0') {
            (void)fprintf(out, " | absent");
        } else {
            (void)fprintf(out, " | `%s`", key->fallback);
        }
        (void)fprintf(out, " | %s |\n", key->help);
    }
}

static void write_fault_points(FILE *out)
{
    (void)fprintf(out, "\n| fault point | what happens there |\n|---|---|\n");
#define X(name, text, help) (void)fprintf(out, "| `%s` | %s |\n", text, help);
    RYZ_FAULT_POINT_TABLE(X)
#undef X
}

void ryz_scenario_write_docs(FILE *out)
{
    (void)fputs(grammar, out);
    for (unsigned s = 0; s < RYZ_SECTION_COUNT; s++) {
        enum ryz_section section = (enum ryz_section)s;
        const char *dot = ryz_section_is_named(section) ? ".NAME" : "";
        (void)fprintf(out, "\n## [%s%s]\n\n%s\n\n", ryz_section_name(section), dot,
                      ryz_section_help(section));
        if (section == RYZ_SECTION_TARGETS) {
            (void)fputs(targets_text, out);
            continue;
        }
        if (section == RYZ_SECTION_SWEEP) (void)fputs(sweep_text, out);
        write_keys(section, out);
        if (section == RYZ_SECTION_FAULT) write_fault_points(out);
    }
}
