/*
 * EADDRNOTAVAIL means two things: all ports to that address are in use, or this machine has no
 * address of that family at all, as where IPv6 is off and a name has an AAAA record too. A worker
 * of the second kind is never to be had. A datagram socket tells them apart: it needs an address
 * of its own just the same, but takes no TCP port, and sends nothing.
 */
#include "edge/origin/lack.h"

#include <errno.h>
#include <unistd.h>

static bool lacks_address_for(const struct sockaddr *address, socklen_t bytes)
{
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false; /* that lacks, then */
    bool lacks_address = connect(fd, address, bytes) != 0 && errno == EADDRNOTAVAIL;
    close(fd);
    return lacks_address;
}

bool lack_is_own(int problem, const struct sockaddr *address, socklen_t bytes)
{
    switch (problem) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN: /* the backlog of a unix socket is full: somebody listens */
        return true;
    case EADDRNOTAVAIL:
        return !lacks_address_for(address, bytes);
    default:
        return false;
    }
}
