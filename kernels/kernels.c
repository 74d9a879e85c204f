/*
 * kernels.c - finds the table of functions to run.
 *
 * Leaves the tables themselves to ref/ and x86/. The idea to know: the choice is made by CPUID
 * alone, at run time, so one binary serves every machine of its architecture.
 */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/ref/ref.h"
#include "kernels/x86/x86.h"

struct candidate {
    const struct ryz_kernels *table;
    bool (*runs_here)(void);
};

static bool always(void)
{
    return true;
}

/* Best first. */
static const struct candidate candidates[] = {
#if RYZ_KERNELS_X86
    {&ryz_kernels_avx512, ryz_x86_has_avx512},
    {&ryz_kernels_avx2, ryz_x86_has_avx2},
#endif
    {&ryz_kernels_ref, always},
};

#define CANDIDATE_COUNT (sizeof candidates / sizeof candidates[0])

const struct ryz_kernels *ryz_kernels_find(const char *name)
{
    bool any = !name || strcmp(name, "auto") == 0;
    for (size_t i = 0; i < CANDIDATE_COUNT; i++) {
        if (!candidates[i].runs_here()) continue;
        if (any || strcmp(candidates[i].table->name, name) == 0) return candidates[i].table;
    }
    return NULL;
}

const char *ryz_kernels_name(size_t i)
{
    for (size_t c = 0; c < CANDIDATE_COUNT; c++) {
        if (candidates[c].runs_here() && i-- == 0) return candidates[c].table->name;
    }
    return NULL;
}
