/*
 * Goal: a served process is started, seen to end, killed and started again, and leaves no child.
 * Method: real processes of the shell's own tools.
 */
#include "harness/chaos/process.h"

#include "engine/base/clock.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char log_path[64];

static void setup(void)
{
    (void)snprintf(log_path, sizeof log_path, "/tmp/ryz-test-process-%d.log", (int)getpid());
}

static void teardown(void)
{
    (void)unlink(log_path);
}

static void pause_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* What a command that ends by itself has printed. */
static void run_and_read(const char *command, char *text, size_t capacity)
{
    struct ryz_process *process = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_process_open(command, log_path, &process, &error), RYZ_OK, "%s", error.text);
    for (int i = 0; i < 500 && !ryz_process_ended(process); i++) pause_ms(10);
    cr_assert(ryz_process_ended(process));
    FILE *log = fopen(log_path, "r");
    cr_assert_not_null(log);
    text[fread(text, 1, capacity - 1, log)] = '\0';
    (void)fclose(log);
    ryz_process_close(process);
}

Test(process, output_goes_to_the_log_and_the_end_is_seen, .init = setup, .fini = teardown)
{
    char text[64];
    run_and_read("echo hello there", text, sizeof text);
    cr_expect_str_eq(text, "hello there\n");
}

Test(process, a_backslash_keeps_a_blank_inside_a_word, .init = setup, .fini = teardown)
{
    char text[64];
    run_and_read(" printf\t<%s> a\\ b  c\\\\d e\\", text, sizeof text);
    cr_expect_str_eq(text, "<a b><c\\d><e\\>");
}

Test(process, a_killed_one_is_gone_and_starts_again, .init = setup, .fini = teardown)
{
    struct ryz_process *process = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_process_open("sleep 600", log_path, &process, &error), RYZ_OK);
    pid_t first = ryz_process_pid(process);
    cr_assert_gt(first, 0);
    cr_expect_not(ryz_process_ended(process));
    ryz_process_kill(process);
    cr_expect(ryz_process_ended(process));
    cr_expect_neq(kill(first, 0), 0, "the process must be gone");
    cr_assert_eq(ryz_process_restart(process, &error), RYZ_OK);
    pid_t second = ryz_process_pid(process);
    cr_expect_neq(first, second);
    cr_expect_not(ryz_process_ended(process));
    ryz_process_close(process);
    cr_expect_neq(kill(second, 0), 0, "closing must end it");
}

Test(process, awaiting_a_server_that_ends_says_where_its_output_is, .init = setup, .fini = teardown)
{
    struct ryz_process *process = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_process_open("true", log_path, &process, &error), RYZ_OK);
    enum ryz_status status =
        ryz_process_await(process, "127.0.0.1", 1, "/", 10 * RYZ_NS_PER_S, &error);
    cr_expect_eq(status, RYZ_UNAVAILABLE);
    cr_expect_not_null(strstr(error.text, log_path), "%s", error.text);
    ryz_process_close(process);
}

Test(process, an_empty_command_is_refused, .init = setup, .fini = teardown)
{
    struct ryz_process *process = NULL;
    struct ryz_error error = {0};
    cr_expect_eq(ryz_process_open("  ", log_path, &process, &error), RYZ_INVALID);
    cr_expect_null(process);
}
