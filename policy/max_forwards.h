/*
 * Max-Forwards (RFC 9110 §7.6.2): how many more proxies may forward an OPTIONS or a TRACE. Other
 * methods have none, whatever the field says; a value that cannot be read is as if it were not
 * there, and one too large to count is the largest. Pure functions.
 */
#pragma once

#include "policy/message.h"

/* The request has come to its last recipient: to be answered, not forwarded. */
bool max_forwards_ends_here(const struct request *request);
/* The line that a pass sends for this one of the request's: one less of this field, any other as it
 * is. In the request's arena. */
struct field max_forwards_next(const struct request *request, const struct field *field);
