/*
 * The fetch side of a flight: asks an origin, judges the answer, stores it, and feeds whoever
 * waits. It belongs to the loop that started it and owns copies of all it needs, so it outlives the
 * exchange: a storable render that has started finishes whoever leaves (semantics 3.4).
 */
#pragma once

#include "edge/request/exchange.h"

enum fetch_kind {
    FETCH_PASS,    /* not stored */
    FETCH_FILL,    /* stored if it may be */
    FETCH_REFRESH, /* a fill behind people */
};

/*
 * Starts fetching for `flight`, taking the caller's reference to it if it is a refresh (else the
 * waiter holds one). `old`: a stored object whose validators are sent and which a 304 renews; may
 * be NULL. `record`: the URL's union; NULL for a pass.
 */
void fetch_start(struct server *server, struct loop *loop, enum fetch_kind kind,
                 const struct request *request, const struct decision *decision,
                 const struct vary_record *record, struct object *old, struct flight *flight);

/* Host as that origin wants it: `asked`, another, or (empty) the worker's own. */
slice origin_host_header(const struct origin_config *origin, slice asked);

/* Does a fill ask for identity: on a route with `ttl`, or of a URL stored before (semantics 4.7)?
 */
static inline bool fill_wants_identity(const struct route *route, const struct vary_record *record)
{
    return duration_is_given(route->ttl.value) || record->is_known;
}
