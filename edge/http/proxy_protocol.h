/*
 * The PROXY protocol header, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt),
 * that a trusted peer sends in front of a connection. libh2o knows version 1 only, laxly. Pure.
 */
#pragma once

#include "base/ip.h"
#include "base/slice.h"

enum { PROXY_HEADER_MAX_BYTES = 16 + 2048 }; /* v2 with its TLVs; more is refused */

enum proxy_verdict { PROXY_INCOMPLETE, PROXY_OK, PROXY_BAD };

struct proxy_header {
    size_t bytes;             /* PROXY_OK: length of the header */
    bool has_client;          /* false: LOCAL or UNKNOWN; the peer speaks for itself */
    struct ip_address client; /* source address */
    bool says_tls;            /* v2: it says whether the client's connection was TLS … */
    bool is_tls;              /* … and it was */
};

/*
 * `needed`, when PROXY_INCOMPLETE: this many further bytes certainly belong to the header, so they
 * may be taken from the socket.
 */
enum proxy_verdict proxy_header_parse(slice bytes, struct proxy_header *header, size_t *needed);
