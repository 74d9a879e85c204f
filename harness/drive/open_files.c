/* open_files.c - see open_files.h. */
#include "harness/drive/open_files.h"

#include <sys/resource.h>

#define OTHER_FILES                                                                                \
    64u /* beside connections: libraries, logs, epolls, sockets that just closed                   \
         */

uint32_t ryz_open_files_allow(uint32_t connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return connections;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return connections;
    return limit.rlim_cur > OTHER_FILES ? (uint32_t)(limit.rlim_cur - OTHER_FILES) : 0;
}
