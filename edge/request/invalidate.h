/*
 * After a successful unsafe request its URL's variants are marked stale (semantics 6.1): the first
 * at once, further ones within 10 s together at their end, so that an anonymous `POST /` that
 * renders a page does not wipe it each time. `invalidate: rfc` drops them instead, Location and
 * Content-Location of the same origin too (RFC 9111 §4.4). The groups that the answer's
 * Cache-Group-Invalidation names (RFC 9875), and the data of the page (`purge.twins`), go the same
 * way, each with 10 s of its own.
 */
#pragma once

#include "edge/server.h"

/* The loop's thread. The stamp of the newest record that it has written; 0: none. */
uint64_t invalidate_after(struct server *server, struct loop *loop, const struct request *request,
                          const struct decision *decision, const struct response *response);
/* A drain: what is still to be marked on this loop is marked now. The loop's thread. */
void invalidate_now(struct loop *loop);
