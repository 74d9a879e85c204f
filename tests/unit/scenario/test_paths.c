/*
 * Goal: data is found beside the scenario, in $RYZ_DATA or here, in that order; what is absent is
 * named with the command that brings it, and only what the run needs is looked for.
 * Method: the same file name in three folders with different contents.
 */
#include "harness/scenario/paths.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(paths, .init = support_open, .fini = support_close);

Test(paths, the_folder_of_a_file)
{
    char folder[8];
    cr_assert_eq(ryz_paths_folder_of("a/b.ini", folder, sizeof folder), RYZ_OK);
    cr_assert_str_eq(folder, "a");
    cr_assert_eq(ryz_paths_folder_of("b.ini", folder, sizeof folder), RYZ_OK);
    cr_assert_str_eq(folder, ".");
    cr_assert_eq(ryz_paths_folder_of("/b.ini", folder, sizeof folder), RYZ_OK);
    cr_assert_str_eq(folder, "/");
    cr_assert_eq(ryz_paths_folder_of("12345678/b", folder, sizeof folder), RYZ_INVALID);
}

Test(paths, are_searched_in_order)
{
    char found[64];
    cr_assert_eq(mkdir("beside", 0700), 0);
    cr_assert_eq(mkdir("data", 0700), 0);
    support_write("f", "here");
    cr_assert_eq(ryz_paths_find("f", "beside", "data", found, sizeof found, NULL), RYZ_OK);
    cr_assert_str_eq(found, "f");
    support_write("data/f", "data");
    cr_assert_eq(ryz_paths_find("f", "beside", "data", found, sizeof found, NULL), RYZ_OK);
    cr_assert_str_eq(found, "data/f");
    support_write("beside/f", "beside");
    cr_assert_eq(ryz_paths_find("f", "beside", "data", found, sizeof found, NULL), RYZ_OK);
    cr_assert_str_eq(found, "beside/f");
    cr_assert_eq(ryz_paths_find("f", NULL, NULL, found, sizeof found, NULL), RYZ_OK);
    cr_assert_str_eq(found, "f");
    cr_assert_eq(unlink("beside/f") + unlink("data/f"), 0);
}

Test(paths, that_lead_nowhere_or_to_a_folder_are_told_apart)
{
    char found[64], endless[200];
    struct ryz_error error;
    cr_assert_eq(ryz_paths_find("nowhere", ".", NULL, found, sizeof found, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, "$RYZ_DATA, which is unset"), "%s", error.text);
    cr_assert_eq(ryz_paths_find("/nowhere/f", ".", "/", found, sizeof found, &error),
                 RYZ_NOT_FOUND);
    cr_assert_str_eq(error.text, "\"/nowhere/f\" does not exist");
    cr_assert_eq(ryz_paths_find("/tmp", ".", NULL, found, sizeof found, &error), RYZ_IO);
    cr_assert_not_null(strstr(error.text, "is a folder"), "%s", error.text);
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    cr_assert_eq(ryz_paths_find(endless, ".", NULL, found, sizeof found, &error), RYZ_INVALID);
}

static void expect_absent(const char *text, const char *says)
{
    struct ryz_plan *plan = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(support_try(text, NULL, &plan, &error), RYZ_NOT_FOUND, "%s", error.text);
    cr_assert_null(plan);
    cr_assert_not_null(strstr(error.text, says), "%s", error.text);
}

Test(paths, absent_data_names_the_command_that_brings_it)
{
    cr_assert_eq(unlink("model.gguf") + unlink("text.txt") + unlink("trace.csv"), 0);
    expect_absent(GOOD, "s.ini:5: [model] path: \"model.gguf\" is neither beside the scenario");
    expect_absent(GOOD, "get it with: tools/get-model.sh smollm2");
    support_write("model.gguf", "GGUF");
    expect_absent(GOOD "[traffic.t]\narrival = trace\nformat = azure\ntrace = trace.csv\n",
                  "s.ini:13: [traffic.t] trace: ");
    expect_absent(GOOD "[traffic.t]\narrival = trace\nformat = azure\ntrace = trace.csv\n",
                  "get it with: tools/get-data.sh");
    expect_absent("[scenario]\nname = x\nschema = 1\nmode = accuracy\n[model]\npath = model.gguf\n"
                  "[accuracy]\nset = text.txt\n",
                  "s.ini:8: [accuracy] set: ");
    expect_absent(GOOD "[engine]\ntarget = simulator\ncost = run.h5\n", "[engine] cost: ");
}

Test(paths, a_wrong_scenario_is_worse_than_absent_data)
{
    cr_assert_eq(unlink("model.gguf"), 0);
    enum ryz_status status = RYZ_OK;
    char *printed = support_check(GOOD "timeout = 5\n", NULL, &status);
    cr_assert_eq(status, RYZ_INVALID);
    cr_assert_not_null(strstr(printed, "s.ini:5: [model] path"), "%s", printed);
    cr_assert_not_null(strstr(printed, "s.ini:10: [traffic.main] timeout"), "%s", printed);
    free(printed);
}

Test(paths, only_what_the_run_needs_is_looked_for)
{
    cr_assert_eq(unlink("model.gguf") + unlink("text.txt"), 0);
    support_write("run.h5", "");
    const char *texts[] = {
        GOOD "[engine]\ntarget = http\nurl = http://127.0.0.1:1/v1\n",
        GOOD "[engine]\ntarget = simulator\ncost = run.h5\n",
        GOOD "[engine]\ntarget = simulator\ncost = run.h5\n[accuracy]\nset = text.txt\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ryz_plan_close(support_plan(texts[i], NULL));
    expect_absent(GOOD "[engine]\ntarget = http\nurl = http://h/v1\nspawn = ryz -m {model}\n",
                  "[model] path");
}

Test(paths, a_model_that_only_lends_its_words_is_used_where_it_is_there)
{
    const char *text = GOOD "[engine]\ntarget = http\nurl = http://127.0.0.1:1/v1\n";
    struct ryz_plan *plan = support_plan(text, NULL);
    cr_assert_eq(access(plan->model_path, R_OK), 0, "%s", plan->model_path);
    ryz_plan_close(plan);
    cr_assert_eq(unlink("model.gguf"), 0);
    plan = support_plan(text, NULL);
    cr_assert_str_empty(plan->model_path);
    ryz_plan_close(plan);
}

Test(paths, data_is_found_below_ryz_data)
{
    cr_assert_eq(rename("model.gguf", "other.gguf"), 0);
    cr_assert_eq(mkdir("data", 0700), 0);
    support_write("data/model.gguf", "GGUF");
    cr_assert_eq(setenv("RYZ_DATA", "data", 1), 0);
    struct ryz_plan *plan = support_plan(GOOD, NULL);
    cr_assert_str_eq(plan->model_path, "data/model.gguf");
    ryz_plan_close(plan);
    cr_assert_eq(unlink("data/model.gguf"), 0);
}

Test(paths, a_scenario_that_is_absent_is_not_found)
{
    struct ryz_plan *plan = NULL;
    struct ryz_error error;
    cr_assert_eq(ryz_plan_open("nowhere.ini", NULL, &plan, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, "nowhere.ini"));
    cr_assert_eq(ryz_plan_open("/tmp", NULL, &plan, &error), RYZ_IO);
    cr_assert_null(plan);
}
