/*
 * `share: K/N`: which workers are this edge's, where N edges stand before the same list. Each
 * worker is exactly one edge's, and stays it whatever happens to the others: `slots: 1` is a
 * guarantee only if no worker is ever asked by two.
 *
 * So an edge never looks at what is up, nor at how many addresses a name has just now: edges may
 * see that differently for a while, and a worker that moved would still render for the edge that it
 * left.
 *
 *  - A list with at least N entries is divided by entries, in the order of their texts: as evenly
 *    as it can be. An entry's addresses go with it.
 *  - A shorter list, such as one name with an address for each renderer, is divided by address:
 *    each goes to the edge for which XXH3-128 of "ADDRESS K" is largest (rendezvous hashing). That
 *    is even only in the long run, but an address that comes or goes moves no other one, and an
 *    edge more takes from each of the others only what becomes its own.
 *
 * Pure, any thread.
 */
#pragma once

#include "policy/config.h"

#include <sys/socket.h>

/* There is one edge. */
static inline bool share_is_whole(const struct origin_config *origin)
{
    return origin->share.of <= 1;
}
/* False: this entry of `workers` is another edge's, with all its addresses. */
bool share_has_entry(const struct origin_config *origin, size_t index);
/* False: this address is another edge's. Of an entry that share_has_entry(). */
bool share_has_address(const struct origin_config *origin, const struct sockaddr_storage *address);
/* Entries of this edge; of a list that is divided by address, all: that is not known here. */
unsigned share_entry_count(const struct origin_config *origin);
