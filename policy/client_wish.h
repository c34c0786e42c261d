/*
 * What a client's Cache-Control asks of the cache (RFC 9111 §5.2.1), on routes with
 * `client_cache_control: honour`. Pure, any thread.
 */
#pragma once

#include "policy/response.h"

struct client_wish {
    bool no_store;       /* what is fetched for it is not stored */
    bool no_cache;       /* nothing unvalidated; Pragma: no-cache too, where it stands alone */
    bool only_if_cached; /* 504 rather than a fetch */
    duration max_age;    /* DURATION_NONE: any age */
    duration min_fresh;  /* DURATION_NONE: any lifetime left */
};

/* No wishes at all where the route ignores them. The first of several equal directives counts; one
 * with a number that cannot be read is left out, but `max-age` is then 0. */
void client_wish_of(const struct request *request, const struct route *route,
                    struct client_wish *wish);

/* May a fresh response of this age, with that lifetime left, be given without asking the origin? */
bool client_wish_admits(const struct client_wish *wish, duration age, duration fresh_left);
