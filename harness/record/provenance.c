/* provenance.c - asks process and machine where a result comes from. */
#include "harness/record/provenance.h"

#include "harness/record/git_commit.h"

#include <H5public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifndef RYZ_VERSION
#define RYZ_VERSION "unknown"
#endif
#ifndef RYZ_BUILD_TYPE
#define RYZ_BUILD_TYPE ""
#endif
#ifndef RYZ_BUILD_FLAGS
#define RYZ_BUILD_FLAGS ""
#endif

/* First line of a small file, without its newline; "" if it cannot be read. */
static void first_line(const char *path, char *text, size_t capacity)
{
    text[0] = '\0';
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    if (fgets(text, (int)capacity, file) == NULL) text[0] = '\0';
    (void)fclose(file);
    text[strcspn(text, "\n")] = '\0';
}

/* Value of the first line of /proc/cpuinfo that starts with `key`. */
static void cpu_info(const char *key, char *text, size_t capacity)
{
    char line[4096];
    text[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) != 0) continue;
        const char *colon = strchr(line, ':');
        if (colon == NULL) continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(text, capacity, "%s", colon[1] == ' ' ? colon + 2 : colon + 1);
        break;
    }
    (void)fclose(file);
}

/* The extensions that decide which kernels run. */
static void collect_isa(char *text, size_t capacity)
{
    static const char *const wanted[] = {"avx2",        "f16c",     "fma",
                                         "avx512f",     "avx512bw", "avx512_vnni",
                                         "avx512_bf16", "amx_tile", "asimd"};
    char flags[4096], padded[4100];
    cpu_info("flags", flags, sizeof flags);
    if (flags[0] == '\0') cpu_info("Features", flags, sizeof flags);
    snprintf(padded, sizeof padded, " %s ", flags);
    text[0] = '\0';
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", wanted[i]);
        if (strstr(padded, word) == NULL) continue;
        size_t length = strlen(text);
        snprintf(text + length, capacity - length, "%s%s", length > 0 ? " " : "", wanted[i]);
    }
}

static void collect_container(char *text, size_t capacity)
{
    char vendor[64];
    if (access("/.dockerenv", F_OK) == 0)
        snprintf(text, capacity, "docker");
    else if (access("/run/.containerenv", F_OK) == 0)
        snprintf(text, capacity, "podman");
    else {
        first_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
        snprintf(text, capacity, "%.31s", vendor);
    }
}

static void collect_argv(int argc, char *const *argv, char *text, size_t capacity)
{
    size_t length = 0;
    for (int i = 0; argv != NULL && i < argc && length + 1 < capacity; i++) {
        int n = snprintf(text + length, capacity - length, "%s%s", i > 0 ? " " : "", argv[i]);
        length += n > 0 ? (size_t)n : 0;
    }
}

static void collect_build(struct ryz_provenance *p)
{
    unsigned major = 0, minor = 0, release = 0;
    snprintf(p->git_commit, sizeof p->git_commit, "%s", RYZ_GIT_COMMIT);
    snprintf(p->ryz_version, sizeof p->ryz_version, "%s", RYZ_VERSION);
    snprintf(p->build_type, sizeof p->build_type, "%s", RYZ_BUILD_TYPE);
    snprintf(p->build_flags, sizeof p->build_flags, "%s", RYZ_BUILD_FLAGS);
#if defined(__clang__)
    snprintf(p->compiler, sizeof p->compiler, "clang %s", __clang_version__);
#else
    snprintf(p->compiler, sizeof p->compiler, "gcc %s", __VERSION__);
#endif
    H5get_libversion(&major, &minor, &release);
    snprintf(p->hdf5_version, sizeof p->hdf5_version, "%u.%u.%u", major, minor, release);
}

void ryz_provenance_collect(struct ryz_provenance *p, int argc, char *const *argv, int with_host)
{
    struct utsname name;
    struct tm utc;
    time_t now = time(NULL);
    *p = (struct ryz_provenance){0};
    collect_build(p);
    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(p->created_utc, sizeof p->created_utc, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (with_host && gethostname(p->host, sizeof p->host - 1) != 0) p->host[0] = '\0';
    if (uname(&name) == 0)
        snprintf(p->kernel, sizeof p->kernel, "%.32s %.80s", name.sysname, name.release);
    cpu_info("model name", p->cpu, sizeof p->cpu);
    collect_isa(p->isa, sizeof p->isa);
    first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", p->governor,
               sizeof p->governor);
    first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", p->clocksource,
               sizeof p->clocksource);
    collect_container(p->container, sizeof p->container);
    collect_argv(argc, argv, p->argv, sizeof p->argv);
    long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    p->cores = cores > 0 ? (uint32_t)cores : 0;
    p->ram_bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

void ryz_provenance_deinit(struct ryz_provenance *provenance)
{
    free(provenance->owned);
    provenance->owned = NULL;
    provenance->scenario = NULL;
    provenance->scenario_bytes = 0;
}
