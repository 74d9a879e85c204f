/* process.c - fork, exec, kill, and the wait for a server's first healthy answer. */
#include "harness/chaos/process.h"

#include "engine/base/clock.h"
#include "harness/drive/real_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64

struct ryz_process {
    char *command; /* split in place into `arguments` */
    char *arguments[ARGUMENTS_MAX + 1];
    char *log_path;
    _Atomic pid_t pid; /* 0: not running */
};

static void pause_ns(int64_t ns)
{
    struct timespec wait = {.tv_sec = ns / RYZ_NS_PER_S, .tv_nsec = ns % RYZ_NS_PER_S};
    (void)nanosleep(&wait, NULL);
}

/* In place: what is written is never longer than what was read. */
static bool split_command(struct ryz_process *process)
{
    static const char blanks[] = " \t";
    int count = 0;
    char *from = process->command, *to = process->command;
    for (from += strspn(from, blanks); *from != '\0'; from += strspn(from, blanks)) {
        if (count == ARGUMENTS_MAX) return false;
        process->arguments[count++] = to;
        while (*from != '\0' && strchr(blanks, *from) == NULL) {
            if (*from == '\\' && from[1] != '\0') from++;
            *to++ = *from++;
        }
        if (*from != '\0') from++;
        *to++ = '\0';
    }
    return count > 0;
}

/* In the child: only async-signal-safe calls. */
static _Noreturn void become_server(const struct ryz_process *process, int log)
{
    (void)setpgid(0, 0);
    /* A server must not outlive the harness, whatever ends that; the kernel takes "parent" to be
     * the thread that forked. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) (void)dup2(null, STDIN_FILENO);
    /* The parent's threads may have blocked the signals that end a server. */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (strcmp(process->arguments[0], "ryz") == 0) {
        (void)execv("/proc/self/exe", process->arguments);
    }
    (void)execvp(process->arguments[0], process->arguments);
    _exit(127);
}

enum ryz_status ryz_process_restart(struct ryz_process *process, struct ryz_error *error)
{
    int log = open(process->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) return ryz_fail_errno(error, RYZ_IO, errno, "cannot open %s", process->log_path);
    pid_t pid = fork();
    if (pid == 0) become_server(process, log);
    int fork_errno = errno;
    (void)close(log);
    if (pid < 0) return ryz_fail_errno(error, RYZ_IO, fork_errno, "cannot start a process");
    (void)setpgid(pid, pid);
    atomic_store(&process->pid, pid);
    return RYZ_OK;
}

enum ryz_status ryz_process_open(const char *command, const char *log_path,
                                 struct ryz_process **out, struct ryz_error *error)
{
    struct ryz_process *process = calloc(1, sizeof *process);
    if (process == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a process");
    process->command = strdup(command);
    process->log_path = strdup(log_path);
    enum ryz_status status = RYZ_OK;
    if (process->command == NULL || process->log_path == NULL) {
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for a process");
    } else if (!split_command(process)) {
        status = ryz_fail(error, RYZ_INVALID, "spawn: empty, or more than %d words", ARGUMENTS_MAX);
    } else {
        status = ryz_process_restart(process, error);
    }
    if (status != RYZ_OK) {
        ryz_process_close(process);
        return status;
    }
    *out = process;
    return RYZ_OK;
}

bool ryz_process_ended(struct ryz_process *process)
{
    pid_t pid = atomic_load(&process->pid);
    if (pid == 0) return true;
    if (waitpid(pid, NULL, WNOHANG) == 0) return false;
    atomic_store(&process->pid, 0);
    return true;
}

void ryz_process_kill(struct ryz_process *process)
{
    pid_t pid = atomic_load(&process->pid);
    if (pid == 0) return;
    (void)kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    atomic_store(&process->pid, 0);
}

void ryz_process_close(struct ryz_process *process)
{
    if (process == NULL) return;
    pid_t pid = atomic_load(&process->pid);
    if (pid != 0) {
        (void)kill(-pid, SIGTERM);
        for (int i = 0; i < 1000 && !ryz_process_ended(process); i++) pause_ns(10 * RYZ_NS_PER_MS);
        ryz_process_kill(process);
    }
    free(process->command);
    free(process->log_path);
    free(process);
}

pid_t ryz_process_pid(const struct ryz_process *process)
{
    return atomic_load(&process->pid);
}

/* One GET; true when the status line says 200. */
static bool answers_200(const struct addrinfo *address, const char *host, const char *path)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    struct timeval limit = {.tv_sec = 2};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    char text[512];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    bool good = false;
    if (length > 0 && (size_t)length < sizeof text &&
        connect(fd, address->ai_addr, address->ai_addrlen) == 0 &&
        send(fd, text, (size_t)length, MSG_NOSIGNAL) == length) {
        ssize_t got = recv(fd, text, sizeof text - 1, MSG_WAITALL);
        if (got > 12) good = memcmp(text, "HTTP/1.", 7) == 0 && memcmp(text + 9, "200", 3) == 0;
    }
    (void)close(fd);
    return good;
}

bool ryz_process_port_answers(const char *host, uint16_t port)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    if (getaddrinfo(host, service, &hints, &address) != 0 || address == NULL) return false;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) == 0;
    if (fd >= 0) (void)close(fd);
    freeaddrinfo(address);
    return answers;
}

enum ryz_status ryz_process_await(struct ryz_process *process, const char *host, uint16_t port,
                                  const char *path, int64_t timeout_ns, struct ryz_error *error)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    if (getaddrinfo(host, service, &hints, &address) != 0 || address == NULL) {
        return ryz_fail(error, RYZ_NOT_FOUND, "cannot resolve the server's host \"%s\"", host);
    }
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    int64_t end_ns = ryz_clock_now_ns(clock) + timeout_ns;
    enum ryz_status status = RYZ_OK;
    while (!answers_200(address, host, path)) {
        if (process != NULL && ryz_process_ended(process)) {
            status = ryz_fail(error, RYZ_UNAVAILABLE,
                              "the spawned server ended before it was ready; its output is in %s",
                              process->log_path);
            break;
        }
        if (ryz_clock_now_ns(clock) > end_ns) {
            status = ryz_fail(error, RYZ_TIMEOUT,
                              "no healthy answer from http://%s:%u%s within "
                              "%.0f s",
                              host, (unsigned)port, path, (double)timeout_ns / 1e9);
            break;
        }
        pause_ns(20 * RYZ_NS_PER_MS);
    }
    freeaddrinfo(address);
    return status;
}
