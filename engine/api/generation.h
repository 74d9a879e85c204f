/*
 * generation.h - a request's way through the engine and back to its connection.
 *
 *   body -> parse -> submit -> suspend <--- event (engine thread): keep, resume
 *                                 '-> whole answer when ended | stream: reader writes what came,
 *                                     then suspends again
 */
#ifndef RYZ_API_GENERATION_H
#define RYZ_API_GENERATION_H

#include "engine/api/exchange.h"

/* The body is whole: parses and submits it. */
enum MHD_Result ryz_generation_start(struct ryz_exchange *exchange, bool chat);
/* libmicrohttpd asks again after a resume. */
enum MHD_Result ryz_generation_continue(struct ryz_exchange *exchange);
/* The connection is through with the exchange: cancels what is still in the engine. */
void ryz_generation_detach(struct ryz_exchange *exchange);
/* Wakes all suspended connections; with `stopping` set none suspends again. */
void ryz_generation_wake_all(struct ryz_server *server);

#endif
