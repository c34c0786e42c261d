/* Host names of requests (semantics 1.1, 1.5). Pure. */
#pragma once

#include "policy/config.h"

enum { HOST_MAX = 255 };

/*
 * host[:port] as keyed: lower case, without a trailing dot and without the scheme's default port.
 * Admitted are names of letters, digits, '-', '_' in labels that are not empty, IPv4 addresses and
 * bracketed IPv6 addresses, with a port of 1 to 65535. False: 400.
 */
bool host_normalise(struct arena *arena, slice raw, slice scheme, slice *host);

/* The part of host[:port] before the colon, brackets of an IPv6 address included: a view of it.
 * Nothing is checked or normalised; without a port it is all of `host`. */
slice host_without_port(slice host);

/* Is this normalised host one of `hosts`? An entry without a port admits every port; without
 * entries every host is. False: 421. */
bool host_is_allowed(const struct policy *policy, slice host);
