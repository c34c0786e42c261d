/* The address of a listener as users write it: ":8080", "127.0.0.1:8080", "[::1]:8080",
 * "unix:/path". One reading for the policy, the sockets and the commands that connect to them. */
#pragma once

#include "base/slice.h"

struct address {
    slice host;    /* without brackets; empty: any */
    uint16_t port; /* 1 to 65535; 0: a unix socket */
    slice path;    /* of the unix socket: 1 to 107 bytes, none of them NUL */
};

/* False: it is none. *address holds views of `text`. Pure. */
bool address_parse(slice text, struct address *address);
/* The same for where we listen ourselves. A name is none: it would have to be looked up, which can
 * hang, and may mean several addresses. */
bool address_parse_numeric(slice text, struct address *address);
