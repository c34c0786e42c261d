/* A URL that an operator typed, as a request: for explain, variants and exact purge counts. */
#pragma once

#include "edge/server.h"

/*
 * Fills a GET request for `url` (absolute, or a path when exactly one host is configured) and what
 * the rulebook decides about it. `header_lines`: "Name: value" texts; Host takes the
 * place of the URL's host, as curl has it; X-Forwarded-For and the like count as a trusted proxy's.
 * False: no URL, or no one host.
 */
bool url_request(struct server *server, struct arena *arena, slice url, slice default_scheme,
                 const slice *header_lines, size_t header_count, struct request *request,
                 struct decision *decision);
/* The host that a path alone means: the one of `hosts:`, if it is the only one; else empty. */
slice url_only_host(const struct policy *policy);
