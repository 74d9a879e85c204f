/*
 * Goal: each type of value is stored as it was meant. Method: good texts against expected fields;
 * bad ones are test_mistakes.c's subject, compound ones that are bad are here.
 */
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "harness/scenario/values.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct ryz_key *prompt_key(void)
{
    return ryz_key_find(RYZ_SECTION_TRAFFIC, "prompt");
}

Test(values, distributions_read)
{
    struct ryz_length_dist d = {.min = 0};
    cr_assert_eq(ryz_value_dist("fixed 256", prompt_key(), &d, NULL), RYZ_OK);
    cr_assert(d.kind == RYZ_LENGTH_FIXED && d.min == 256 && d.max == 256 && d.mean == 256.0);
    cr_assert_eq(ryz_value_dist("uniform 64..128", prompt_key(), &d, NULL), RYZ_OK);
    cr_assert(d.kind == RYZ_LENGTH_UNIFORM && d.min == 64 && d.max == 128 && d.mean == 96.0);
    cr_assert_eq(ryz_value_dist("uniform 7 tok .. 7", prompt_key(), &d, NULL), RYZ_OK);
    cr_assert(d.min == 7 && d.max == 7);
    cr_assert_eq(ryz_value_dist("lognormal sd=9.5 max=512 mean=180", prompt_key(), &d, NULL),
                 RYZ_OK);
    cr_assert(d.kind == RYZ_LENGTH_LOGNORMAL && d.mean == 180.0 && d.sd == 9.5 && d.min == 1 &&
              d.max == 512);
    cr_assert_eq(ryz_value_dist("lognormal mean=18 sd=9 min=4 max=51", prompt_key(), &d, NULL),
                 RYZ_OK);
    cr_assert_eq(d.min, 4);
}

Test(values, bad_distributions_change_nothing)
{
    static const char *const bad[] = {
        "256",
        "fixed",
        "fixed 2 3",
        "fixed 1.5",
        "fixed -1",
        "fixed 1000001",
        "uniform 5",
        "uniform 9..3",
        "uniform ..3",
        "uniform 1..",
        "uniform 1..2..3",
        "lognormal",
        "lognormal mean=5 sd=1",
        "lognormal mean=5 max=9",
        "lognormal mean=5 sd=0 max=9",
        "lognormal mean=5 sd=1 max=9 max=9",
        "lognormal mean=5 sd=1 max=9 foo=1",
        "lognormal mean=50 sd=1 max=9",
        "lognormal mean=5 sd=1 min=8 max=7",
        "lognormal mean=5 sd=nan max=9",
        "lognormal mean = 5 sd=1 max=9",
        "gamma 4",
        "FIXED 3",
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++) {
        struct ryz_length_dist d = {.min = 77};
        struct ryz_error error = {.text = ""};
        cr_assert_eq(ryz_value_dist(bad[i], prompt_key(), &d, &error), RYZ_INVALID,
                     "\"%s\" was taken", bad[i]);
        cr_assert_eq(d.min, 77);
        cr_assert_neq(error.text[0], '\0');
    }
}

Test(values, objectives_read)
{
    struct ryz_slo slo;
    cr_assert_eq(ryz_value_slo("ttft<=400ms e2e<=8s", &slo, NULL), RYZ_OK);
    cr_assert(slo.ttft_ns == 400 * RYZ_NS_PER_MS && slo.e2e_ns == 8 * RYZ_NS_PER_S &&
              slo.tpot_ns == RYZ_TIME_NEVER);
    cr_assert_eq(ryz_value_slo("none", &slo, NULL), RYZ_OK);
    cr_assert(slo.ttft_ns == RYZ_TIME_NEVER && slo.e2e_ns == RYZ_TIME_NEVER);
    static const char *const bad[] = {"ttft",      "ttft<400ms",       "ttft <= 400ms",
                                      "ttft<=4",   "foo<=4s",          "ttft<=4s ttft<=5s",
                                      "ttft<=0ms", "ttft<=99999999 h", "<=4s"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++)
        cr_assert_eq(ryz_value_slo(bad[i], &slo, NULL), RYZ_INVALID, "\"%s\" was taken", bad[i]);
}

Test(values, shares_of_tenants_read)
{
    struct ryz_kv_shares_plan shares = {0};
    cr_assert_eq(ryz_value_kv_shares("victim@40% b-1@0.5%,c@59.5%", &shares, NULL), RYZ_OK);
    cr_assert_eq(shares.count, 3u);
    cr_assert_str_eq(shares.of[0].tenant, "victim");
    cr_assert_eq(shares.of[0].permille, 400);
    cr_assert_str_eq(shares.of[1].tenant, "b-1");
    cr_assert_eq(shares.of[1].permille, 5);
    cr_assert_eq(shares.of[2].permille, 595);
    static const char *const bad[] = {"victim",    "victim@",      "@40%",        "victim@40",
                                      "victim@0%", "victim@101%",  "a@60% b@41%", "a@10% a@20%",
                                      "a @ 10%",   "a@10%; b@20%", "40%"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++)
        cr_assert_eq(ryz_value_kv_shares(bad[i], &shares, NULL), RYZ_INVALID, "\"%s\" was taken",
                     bad[i]);
    cr_assert_eq(shares.count, 3u, "a refused value changes nothing");
    cr_assert_eq(ryz_value_kv_shares("none", &shares, NULL), RYZ_OK);
    cr_assert_eq(shares.count, 0u);
}

