/*
 * The request as it goes over the wire (RFC 9112 §3, §6). What is written can be read in one way
 * only: framing fields are ours, and bytes that could end a line are replaced.
 */
#pragma once

#include "edge/origin/origin.h"

/*
 * Head, followed by the first `body_bytes` bytes of the body. A malloc()ed buffer. An empty
 * host_header is left open: what Host says goes in at `host_at`.
 */
char *request_write(const struct call_request *request, size_t body_bytes, size_t *bytes,
                    size_t *host_at);
/* May it be sent twice without harm (RFC 9110 §9.2.2)? */
bool method_is_idempotent(slice method);
