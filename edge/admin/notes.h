/*
 * What the log says of requests once, or once in a while, and not of each: why pages of a route are
 * not stored, what a route has learned, that a renderer fails. Any thread. A reload begins anew.
 */
#pragma once

#include "edge/server.h"

struct notes;

struct notes *notes_new(const struct policy *policy);
void notes_free(struct notes *notes);

/* Once per route and reason, REASON_POLICY once for each of its causes: why a page is not stored,
 * and what to do (semantics 2.9, 10.4). */
void notes_not_stored(struct notes *notes, const struct request *request,
                      const struct decision *decision, const struct response *response,
                      enum reason reason);
/* Once per route: a field was learned under the seal (semantics 2.3). */
void notes_learned(struct notes *notes, const struct request *request,
                   const struct decision *decision, const struct field_names *names);
/* A request to a renderer has failed: counts it (varve_upstream_errors_total), and says so at most
 * once a second per worker and kind, of at most 32 of these. */
void notes_upstream_error(struct server *server, const struct request *request, slice worker,
                          enum call_failure failure, slice detail);
