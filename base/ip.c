/*
 * Addresses and ranges. The text forms are libc's (inet_pton, inet_ntop: strict, no octal, no
 * zone), so that we and the kernel never read an address differently.
 */
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const uint8_t bytes[16])
{
    return memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static struct ip_address mapped(const void *four_bytes)
{
    struct ip_address address = {0};
    memcpy(address.bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(address.bytes + 12, four_bytes, 4);
    return address;
}

/* Without brackets; *is_v4 says how it was written, which decides what /bits counts. */
static bool parse_plain(slice text, struct ip_address *address, bool *is_v4)
{
    char copy[INET6_ADDRSTRLEN + 1];
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    uint8_t bytes[16];
    *is_v4 = inet_pton(AF_INET, copy, bytes) == 1;
    if (*is_v4) {
        *address = mapped(bytes);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    *address = (struct ip_address){0};
    memcpy(address->bytes, bytes, sizeof(bytes));
    return true;
}

static bool parse(slice text, struct ip_address *address, bool *is_v4)
{
    bool is_bracketed = text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    if (is_bracketed)
        text = slice_of(text.ptr + 1, text.len - 2);
    struct ip_address found;
    if (!parse_plain(text, &found, is_v4) || (is_bracketed && *is_v4))
        return false;
    *address = found;
    return true;
}

bool ip_parse(slice text, struct ip_address *address)
{
    bool is_v4;
    return parse(text, address, &is_v4);
}

static bool bit_is_set(const uint8_t bytes[16], unsigned bit)
{
    return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static bool host_bits_are_zero(const struct ip_range *range)
{
    for (unsigned bit = range->prefix_bits; bit < 128; bit++)
        if (bit_is_set(range->network.bytes, bit))
            return false;
    return true;
}

bool ip_range_parse(slice text, struct ip_range *range)
{
    struct ip_range found;
    bool is_v4;
    size_t slash = slice_find(text, '/', 0);
    if (!parse(slice_until(text, slash), &found.network, &is_v4))
        return false;
    uint64_t bits = is_v4 ? 32 : 128;
    uint64_t most = bits;
    if (slash < text.len && !slice_to_u64(slice_from(text, slash + 1), &bits))
        return false;
    if (bits > most)
        return false;
    found.prefix_bits = (unsigned)bits + (is_v4 ? 96 : 0);
    if (!host_bits_are_zero(&found))
        return false;
    *range = found;
    return true;
}

bool ip_range_contains(const struct ip_range *range, const struct ip_address *address)
{
    unsigned whole = range->prefix_bits / 8, rest = range->prefix_bits % 8;
    const uint8_t *a = range->network.bytes, *b = address->bytes;
    if (address->is_local || address->is_unknown || memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool ip_is_loopback(const struct ip_address *address)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    if (address->is_local || address->is_unknown)
        return false;
    return (is_mapped(address->bytes) && address->bytes[12] == 127) ||
           memcmp(address->bytes, v6_loopback, 16) == 0;
}

bool ip_equal(const struct ip_address *a, const struct ip_address *b)
{
    return a->is_local == b->is_local && a->is_unknown == b->is_unknown &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct ip_address ip_of_sockaddr(const struct sockaddr *address)
{
    struct ip_address ip = {.is_local = address->sa_family == AF_UNIX};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4)); /* it need not be aligned for us */
        return mapped(&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        memcpy(ip.bytes, &v6.sin6_addr, sizeof(ip.bytes));
    }
    return ip;
}

slice ip_format(const struct ip_address *address, char buffer[IP_TEXT_BYTES])
{
    if (address->is_local || address->is_unknown) {
        const char *word = address->is_local ? "unix" : "unknown";
        memcpy(buffer, word, strlen(word) + 1);
        return slice_of_string(buffer);
    }
    bool is_v4 = is_mapped(address->bytes);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, address->bytes + (is_v4 ? 12 : 0), buffer, IP_TEXT_BYTES);
    return slice_of_string(buffer);
}
