/*
 * Goal: every kind of mistake is named with file, line, key and the way out.
 * Method: tables of scenarios with one mistake each and the exact message that is expected.
 */
#include "engine/base/size.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(mistakes, .init = support_open, .fini = support_close);

struct mistake_case {
    const char *text, *says;
};

static void refuse_all(const struct mistake_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) support_refuses(cases[i].text, cases[i].says);
}

Test(mistakes, unknown_sections_and_keys_come_with_a_suggestion)
{
    static const struct mistake_case cases[] = {
        {GOOD "[engin]\n", "s.ini:10: there is no section [engin]; did you mean \"engine\"?"},
        {GOOD "[trafic.b]\n", "s.ini:10: there is no section [trafic]; did you mean \"traffic\"?"},
        {GOOD "[compare]\n", "s.ini:10: there is no section [compare]; there are: scenario "
                             "engine model traffic.NAME fault.NAME accuracy sweep targets output"},
        {GOOD "[engine]\nmax_bach = 4\n",
         "s.ini:11: [engine] has no key \"max_bach\"; did you mean \"max_batch\"?"},
        {GOOD "[engine]\npath = x\n",
         "s.ini:11: [engine] has no key \"path\"; it belongs in [model]"},
        {GOOD "concurency = 4\n",
         "s.ini:10: [traffic] has no key \"concurency\"; did you mean \"concurrency\"?"},
        {GOOD "[output]\nzzzzzzz = 4\n",
         "s.ini:11: [output] has no key \"zzzzzzz\"; its keys: dir hdf5 tokens spans plots"},
        {GOOD "[sweep]\nordr = shuffled\n",
         "s.ini:11: [sweep] has no key \"ordr\"; did you mean \"order\"?"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, names_of_sections_are_checked)
{
    static const struct mistake_case cases[] = {
        {GOOD "[traffic]\n", "s.ini:10: [traffic] needs a name: [traffic.main]"},
        {GOOD "[traffic.]\n", "s.ini:10: [traffic.] needs a name: [traffic.main]"},
        {GOOD "[engine.a]\n", "s.ini:10: [engine.a] takes no name: write [engine]"},
        {GOOD "[traffic.A]\n",
         "s.ini:10: [traffic.A]: a name has up to 31 characters of a-z, 0-9 and _"},
        {GOOD "[traffic.a.b]\n",
         "s.ini:10: [traffic.a.b]: a name has up to 31 characters of a-z, 0-9 and _"},
        {GOOD "[fault.a234567890123456789012345678901x]\n",
         "s.ini:10: [fault.a234567890123456789012345678901x]: a name has up to 31"},
        {GOOD "[traffic.main]\n", "s.ini:10: [traffic.main] was opened at line 6 already"},
        {GOOD "[model]\n", "s.ini:10: [model] was opened at line 4 already"},
        {GOOD "concurrency = 3\n", "s.ini:10: concurrency was set at line 8 already"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, bare_numbers_and_wrong_units_are_shown_how_to_write_them)
{
    static const struct mistake_case cases[] = {
        {GOOD "timeout = 60\n",
         "s.ini:10: [traffic.main] timeout: \"60\" has no unit: a time is written like \"250 ms\" "
         "(units: ns us ms s min h)"},
        {GOOD "[engine]\nkv = 256\n",
         "s.ini:11: [engine] kv: \"256\" has no unit: a size is written like \"256 MiB\" (units: B "
         "KiB MiB GiB kB MB GB)"},
        {GOOD "rate = 5\n",
         "s.ini:10: [traffic.main] rate: \"5\" has no unit: a rate is written like \"6 /s\" "
         "(units: /s /min /h)"},
        {GOOD "timeout = 5 /s\n",
         "s.ini:10: [traffic.main] timeout: \"5 /s\" is not a time: write it like \"250 ms\""},
        {GOOD "slo = ttft<=400\n", "s.ini:10: [traffic.main] slo: \"400\" has no unit"},
        {GOOD "[engine]\nmax_batch = 4 x\n",
         "s.ini:11: [engine] max_batch: \"4 x\" is not a plain number: write it like \"16\""},
        {GOOD "speed = fast\n", "s.ini:10: [traffic.main] speed: \"fast\" is not a ratio"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, numbers_out_of_range_name_the_range)
{
    static const struct mistake_case cases[] = {
        {GOOD "[engine]\nmax_batch = 0\n",
         "s.ini:11: [engine] max_batch: \"0\" is out of range: 1 to 256"},
        {GOOD "[engine]\nmax_batch = 257\n", "is out of range: 1 to 256"},
        {GOOD "[engine]\nmax_batch = 1.5\n",
         "s.ini:11: [engine] max_batch: \"1.5\" is not a whole number"},
        {GOOD "[engine]\nmax_batch = -1\n", "s.ini:11: [engine] max_batch: \"-1\" is not"},
        {GOOD "[engine]\nmax_batch = nan\n", "s.ini:11: [engine] max_batch: \"nan\" is not"},
        {GOOD "[engine]\nmax_batch = inf\n", "s.ini:11: [engine] max_batch: \"inf\" is not"},
        {GOOD "[engine]\nmax_batch = 1e999\n", "s.ini:11: [engine] max_batch: \"1e999\" is too"},
        {GOOD "[engine]\nmax_batch = 99999999999999999999\n", "is out of range: 1 to 256"},
        {GOOD "[engine]\nkv_type = f32\n", "\"f32\" is none of"},
        {GOOD "[engine]\nkv = 1 B\n", "is out of range: 64 KiB to 1024 GiB"},
        {GOOD "ttft_deadline = 0 ms\n", "s.ini:10: [traffic.main] ttft_deadline: \"0 ms\""},
        {GOOD "ttft_deadline = 3 s\ndeadline = 2 s\n",
         "s.ini:10: [traffic.main] ttft_deadline is later than deadline"},
        {GOOD "[engine]\nqueue_tokens = 0\n", "is out of range: 1 to 1e+09"},
        {GOOD "timeout = 1000000 h\n", "is out of range: 1 ms to 24 h"},
        {GOOD "prompt = fixed 0\n", "is out of range: 1 to 1000000"},
        {"[scenario]\nname = x\nschema = 2\n", "s.ini:3: [scenario] schema: \"2\" is not 1"},
        {"[scenario]\nname = x\nschema = 1\nseed = 18446744073709551616\n",
         "s.ini:4: [scenario] seed: \"18446744073709551616\" is no seed"},
        {"[scenario]\nname = x\nschema = 1\nrepeats = 0\n", "is out of range: 1 to 1000"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, words_outside_the_list_name_the_list)
{
    static const struct mistake_case cases[] = {
        {GOOD "[engine]\ntarget = embeded\n",
         "s.ini:11: [engine] target: \"embeded\" is none of: embedded http simulator; did you mean "
         "\"embedded\"?"},
        {GOOD "[engine]\nquant = q5\n",
         "s.ini:11: [engine] quant: \"q5\" is none of: as_is f32 bf16 q8_0 q4_0"},
        {GOOD "ignore_eos = maybe\n",
         "s.ini:10: [traffic.main] ignore_eos: \"maybe\" is none of: off on no yes"},
        {GOOD "[output]\nplots = cdf timelin\n", "s.ini:11: [output] plots: \"timelin\" is none "
                                                 "of: none cdf timeline gantt heatmap pareto; "
                                                 "did you mean \"timeline\"?"},
        {GOOD "[output]\nplots = none cdf\n", "s.ini:11: [output] plots: \"none\" stands alone"},
        {GOOD "[fault.f]\nat = 1 s\nwhere = engine.decod\ndo = delay 1 ms\n",
         "s.ini:12: [fault.f] where: \"engine.decod\" is none of: engine.step engine.prefill "
         "engine.decode kv.alloc net.write client server; did you mean \"engine.decode\"?"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, missing_keys_are_named_at_their_section)
{
    static const struct mistake_case cases[] = {
        {"", "s.ini: there is no [scenario] section, which needs name and schema = 1"},
        {"[scenario]\nschema = 1\n", "s.ini:1: [scenario] needs name"},
        {"[scenario]\nname = x\n", "s.ini:1: [scenario] needs schema = 1"},
        {GOOD "[traffic.b]\n", "s.ini:10: [traffic.b] needs arrival"},
        {GOOD "[fault.f]\n", "s.ini:10: [fault.f] needs at"},
        {GOOD "[fault.f]\n", "s.ini:10: [fault.f] needs where"},
        {GOOD "[fault.f]\n", "s.ini:10: [fault.f] needs do"},
        {GOOD "tenant =\n", "s.ini:10: [traffic.main] tenant: there is no value"},
        {GOOD "[targets]\nttft.p99 =\n", "s.ini:11: [targets] ttft.p99: there is no value"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

#define HEAD                                                                                       \
    "[scenario]\n"                                                                                 \
    "name = x\n"                                                                                   \
    "schema = 1\n"                                                                                 \
    "[model]\n"                                                                                    \
    "path = model.gguf\n"

Test(mistakes, arrivals_name_what_they_need)
{
    static const struct mistake_case cases[] = {
        {HEAD, "s.ini: there is no traffic: a [traffic.main] section says what is sent"},
        {HEAD "[traffic.a]\narrival = closed\nrequests = 1\n",
         "s.ini:7: [traffic.a] arrival = closed needs concurrency, the requests in flight"},
        {HEAD "[traffic.a]\narrival = closed\nconcurrency = 1\n",
         "s.ini:7: [traffic.a] arrival = closed needs requests or duration, or it never ends"},
        {HEAD "[traffic.a]\narrival = poisson\nrequests = 1\n",
         "s.ini:7: [traffic.a] this arrival needs a rate, like \"rate = 6 /s\""},
        {HEAD "[traffic.a]\narrival = constant\nrate = 1 /s\n",
         "s.ini:7: [traffic.a] this arrival needs duration or requests, or it never ends"},
        {HEAD "[traffic.a]\narrival = trace\nformat = azure\n",
         "s.ini:7: [traffic.a] arrival = trace needs trace, a file"},
        {HEAD "[traffic.a]\narrival = trace\ntrace = trace.csv\n",
         "s.ini:7: [traffic.a] arrival = trace needs format: azure or mooncake"},
        {GOOD "rate = 5 /s\n", "s.ini:10: [traffic.main] rate has no effect here: it is for "
                               "arrival = constant and poisson"},
        {GOOD "window = 0 s .. 5 s\n",
         "s.ini:10: [traffic.main] window has no effect here: it is for arrival = trace"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, targets_name_what_they_need)
{
    static const struct mistake_case cases[] = {
        {"[scenario]\nname = x\nschema = 1\n[traffic.a]\narrival = closed\nconcurrency = 1\n"
         "requests = 1\n",
         "s.ini: the embedded engine needs a model: [model] path = FILE.gguf"},
        {GOOD "[engine]\ntarget = http\n",
         "s.ini:11: [engine] target = http needs url, like http://127.0.0.1:8080/v1"},
        {GOOD "[engine]\ntarget = http\nurl = localhost:8080\n",
         "s.ini:12: [engine] url: it starts with http:// or https://"},
        {"[scenario]\nname = x\nschema = 1\n[traffic.a]\narrival = closed\nconcurrency = 1\n"
         "requests = 1\n[engine]\ntarget = simulator\n",
         "s.ini:9: the simulator needs [engine] cost = RESULTS.h5 of a run on the embedded engine"},
        {"[scenario]\nname = x\nschema = 1\n[traffic.a]\narrival = closed\nconcurrency = 1\n"
         "requests = 1\n[engine]\ntarget = http\nurl = http://h/v1\nspawn = ryz --model {model}\n",
         "s.ini:11: [engine] spawn names {model}, but there is no [model] path"},
        {GOOD "[engine]\nkv_host = 64MiB\nprefix_cache = no\n",
         "s.ini:11: [engine] kv_host keeps what the prefix cache evicts: it needs prefix_cache = "
         "yes"},
        {GOOD "[engine]\nmax_batch_tokens = 64\nprefill_chunk = 65\n",
         "s.ini:12: [engine] prefill_chunk 65 is larger than max_batch_tokens 64"},
        {"[scenario]\nname = x\nschema = 1\nmode = both\n[model]\npath = model.gguf\n"
         "[traffic.a]\narrival = closed\nconcurrency = 1\nrequests = 1\n",
         "s.ini:4: this mode measures accuracy and needs [accuracy] set = TEXT"},
        {"[scenario]\nname = x\nschema = 1\nmode = accuracy\n[accuracy]\nset = text.txt\n"
         "[engine]\ntarget = http\nurl = http://h/v1\n",
         "s.ini:8: accuracy is measured on the embedded engine only"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

#define FAULT GOOD "[fault.f]\nat = 1 s\n"

Test(mistakes, faults_that_cannot_happen_say_why)
{
    static const struct mistake_case cases[] = {
        {FAULT "where = engine.step\ndo = explode\n",
         "s.ini:13: [fault.f] do: \"explode\" is no action: write \"delay 40 ms\", \"fail 30 %\", "
         "\"error 60 %\", \"disconnect 50 %\" or \"kill\""},
        {FAULT "where = engine.step\ndo = delay\n",
         "s.ini:13: [fault.f] do: a time is missing: write it like \"250 ms\""},
        {FAULT "where = engine.step\ndo = delay 0 s\n", "\"0 s\" is out of range: 1 ns to 10 min"},
        {FAULT "where = kv.alloc\ndo = fail 101 %\n", "\"101 %\" is out of range: 0.1 % to 100 %"},
        {FAULT "where = kv.alloc\ndo = fail 30\n", "\"30\" has no unit"},
        {FAULT "where = server\ndo = kill -9\n", "\"kill\" stands alone (it is always SIGKILL)"},
        {FAULT "where = kv.alloc\ndo = delay 1 ms\n",
         "s.ini:13: [fault.f] \"delay 1 ms\" cannot happen at kv.alloc"},
        {FAULT "where = client\ndo = error 5 %\n", "\"error 5 %\" cannot happen at client"},
        {FAULT "where = server\ndo = kill\n",
         "s.ini:12: [fault.f] server needs target = http and a spawn command"},
        {FAULT "where = net.write\ndo = reset 5 %\n",
         "s.ini:12: [fault.f] net.write needs target = http and control"},
        {FAULT "where = kv.alloc\ndo = fail 30 %\nshare = 10 %\n",
         "s.ini:14: [fault.f] the share is given twice, here and in \"do = fail 30 %\""},
        {FAULT "for = 1 s\nwhere = server\ndo = kill\n",
         "s.ini:14: [fault.f] a kill happens once, at its time: it has no for"},
        {FAULT "where = engine.step\ndo = delay 1 ms\n[engine]\ntarget = http\n"
               "url = http://h/v1\n",
         "s.ini:12: [fault.f] engine.step reaches into the engine: over http it needs control"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, keys_that_do_not_reach_the_server_are_refused)
{
#define SERVED GOOD "[engine]\ntarget = http\nurl = http://h/v1\nmodel_name = x\n"
    static const struct mistake_case cases[] = {
        {SERVED "max_batch = 8\nspawn = ryz serve --model {model}\n",
         "s.ini:14: [engine] max_batch does not reach the server: put {engine} into spawn"},
        {SERVED "admit_late = no\nspawn = ryz serve --model {model}\n",
         "s.ini:14: [engine] admit_late does not reach the server: put {engine} into spawn"},
        {SERVED "kv_type = int8\nspawn = ryz serve --model {model}\n",
         "s.ini:14: [engine] kv_type does not reach the server: put {engine} into spawn"},
        {SERVED "[sweep]\nengine.quant = f32 q8_0\n",
         "s.ini:15: [engine] quant does not reach the server at url; a sweep of it needs spawn "
         "with {engine}"},
        {SERVED "quant = bf16\n[sweep]\nengine.quant = f32 q8_0\n",
         "s.ini:16: [engine] quant does not reach the server at url"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
    /* A scenario for the embedded engine may be pointed at any server. */
    ryz_plan_close(support_plan(SERVED "max_batch = 8\n", NULL));
    ryz_plan_close(support_plan(SERVED "max_batch = 8\nspawn = ryz serve --model {model} {engine}\n"
                                       "[sweep]\nengine.quant = f32 q8_0\n",
                                NULL));
#undef SERVED
}

Test(mistakes, target_lines_are_checked_for_their_grammar)
{
    static const struct mistake_case cases[] = {
        {GOOD "[targets]\nttft.p99 = 250 ms\n",
         "s.ini:11: [targets] ttft.p99: \"250 ms\" has no comparison: write \"<= 250 ms\""},
        {GOOD "[targets]\nttft.p99 = <= fast\n",
         "s.ini:11: [targets] ttft.p99: \"fast\" is no quantity"},
        {GOOD "[targets]\nttft.p99 = <=\n", "s.ini:11: [targets] ttft.p99: \"\" is no quantity"},
        {GOOD "[targets]\nttft.p99 = <= 2 ms of b.ttft.p99\n",
         "s.ini:11: [targets] ttft.p99: \"2 ms\" is no factor: write it like \"1.5 x of"},
        {GOOD "[targets]\nttft.p99 = <= of b.ttft.p99\n",
         "s.ini:11: [targets] ttft.p99: \"of b.ttft.p99\" is no quantity"},
        {GOOD "[targets]\nttft.p99 = <= 2 x of\n",
         "s.ini:11: [targets] ttft.p99: \"\" is no metric: write it like \"1.2 x of OTHER"},
        {GOOD "[targets]\nttft.p99 = <= 2 x of B.ttft\n",
         "s.ini:11: [targets] ttft.p99: \"B.ttft\" is no metric"},
        {GOOD "[targets]\nttft.p99 = <= 2 x of b.ttft.p99 +\n",
         "s.ini:11: [targets] ttft.p99: \"\" is no metric"},
        {GOOD "[targets]\nttft.p99 = <= 2 x of b.ttft.p99 + 5 ms\n",
         "s.ini:11: [targets] ttft.p99: \"5 ms\" is no metric"},
        {GOOD "[targets]\nttft.p99 = <= 2 x off b.ttft.p99\n",
         "s.ini:11: [targets] ttft.p99: \"2 x off b.ttft.p99\" is no quantity"},
        {GOOD "[targets]\nttft..p99 = <= 1 s\n", "s.ini:11: [targets] \"ttft..p99\" is no metric"},
        {GOOD "[targets]\n.p99 = <= 1 s\n", "s.ini:11: [targets] \".p99\" is no metric"},
        {GOOD "[targets]\nMiB4.ttft.p99 = <= 1 s\n",
         "s.ini:11: [targets] \"MiB4.ttft.p99\" is no metric"},
        {GOOD "[targets]\nTTFT = <= 1 s\n", "s.ini:11: [targets] \"TTFT\" is no metric"},
        {GOOD "[targets]\na = <= 1 s\na = >= 1 s\n", "s.ini:12: a was set at line 11 already"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, sweeps_name_keys_and_values_they_cannot_take)
{
    static const struct mistake_case cases[] = {
        {GOOD "[sweep]\nengine.max_bach = 1 2\n",
         "s.ini:11: [sweep] engine.max_bach: [engine] has "
         "no key \"max_bach\"; did you mean \"max_batch\"?"},
        {GOOD "[sweep]\ntraffic.man.rate = 1/s\n",
         "s.ini:11: [sweep] traffic.man.rate: there is no "
         "section [traffic.man]; did you mean \"main\"?"},
        {GOOD "[sweep]\nengin.max_batch = 1\n", "there is no section [engin]; did you mean"},
        {GOOD "[sweep]\ntraffic.main = 1\n",
         "\"traffic.main\" is no path to a key: write it like \"traffic.NAME.key\""},
        {GOOD "[sweep]\nscenario.seed = 1 2\n",
         "s.ini:11: [sweep] scenario.seed: keys of [scenario] are not swept"},
        {GOOD "[sweep]\nengine.max_batch = 1 0\n",
         "s.ini:11: [sweep] engine.max_batch: \"0\" is out of range: 1 to 256"},
        {GOOD "[sweep]\nengine.max_batch = 1 2 1\n",
         "s.ini:11: [sweep] engine.max_batch: \"1\" is there twice"},
        {GOOD "[sweep]\ntraffic.main.timeout = 5 s\n",
         "\"5\" has no unit: a time is written like \"250 ms\" (units: ns us ms s min h); in a "
         "list the unit follows without a blank"},
        {GOOD "[sweep]\nengine.quant = bf16 q9\n", "\"q9\" is none of"},
        {GOOD "[sweep]\nengine.max_batch_tokens = 64 512\nengine.prefill_chunk = 128\n",
         "s.ini:12: [engine] prefill_chunk 128 is larger than max_batch_tokens 64"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, broken_lines_are_named_too)
{
    static const struct mistake_case cases[] = {
        {GOOD "start: 1 s\n", "s.ini:10: a key is followed by \"=\" and holds no \":\""},
        {GOOD " start = 1 s\n", "s.ini:10: the line is indented"},
        {GOOD "[engine\n", "s.ini:10: the section's name has no closing"},
        {"x = 1\n" GOOD, "s.ini:1: this key comes before the first [section]"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, templates_of_file_names_are_checked)
{
    static const struct mistake_case cases[] = {
        {GOOD "[output]\nhdf5 = {nam}.h5\n",
         "s.ini:11: [output] hdf5: there are {name} {commit} {time} {seed}, but no \"{nam}.h5\""},
        {GOOD "[output]\nhdf5 = {name.h5\n", "but no \"{name.h5\""},
        {GOOD "[output]\nhdf5 = a/b.h5\n", "s.ini:11: [output] hdf5 is a file name"},
    };
    refuse_all(cases, RYZ_COUNT_OF(cases));
}

Test(mistakes, all_of_them_are_listed_by_line_and_none_twice)
{
    enum ryz_status status = RYZ_OK;
    char *printed = support_check("[scenario]\nname = X\nschema = 1\n[traffic.a]\narrival = close\n"
                                  "[engine]\nmax_batch = 0\n[engin]\nfoo = 1\n[traffic.b]\n"
                                  "[model]\npath = model.gguf\n",
                                  NULL, &status);
    cr_assert_eq(status, RYZ_INVALID);
    static const char *const lines[] = {
        "s.ini:2: ", "s.ini:5: ", "s.ini:7: ", "s.ini:8: ", "s.ini:10: "};
    const char *at = printed;
    for (size_t i = 0; i < RYZ_COUNT_OF(lines); i++) {
        cr_assert_eq(strncmp(at, lines[i], strlen(lines[i])), 0, "line %zu of:\n%s", i, printed);
        at = strchr(at, '\n') + 1;
    }
    cr_assert_str_empty(at, "more than expected:\n%s", printed);
    free(printed);
}

Test(mistakes, a_flood_of_them_is_counted)
{
    enum ryz_status status = RYZ_OK;
    char text[8192] = GOOD;
    for (int i = 0; i < 100; i++) (void)snprintf(text + strlen(text), 32, "key_%d = 1\n", i);
    char *printed = support_check(text, NULL, &status);
    cr_assert_eq(status, RYZ_INVALID);
    cr_assert_not_null(strstr(printed, "\nand 36 more\n"), "%s", printed);
    free(printed);
}

Test(mistakes, too_many_of_anything_is_a_mistake)
{
    char text[40000] = GOOD;
    for (int i = 0; i < 8; i++)
        (void)snprintf(text + strlen(text), 100,
                       "[traffic.t%d]\narrival = closed\nconcurrency = 1\nrequests = 1\n", i);
    support_refuses(text, "more than 8 [traffic.NAME] sections");
    (void)snprintf(text, sizeof text, GOOD "[targets]\n");
    for (int i = 0; i < 65; i++) (void)snprintf(text + strlen(text), 40, "m%d = <= 1 s\n", i);
    support_refuses(text, "s.ini:75: [targets] m64: up to 64 targets");
    (void)snprintf(text, sizeof text, GOOD "[targets]\n");
    for (int i = 0; i < 1100; i++) (void)snprintf(text + strlen(text), 40, "m%d = <= 1 s\n", i);
    support_refuses(text, "more than 1024 keys are set");
    support_refuses(GOOD "[sweep]\nengine.max_batch = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 "
                         "19 20 21 22 23 24 25 26 27 28 29 30 31 32 33\n",
                    "s.ini:11: [sweep] engine.max_batch: up to 32 values");
    support_refuses(GOOD "[sweep]\nengine.max_batch = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
                         "engine.max_queue = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
                         "engine.threads = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
                    "s.ini:10: [sweep] 4913 points; a grid has up to 4096");
    support_refuses(GOOD "[sweep]\nengine.max_batch = 1\nengine.max_queue = 1\nengine.threads = 1\n"
                         "engine.quant = bf16\nengine.isa = ref\nengine.kv = 1MiB\n"
                         "engine.prefill_chunk = 1\n",
                    "s.ini:17: [sweep] more than 6 axes");
}
