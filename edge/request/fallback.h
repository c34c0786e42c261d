/*
 * When a render failed, cannot run or takes too long: the route's `on_failure` order (stale,
 * shell), then 503 with Retry-After, or 504 where stale is forbidden (semantics 5.2, 8).
 */
#pragma once

#include "edge/request/exchange.h"

/* Is what it asks for made by renderers? What has no slots is no renderer, and files of `assets`
 * cost none (semantics 7.1). */
bool is_render(const struct decision *decision);

enum reason fallback_reason(unsigned call_failure);
/* The stale object or the shell: deliver_object(), answer_shell(). STEP_NONE: neither. */
enum step fallback_after_failure(struct exchange *ex, enum reason reason);
/* For a pass, which gets the origin's own error, and no shell, unless something stored stands in
 * for it (semantics 3.2): a HEAD, a page under a mark, or one whose place a sealed fill has not
 * taken. Requests that were not looked up have nothing stored (8.1). */
enum step fallback_after_failed_pass(struct exchange *ex, unsigned status);
/* Might this be given? Without an effect; that the shell is configured does not say that there is
 * one at the moment. */
bool fallback_may_be(enum fallback fallback, enum mode mode, const struct decision *decision,
                     const struct candidate *found);
/* Where there is none: 503 with Retry-After, whatever it was that failed; 504 where the origin
 * forbade stale (semantics 5.2). */
unsigned fallback_error_status(const struct candidate *found);
slice fallback_error_detail(enum reason reason); /* unless it is of the queue */
void fallback_error(struct exchange *ex, enum reason reason);
/* Answers who waited for a call that has failed: one or the other of the two above. */
enum step fallback_after_call(struct exchange *ex, unsigned call_failure);
/* After `client_wait`: leaves the flight if stale or the shell can be given (semantics 7.5). */
enum step fallback_instead_of_waiting(struct exchange *ex);

/*
 * What the operator's mode means for a request (`varve mode`).
 *
 * `shell`: who may be given stale or the shell gets it as if the render had failed, without asking
 * for one: navigations to pages that renderers make. Crawlers (`never_shell`), data, and whoever
 * can have neither go on as under `auto`. Fresh pages are given as ever, and nothing is refreshed
 * behind people.
 * `ssr`: the shell is nobody's fallback; `when_logged_in: shell` is none, and stays.
 */
bool fallback_is_ordered(enum mode mode, const struct decision *decision);
bool fallback_stops_refreshes(enum mode mode, const struct decision *decision);
bool fallback_may_be_shell(enum mode mode, const struct decision *decision);
/* Before a flight is joined or started. */
enum step fallback_instead_of_asking(struct exchange *ex);
