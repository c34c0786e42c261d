/* What the parts of the origin client share: the process's origins, and its private view of a call.
 */
#pragma once

#include "edge/origin/connection.h"
#include "edge/origin/deadly.h"

#include <pthread.h>

struct resolver;

struct origins {
    const struct policy *policy;
    void *slots_region;
    size_t loop_count;
    struct home *homes;  /* by loop->index */
    struct pool **pools; /* by origin_config.index */
    struct resolver *resolver;
    struct deadly deadly;
    atomic_bool is_draining; /* this process asks nothing by itself any more */
};

/* A call of our own to the worker of the permit, which is also the `owner` in its events. */
struct call_inquiry {
    struct permit permit;
    slice request; /* head; copied */
    duration timeout;
    const struct call_events *events;
};
void call_inquire(struct home *home, struct pool *pool, const struct call_inquiry *inquiry);
/* inquiry.c: asks what is due, on this loop. */
void origins_inquire(struct home *home);
bool origins_have_inquiries(const struct origins *origins);
/* A call of our own that asks a worker whether it lives (semantics 7.2). It frees itself. `request`
 * is copied. */
void call_probe(struct home *home, struct pool *pool, const struct permit *permit, slice request);
/* inquiry.c: the same, with what the origin has configured for it. */
void origins_probe(struct home *home, struct pool *pool, const struct permit *permit);
/* A call that is left when everything ends: frees it without events, or as soon as the message that
 * is on its way to it has come. */
void call_drop(struct call *call);
struct call *call_of_home_node(struct list *node);
