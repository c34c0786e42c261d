/*
 * When a render failed, cannot run or takes too long: the route's `on_failure` order (stale,
 * shell), then 503 with Retry-After, or 504 where stale is forbidden (semantics 5.2, 8).
 */
#pragma once

#include "edge/request/exchange.h"

enum reason fallback_reason(unsigned call_failure);
/* The stale object or the shell: deliver_object(), answer_shell(). STEP_NONE: neither. */
enum step fallback_after_failure(struct exchange *ex, enum reason reason);
/* For a pass, which gets the origin's own error, and no shell, unless something stored stands in
 * for it (semantics 3.2): a HEAD, a page under a mark, or one whose place a sealed fill has not
 * taken. Requests that were not looked up have nothing stored (8.1). */
enum step fallback_after_failed_pass(struct exchange *ex, unsigned status);
/* Is it in the route's `on_failure`? */
bool fallback_is_named(const struct route *route, enum fallback fallback);
/* Might this be given? Without an effect; that the shell is configured does not say that there is
 * one at the moment. */
bool fallback_may_be(enum fallback fallback, enum mode mode, const struct decision *decision,
                     const struct candidate *found);
/* Is something stale given for this reason because nothing else can be had, rather than because it
 * is there? */
bool fallback_is_last(enum reason stale_reason);
/* Where there is none: 503 with Retry-After, whatever it was that failed; 504 where the origin
 * forbade stale (semantics 5.2). */
unsigned fallback_error_status(const struct candidate *found);
slice fallback_error_detail(enum reason reason); /* unless it is of the queue */
void fallback_error(struct exchange *ex, enum reason reason);
/* Answers who waited for a call that has failed: one or the other of the two above. */
enum step fallback_after_call(struct exchange *ex, unsigned call_failure);
/* After `client_wait`: leaves the flight if stale or the shell can be given (semantics 7.5). */
enum step fallback_instead_of_waiting(struct exchange *ex);

/* Before a flight is joined or started: what the operator's mode orders (mode_meaning.h). */
enum step fallback_instead_of_asking(struct exchange *ex);
