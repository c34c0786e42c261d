/*
 * When a render failed, cannot run or takes too long: the route's `on_failure` order (stale,
 * shell), then 503 with Retry-After, or 504 where stale is forbidden (semantics 5.2, 8).
 */
#pragma once

#include "edge/request/exchange.h"

enum reason fallback_reason(unsigned call_failure);
/* True: answered from the stale object or the shell, or the shell is asked for (answer_shell()). */
bool fallback_after_failure(struct exchange *ex, enum reason reason);
void fallback_error(struct exchange *ex, enum reason reason);
/* After `client_wait`: leaves the flight if stale or the shell can be given (semantics 7.5). */
bool fallback_instead_of_waiting(struct exchange *ex);
