/*
 * What each client address holds of an origin's slots and of its queue (semantics 7.3), or, in a
 * book of its own, of the request bodies in memory. Pure but for its memory: no clock, no lock; the
 * owner guards it.
 *
 * An address has a row while it holds anything, so there are never more rows than places and
 * slots, or than connections.
 * A whole /64 of IPv6 is one address: that is what one subscriber is given.
 */
#pragma once

#include "base/ip.h"
#include "base/list.h"

enum { FAIR_BUCKETS = 1024, FAIR_ALL = 100 };

struct fair_client {
    struct list node;
    struct ip_address address;
    unsigned slots;
    unsigned places; /* in the queue: its own */
    unsigned lent;   /* beyond its share, while nobody else wanted them */
    uint64_t body_bytes;
};

struct fair {
    unsigned percent; /* 0 or FAIR_ALL: nobody is held to a share */
    unsigned clients; /* rows */
    uint64_t seed;    /* so that nobody can choose addresses that fall into one bucket */
    struct list buckets[FAIR_BUCKETS];
};

void fair_init(struct fair *fair);
void fair_fini(struct fair *fair);
/* The row of this address, made if there is none; NULL if nobody is held to a share. */
struct fair_client *fair_client(struct fair *fair, const struct ip_address *address);
/* Frees the row if it holds nothing any more. NULL: nothing happens. */
void fair_settle(struct fair *fair, struct fair_client *client);
/* The share of `all`: at least 1. */
uint64_t fair_share(const struct fair *fair, uint64_t all);
/* Are all of the `waiting` its own? */
static inline bool fair_is_alone(const struct fair_client *client, unsigned waiting)
{
    return client->places + client->lent == waiting;
}
