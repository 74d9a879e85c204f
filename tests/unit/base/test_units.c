/*
 * Goal: quantities read as people mean them; what is unclear is refused with an example.
 * Method: tables of good and bad texts, then random values through format and parse.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/base/units.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(units, good_texts_give_the_base_unit)
{
    static const struct {
        const char *text;
        enum ryz_unit_kind kind;
        double value;
    } cases[] = {
        {"250 ms", RYZ_UNIT_TIME, 250e6},
        {"250ms", RYZ_UNIT_TIME, 250e6},
        {"0 s", RYZ_UNIT_TIME, 0},
        {"1.5 min", RYZ_UNIT_TIME, 90e9},
        {"2h", RYZ_UNIT_TIME, 7200e9},
        {"3 us ", RYZ_UNIT_TIME, 3e3},
        {"7 ns", RYZ_UNIT_TIME, 7},
        {"1e3 s", RYZ_UNIT_TIME, 1e12},
        {"6 /s", RYZ_UNIT_RATE, 6},
        {"6/s", RYZ_UNIT_RATE, 6},
        {"90 /min", RYZ_UNIT_RATE, 1.5},
        {"3600 /h", RYZ_UNIT_RATE, 1},
        {"1 %", RYZ_UNIT_RATIO, 0.01},
        {"4 x", RYZ_UNIT_RATIO, 4},
        {"512 MiB", RYZ_UNIT_BYTES, 536870912.0},
        {"1.5 GiB", RYZ_UNIT_BYTES, 1610612736.0},
        {"1 kB", RYZ_UNIT_BYTES, 1000},
        {"7 B", RYZ_UNIT_BYTES, 7},
        {"2 KiB", RYZ_UNIT_BYTES, 2048},
        {"3 MB", RYZ_UNIT_BYTES, 3e6},
        {"1 GB", RYZ_UNIT_BYTES, 1e9},
        {"256 tok", RYZ_UNIT_TOKENS, 256},
        {"256", RYZ_UNIT_TOKENS, 256},
        {"16", RYZ_UNIT_COUNT, 16},
        {"0.25", RYZ_UNIT_COUNT, 0.25},
        {"5\tms", RYZ_UNIT_TIME, 5e6},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        double value = -1.0;
        struct ryz_error error = {.text = ""};
        cr_assert_eq(ryz_units_parse(cases[i].text, cases[i].kind, &value, &error), RYZ_OK,
                     "%s: %s", cases[i].text, error.text);
        cr_assert(fabs(value - cases[i].value) <= 1e-9 * fabs(cases[i].value), "%s is %g",
                  cases[i].text, value);
    }
}

Test(units, bad_texts_are_refused_and_change_nothing)
{
    static const struct {
        const char *text;
        enum ryz_unit_kind kind;
        const char *says;
    } cases[] = {
        {"250", RYZ_UNIT_TIME, "has no unit: a time is written like \"250 ms\""},
        {"0", RYZ_UNIT_TIME, "has no unit"},
        {"6", RYZ_UNIT_RATE, "has no unit: a rate is written like \"6 /s\""},
        {"5", RYZ_UNIT_RATIO, "has no unit"},
        {"64", RYZ_UNIT_BYTES, "has no unit"},
        {"250 MS", RYZ_UNIT_TIME, "is not a time"},
        {"250 sec", RYZ_UNIT_TIME, "units: ns us ms s min h"},
        {"5 ms", RYZ_UNIT_RATE, "is not a rate"},
        {"5 s", RYZ_UNIT_COUNT, "is not a plain number"},
        {"-5 ms", RYZ_UNIT_TIME, "is not a time"},
        {"+5 ms", RYZ_UNIT_TIME, "is not a time"},
        {" 5 ms", RYZ_UNIT_TIME, "is not a time"},
        {"ms", RYZ_UNIT_TIME, "is not a time"},
        {"", RYZ_UNIT_TIME, "a time is missing"},
        {"nan ms", RYZ_UNIT_TIME, "is not a time"},
        {"inf", RYZ_UNIT_COUNT, "is not a plain number"},
        {"0x10", RYZ_UNIT_COUNT, "is not a plain number"},
        {"1e400", RYZ_UNIT_COUNT, "too large"},
        {"1e308 h", RYZ_UNIT_TIME, "too large"},
        {"1..2", RYZ_UNIT_COUNT, "is not a plain number"},
        {".5", RYZ_UNIT_COUNT, "is not a plain number"},
        {"5.", RYZ_UNIT_COUNT, "is not a plain number"},
        {"1,5 s", RYZ_UNIT_TIME, "is not a time"},
        {"5 ms 3", RYZ_UNIT_TIME, "is not a time"},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        double value = -1.0;
        struct ryz_error error = {.text = ""};
        cr_assert_eq(ryz_units_parse(cases[i].text, cases[i].kind, &value, &error), RYZ_INVALID,
                     "\"%s\" was taken", cases[i].text);
        cr_assert_eq(value, -1.0);
        cr_assert_not_null(strstr(error.text, cases[i].says), "\"%s\": %s", cases[i].text,
                           error.text);
    }
}

Test(units, format_chooses_what_a_person_would)
{
    static const struct {
        double value;
        enum ryz_unit_kind kind;
        const char *text;
    } cases[] = {
        {250e6, RYZ_UNIT_TIME, "250 ms"},
        {0, RYZ_UNIT_TIME, "0 s"},
        {999, RYZ_UNIT_TIME, "999 ns"},
        {90e9, RYZ_UNIT_TIME, "1.5 min"},
        {7200e9, RYZ_UNIT_TIME, "2 h"},
        {6, RYZ_UNIT_RATE, "6 /s"},
        {0, RYZ_UNIT_RATE, "0 /s"},
        {0.01, RYZ_UNIT_RATIO, "1 %"},
        {1, RYZ_UNIT_RATIO, "100 %"},
        {4, RYZ_UNIT_RATIO, "4 x"},
        {536870912.0, RYZ_UNIT_BYTES, "512 MiB"},
        {100, RYZ_UNIT_BYTES, "100 B"},
        {256, RYZ_UNIT_TOKENS, "256"},
        {16, RYZ_UNIT_COUNT, "16"},
        {0.5, RYZ_UNIT_TIME, "0.5 ns"},
        {0.005, RYZ_UNIT_RATE, "0.3 /min"},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        char text[32];
        ryz_units_format(cases[i].value, cases[i].kind, text, sizeof text);
        cr_assert_str_eq(text, cases[i].text);
    }
}

Test(units, what_format_writes_parse_reads_back)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("units"), 0);
    for (int i = 0; i < 20000; i++) {
        enum ryz_unit_kind kind = (enum ryz_unit_kind)ryz_rng_below(&rng, RYZ_UNIT_COUNT + 1);
        double value = exp(ryz_rng_unit(&rng) * 60.0 - 20.0), back = 0.0;
        char text[48];
        ryz_units_format(value, kind, text, sizeof text);
        cr_assert_eq(ryz_units_parse(text, kind, &back, NULL), RYZ_OK, "%s", text);
        cr_assert_float_eq(back / value, 1.0, 1e-8, "%s", text);
    }
}

Test(units, random_texts_are_refused_or_finite)
{
    static const char letters[] = "0123456789.eE+-xmsnuh/%KMGiBtok \t";
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("unit texts"), 1);
    int taken = 0;
    for (int i = 0; i < 100000; i++) {
        char text[8] = "";
        size_t length = ryz_rng_below(&rng, sizeof text);
        for (size_t k = 0; k < length; k++)
            text[k] = letters[ryz_rng_below(&rng, sizeof letters - 1)];
        double value = 0.0;
        enum ryz_unit_kind kind = (enum ryz_unit_kind)ryz_rng_below(&rng, RYZ_UNIT_COUNT + 1);
        if (ryz_units_parse(text, kind, &value, NULL) != RYZ_OK) continue;
        taken++;
        cr_assert(isfinite(value) && value >= 0.0, "\"%s\" is %g", text, value);
    }
    cr_assert_gt(taken, 100);
}
