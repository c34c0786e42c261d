/*
 * Via (RFC 9110 §7.6.3): who a message came through. varve calls itself `varve` in it. Pure, any
 * thread.
 */
#pragma once

#include "policy/message.h"

/* A request that came through here more often goes in circles. Less than the slots that an origin
 * has by default, which a circle of passes holds one by one. */
enum { VIA_PASSAGES_MAX = 5 };

/*
 * Sets the field to what it holds already and ourselves behind that. `version` is that of the
 * message as it was received: "1.1".
 */
void via_add(struct fields *fields, slice version, struct arena *arena);
/* "1.0", "1.1" or "2.0" */
slice via_version(const struct request *request);
/* How many members name varve, this one or another. */
size_t via_passages(const struct fields *fields);
