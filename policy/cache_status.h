/*
 * The text of Cache-Status (RFC 9211): one member of varve's own behind those of the caches before
 * it. Pure, any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"

/* `fwd` (§2.2): why a request went forward. `partial` never comes: nothing partial is stored. */
enum cache_forward {
    FORWARD_NONE, /* it did not: `hit` */
    FORWARD_BYPASS,
    FORWARD_METHOD,
    FORWARD_URI_MISS,
    FORWARD_VARY_MISS,
    FORWARD_MISS,
    FORWARD_REQUEST,
    FORWARD_STALE
};

/* `collapsed` (§2.6) */
enum cache_collapse {
    COLLAPSE_NONE,
    COLLAPSE_REUSED, /* the answer to another request was this one's too */
    COLLAPSE_IN_VAIN /* it waited for one, and had to ask for itself */
};

struct cache_status {
    bool is_generated; /* an answer of varve's own: neither hit nor forwarded */
    enum cache_forward forward;
    unsigned forward_status; /* 0: none to tell */
    bool is_stored;
    enum cache_collapse collapse;
    duration ttl; /* DURATION_NONE: not told */
    slice key;    /* any bytes; empty: not told */
    slice detail; /* a token; empty: not told */
};

/*
 * `before` is what the field holds already: kept, unless it is no Structured Fields List, since
 * ours could not be read behind it.
 */
slice cache_status_append(slice before, const struct cache_status *status, struct arena *arena);
