/* limits.h - how much a request may ask for. */
#ifndef RYZ_RUNTIME_LIMITS_H
#define RYZ_RUNTIME_LIMITS_H

#define RYZ_STOPS_MAX        4u  /* stop strings of a request */
#define RYZ_STOP_BYTES_MAX   64u /* of one stop string */
#define RYZ_TOP_LOGPROBS_MAX 20u /* likeliest tokens reported per token */

#endif
