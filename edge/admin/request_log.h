/* The access log: one line per request, JSON or NCSA (product.md: time id client host method path
 * status bytes …). */
#pragma once

#include "edge/request/exchange.h"

/* Counts the request (metrics_request) and writes its line, when the log is on. The request is
 * still readable. */
void request_log(struct exchange *ex);
