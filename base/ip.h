/* IP addresses and address ranges. IPv4 is kept as IPv4-mapped IPv6, so that both compare as 16
 * bytes. Pure, any thread. */
#pragma once

#include "base/slice.h"

#include <sys/socket.h>

struct ip_address {
    uint8_t bytes[16]; /* network order */
    bool is_local;     /* a unix socket: no address at all */
    bool is_unknown;   /* somebody else, of whom nothing readable was said: in no range */
};

struct ip_range {
    struct ip_address network;
    unsigned prefix_bits; /* 0 to 128, counted in the mapped form */
};

enum { IP_TEXT_BYTES = 48 };

bool ip_parse(slice text,
              struct ip_address *address); /* "192.0.2.1", "2001:db8::1", "[2001:db8::1]" */
bool ip_range_parse(
    slice text, struct ip_range *range); /* the same with an optional /bits; host bits must be 0 */
bool ip_range_contains(const struct ip_range *range, const struct ip_address *address);
bool ip_is_loopback(const struct ip_address *address);
bool ip_equal(const struct ip_address *a, const struct ip_address *b);
struct ip_address ip_of_sockaddr(const struct sockaddr *address); /* AF_UNIX gives is_local */
/* Writes the text form, "unix" for a local peer, "unknown" for who is unknown; returns a view of
 * `buffer`. */
slice ip_format(const struct ip_address *address, char buffer[IP_TEXT_BYTES]);
