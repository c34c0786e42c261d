/*
 * Request bodies in memory: what all clients hold together (limits.request_bodies, semantics 9.5),
 * and each client address of it (limits.per_client). An address may hold more than its share only
 * as long as a share is left for others beside it: so nobody keeps the others from sending theirs.
 */
#pragma once

#include "edge/origin/fair.h"
#include "policy/config.h"

#include <pthread.h>

struct bodies {
    const struct policy *policy; /* the limits; borrowed */
    pthread_mutex_t mutex;
    /* hold mutex */
    uint64_t bytes;
    struct fair addresses;
};

void bodies_init(struct bodies *bodies, const struct policy *policy);
void bodies_fini(struct bodies *bodies);
/*
 * Somebody at `address` (NULL: who has no share) holds `before` bytes and wants to hold `after`.
 * False, and nothing changed: there is no room for that; there is always for less. Any thread.
 */
bool bodies_reserve(struct bodies *bodies, const struct ip_address *address, uint64_t before,
                    uint64_t after) __attribute__((warn_unused_result));
/* The same whether there is room or not: for what is there already. */
void bodies_account(struct bodies *bodies, const struct ip_address *address, uint64_t before,
                    uint64_t after);
