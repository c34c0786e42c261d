/*
 * Who the client is, and over which scheme it came, behind proxies that we trust (semantics 1.7,
 * 2.8). Pure; called by the front once per request.
 */
#pragma once

#include "policy/config.h"
#include "policy/host.h"
#include "policy/message.h"

/* Loopback and unix sockets are trusted always. */
bool proxy_is_trusted(const struct policy *policy, const struct ip_address *address);

/*
 * Reads io->peer and io->scheme (the listener's); sets io->peer_is_trusted, io->client (the last
 * address from the right in X-Forwarded-For, else in Forwarded, that is not a trusted proxy's;
 * is_unknown where a trusted proxy names none that can be read) and, where a trusted peer names it,
 * io->scheme. `fields` are the request's. When PROXY v2 told of TLS,
 * the caller keeps its own scheme: it comes first (semantics 1.7).
 */
void proxy_resolve(const struct policy *policy, const struct fields *fields, struct request *io);
