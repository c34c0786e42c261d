/*
 * Names of origins, looked up on a thread of its own because getaddrinfo() blocks (semantics 9.6):
 * at start, every `dns:`, and soon after a worker refused a connection.
 */
#pragma once

#include "edge/origin/pool.h"

struct resolver;

/*
 * Addresses written as numbers are set at once. The first look-up of names is waited for, two
 * seconds at most: a name that does not resolve is a worker that is down, not a failed start.
 */
struct resolver *resolver_new(struct pool **pools, size_t pool_count);
void resolver_free(struct resolver *resolver);