Test(values, memory_reads)
{
    struct ryz_memory_plan memory = {.bytes = 5};
    cr_assert_eq(ryz_value_memory("4 GiB", &memory, NULL), RYZ_OK);
    cr_assert(memory.bytes == UINT64_C(4) << 30 && memory.permille == 0);
    cr_assert_eq(ryz_value_memory("60 %", &memory, NULL), RYZ_OK);
    cr_assert(memory.bytes == 0 && memory.permille == 600);
    static const char *const bad[] = {"4", "0 %", "101 %", "0.01%", "1 KiB", "60 s", "-1 GiB", ""};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++)
        cr_assert_eq(ryz_value_memory(bad[i], &memory, NULL), RYZ_INVALID, "\"%s\" was taken",
                     bad[i]);
    cr_assert_eq(memory.permille, 600u);
    cr_assert_eq(ryz_value_memory("none", &memory, NULL), RYZ_OK);
    cr_assert(memory.bytes == 0 && memory.permille == 0);
}

Test(values, windows_read)
{
    int64_t window[2];
    cr_assert_eq(ryz_value_window("0s .. 300s", window, NULL), RYZ_OK);
    cr_assert(window[0] == 0 && window[1] == 300 * RYZ_NS_PER_S);
    cr_assert_eq(ryz_value_window("1.5 min..2 h", window, NULL), RYZ_OK);
    cr_assert(window[0] == 90 * RYZ_NS_PER_S && window[1] == 7200 * RYZ_NS_PER_S);
    cr_assert_eq(ryz_value_window("all", window, NULL), RYZ_OK);
    cr_assert(window[0] == 0 && window[1] == RYZ_TIME_NEVER);
    static const char *const bad[] = {"5 s", "5..6",  "6 s .. 5 s",    "5 s .. 5 s",
                                      "..",  "0 s..", "0 s .. 1e300 s"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++)
        cr_assert_eq(ryz_value_window(bad[i], window, NULL), RYZ_INVALID, "\"%s\" was taken",
                     bad[i]);
}

Test(values, actions_read)
{
    static const struct {
        const char *text;
        enum ryz_fault_action action;
        uint32_t permille;
        int64_t value_ns;
    } cases[] = {
        {"delay 40 ms", RYZ_FAULT_DELAY, 1000, 40 * RYZ_NS_PER_MS},
        {"fail 30 %", RYZ_FAULT_FAIL, 300, 0},
        {"error 60%", RYZ_FAULT_FAIL, 600, 0},
        {"error", RYZ_FAULT_FAIL, 1000, 0},
        {"disconnect 0.5 %", RYZ_FAULT_DISCONNECT, 5, 0},
        {"reset 100 %", RYZ_FAULT_DISCONNECT, 1000, 0},
        {"kill", RYZ_FAULT_KILL, 1000, 0},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        struct ryz_fault fault = {.permille = 7};
        cr_assert_eq(ryz_value_action(cases[i].text, &fault, NULL), RYZ_OK, "%s", cases[i].text);
        cr_assert_eq(fault.action, cases[i].action, "%s", cases[i].text);
        cr_assert_eq(fault.permille, cases[i].permille, "%s", cases[i].text);
        cr_assert_eq(fault.value_ns, cases[i].value_ns, "%s", cases[i].text);
    }
}

Test(values, every_default_is_a_value_of_its_key)
{
    static struct ryz_plan scratch;
    const struct ryz_key *key = NULL;
    size_t count = 0;
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        struct ryz_error error = {.text = ""};
        if (key->fallback == NULL || key->fallback[0] == '\0') continue;
        cr_assert_eq(ryz_value_set(key, key->fallback, &scratch, &error), RYZ_OK, "%s: %s",
                     key->name, error.text);
        count++;
    }
    cr_assert_gt(count, 20);
}

Test(values, every_word_of_a_list_is_taken_and_text_that_is_too_long_is_not)
{
    static struct ryz_plan scratch;
    const struct ryz_key *key = NULL;
    char word[64];
    char endless[600];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        for (const char *list = key->words; ryz_value_next_word(&list, word, sizeof word);)
            cr_assert_eq(ryz_value_set(key, word, &scratch, NULL), RYZ_OK, "%s", word);
        cr_assert_eq(ryz_value_set(key, endless, &scratch, NULL), RYZ_INVALID, "%s", key->name);
        cr_assert_eq(ryz_value_set(key, "", &scratch, NULL), RYZ_INVALID, "%s", key->name);
    }
}

Test(values, seeds_keep_all_64_bits)
{
    struct ryz_plan plan;
    const struct ryz_key *key = ryz_key_find(RYZ_SECTION_SCENARIO, "seed");
    cr_assert_eq(ryz_value_set(key, "18446744073709551615", &plan, NULL), RYZ_OK);
    cr_assert_eq(plan.seed, UINT64_MAX);
    cr_assert_eq(ryz_value_set(key, "9007199254740993", &plan, NULL), RYZ_OK);
    cr_assert_eq(plan.seed, UINT64_C(9007199254740993));
}
