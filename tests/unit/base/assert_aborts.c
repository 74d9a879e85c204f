/*
 * Goal: a failed assertion names itself on stderr and ends the process.
 * Method: a child process asserts something false. A plain program, and apart from the suite,
 * because a deliberate abort would count as a finding wherever the suite runs under a checker.
 */
#include "engine/base/assert.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int ends[2];
    char text[256] = "";
    size_t used = 0;
    if (pipe(ends) != 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        RYZ_ASSERT(1 + 1 == 2); /* says nothing */
        if (dup2(ends[1], STDERR_FILENO) < 0) _exit(2);
        RYZ_ASSERT(1 + 1 == 3);
        _exit(3);
    }
    (void)close(ends[1]);
    for (ssize_t got = 1; got > 0 && used < sizeof text - 1; used += (size_t)(got > 0 ? got : 0))
        got = read(ends[0], text + used, sizeof text - 1 - used);
    int status = 0;
    if (waitpid(child, &status, 0) != child) return 1;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
        (void)fprintf(stderr, "the child ended with status %d\n", status);
        return 1;
    }
    if (strstr(text, "assertion failed: 1 + 1 == 3 (") == NULL ||
        strstr(text, "assert_aborts.c:") == NULL) {
        (void)fprintf(stderr, "the child said: %s\n", text);
        return 1;
    }
    (void)printf("assertions abort: ok\n");
    return 0;
}
