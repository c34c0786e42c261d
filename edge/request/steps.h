/* The steps of a request: see steps.c. Used by exchange.c alone. */
#pragma once

#include "edge/request/exchange.h"

/* Runs steps until one waits. True: the answer is complete or under way without us; nothing more to
 * do but to log it. */
bool steps_run(struct exchange *ex);
/* The disk has answered. */
void lookup_read_delivered(struct exchange *ex);
