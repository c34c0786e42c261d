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
};

/* A call of our own that asks a worker whether it lives (semantics 7.2). It frees itself. */
void call_probe(struct home *home, struct pool *pool, const struct permit *permit);
/* A call that is left when everything ends: frees it without events, or as soon as the message that
 * is on its way to it has come. */
void call_drop(struct call *call);
struct call *call_of_home_node(struct list *node);
