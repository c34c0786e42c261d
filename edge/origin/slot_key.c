/* See slots.h: how an address names its slots. */
#include "edge/origin/slots.h"

#include "base/ip.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

slice slot_key(const struct sockaddr_storage *address, char buffer[SLOT_KEY_BYTES])
{
    int bytes;
    if (address->ss_family == AF_UNIX) {
        const struct sockaddr_un *local = (const struct sockaddr_un *)address;
        bytes = snprintf(buffer, SLOT_KEY_BYTES, "unix:%s", local->sun_path);
    } else {
        char text[IP_TEXT_BYTES];
        struct ip_address ip = ip_of_sockaddr((const struct sockaddr *)address);
        slice host = ip_is_loopback(&ip) ? SLICE("loopback") : ip_format(&ip, text);
        /* sin_port and sin6_port lie at the same place */
        bytes = snprintf(buffer, SLOT_KEY_BYTES, "%" SLICE_FMT " %u", SLICE_ARG(host),
                         ntohs(((const struct sockaddr_in *)address)->sin_port));
    }
    return slice_of(buffer, (size_t)bytes);
}
