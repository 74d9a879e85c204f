/* otlp_json.h - spans as the JSON encoding of OTLP's ExportTraceServiceRequest. */
#ifndef RYZ_OBS_OTLP_JSON_H
#define RYZ_OBS_OTLP_JSON_H

#include "engine/base/json.h"
#include "engine/obs/trace.h"

/* Upper bound of the JSON of one span, in bytes. */
#define RYZ_OTLP_SPAN_BYTES 1024u

/* Writes one request. Ids are lower-case hex and 64-bit integers strings, as OTLP/JSON demands;
 * wall_offset_ns is added to the spans' times. */
void ryz_otlp_json(struct ryz_json *json, const char *service_name, int64_t wall_offset_ns,
                   const struct ryz_span *spans, size_t count);

#endif
