/* Inside of the response side: how facts are made, and where a lifetime came from. */
#pragma once

#include "policy/cache_control.h"
#include "policy/response.h"

/* Everything but FACT_NAVIGATION and FACT_SEALED, which are the decision's. `fields` as received.
 */
void facts_of_response(unsigned status, const struct fields *fields,
                       const struct directives *directives, struct exchange_times times,
                       uint32_t jitter_seed, struct facts *facts);

/* Does this cache know what the status asks of caches (RFC 9111 §5.2.2.3)? */
bool status_is_understood(unsigned status);
/* Heuristically cacheable (RFC 9110 §15.1). */
bool status_is_heuristic(unsigned status);
/* Can the route's `force` give it a lifetime (semantics 4.3)? */
bool status_may_be_forced(unsigned status);

enum lifetime_source { /* semantics 4.3, in order */
                       LIFETIME_FORCED,
                       LIFETIME_EXPLICIT,
                       LIFETIME_STATUS_TTL,
                       LIFETIME_TTL,
                       LIFETIME_HEURISTIC,
                       LIFETIME_NONE,
};

/* facts_lifetime(), and what gave it. */
duration facts_lifetime_from(const struct facts *facts, const struct route *route,
                             slice content_type, enum lifetime_source *source);
/* Is there any time after the lifetime in which it may be served stale (semantics 5.1)? */
bool facts_have_stale_window(const struct facts *facts, const struct route *route);
/* The route's `status_ttl` for this status or NULL. */
const struct lifetime_rule *route_status_rule(const struct route *route, unsigned status);
