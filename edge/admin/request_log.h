/* The access log: one line per request, JSON or NCSA (its fields: docs/operations.md). */
#pragma once

#include "edge/request/exchange.h"

/* Counts the request (metrics_request) and writes its line, when the log is on. The request is
 * still readable. */
void request_log(struct exchange *ex);
/*
 * front_setup.on_refused; `server` is the struct server. Counts what was refused before it became a
 * request (varve_refused_requests_total{status}) and writes its line.
 */
void request_log_refused(struct loop *loop, const struct front_refusal *refusal, void *server);
/* The line as it is written, newline included: a view of `bytes`. Uses ex->arena. For request_log()
 * and for tests. */
enum { REQUEST_LINE_BYTES = 8192 };
slice request_log_line(struct exchange *ex, duration took, char bytes[REQUEST_LINE_BYTES]);
