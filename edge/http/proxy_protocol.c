/*
 *     v1   "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"  (at most 107 bytes)
 *     v2   signature (12) | version, command (1) | family (1) | length (2) | addresses | TLVs
 *     TLV  type (1) | length (2) | value;  PP2_TYPE_SSL's value begins with a byte of flags
 */
#include "edge/http/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

enum { V1_MAX_BYTES = 107, V1_MIN_BYTES = 15, V2_FIXED_BYTES = 16 };
enum { V2_UNIX_BYTES = 216, V2_INET_BYTES = 12, V2_INET6_BYTES = 36 };
enum { TLV_SSL = 0x20, SSL_CLIENT_FLAG = 1, TLV_FIXED_BYTES = 3 };

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static enum proxy_verdict need(size_t *needed, size_t bytes)
{
    *needed = bytes;
    return PROXY_INCOMPLETE;
}

static bool begins_like(slice bytes, slice signature)
{
    return slice_starts_with(signature, slice_until(bytes, signature.len)) ||
           slice_starts_with(bytes, signature);
}

/* --- version 1 --- */

static bool port_is_valid(slice port)
{
    uint64_t number;
    return port.len > 0 && port.len <= 5 && slice_to_u64(port, &number) && number <= 65535;
}

static bool address_is_of(const struct ip_address *address, bool is_v4)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct ip_address mapped = ip_of_sockaddr((const struct sockaddr *)&any);
    return (memcmp(address->bytes, mapped.bytes, 12) == 0) == is_v4;
}

static bool parse_v1_line(slice line, struct proxy_header *header)
{
    slice rest = line, word, family, source, destination, ports[2];
    struct ip_address other;
    if (!slice_next(&rest, ' ', &word) || !slice_next(&rest, ' ', &family))
        return false;
    if (slice_equal(family, SLICE("UNKNOWN")))
        return true;
    bool is_v4 = slice_equal(family, SLICE("TCP4"));
    if (!is_v4 && !slice_equal(family, SLICE("TCP6")))
        return false;
    if (!slice_next(&rest, ' ', &source) || !slice_next(&rest, ' ', &destination) ||
        !slice_next(&rest, ' ', &ports[0]) || !slice_next(&rest, ' ', &ports[1]) || rest.ptr)
        return false;
    header->has_client = true;
    return ip_parse(source, &header->client) && address_is_of(&header->client, is_v4) &&
           ip_parse(destination, &other) && address_is_of(&other, is_v4) &&
           port_is_valid(ports[0]) && port_is_valid(ports[1]);
}

static enum proxy_verdict parse_v1(slice bytes, struct proxy_header *header, size_t *needed)
{
    size_t end = slice_find(bytes, '\n', 0);
    if (end == bytes.len && bytes.len >= V1_MAX_BYTES)
        return PROXY_BAD;
    if (end == bytes.len) /* past the shortest line, only the next byte is certain */
        return need(needed, bytes.len < V1_MIN_BYTES ? V1_MIN_BYTES - bytes.len : 1);
    if (end >= V1_MAX_BYTES || bytes.ptr[end - 1] != '\r' ||
        !parse_v1_line(slice_until(bytes, end - 1), header))
        return PROXY_BAD;
    header->bytes = end + 1;
    return PROXY_OK;
}

/* --- version 2 --- */

static size_t read_u16(slice bytes, size_t at)
{
    return (size_t)(uint8_t)bytes.ptr[at] << 8 | (uint8_t)bytes.ptr[at + 1];
}

static bool read_tlvs(slice tlvs, struct proxy_header *header)
{
    while (tlvs.len) {
        if (tlvs.len < TLV_FIXED_BYTES || tlvs.len < TLV_FIXED_BYTES + read_u16(tlvs, 1))
            return false;
        size_t length = read_u16(tlvs, 1);
        if ((uint8_t)tlvs.ptr[0] == TLV_SSL && length >= 5) {
            header->says_tls = true;
            header->is_tls = (tlvs.ptr[TLV_FIXED_BYTES] & SSL_CLIENT_FLAG) != 0;
        }
        tlvs = slice_from(tlvs, TLV_FIXED_BYTES + length);
    }
    return true;
}

static struct ip_address read_address(slice addresses, bool is_v4)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (is_v4) {
        memcpy(&v4.sin_addr, addresses.ptr, sizeof(v4.sin_addr));
        return ip_of_sockaddr((const struct sockaddr *)&v4);
    }
    memcpy(&v6.sin6_addr, addresses.ptr, sizeof(v6.sin6_addr));
    return ip_of_sockaddr((const struct sockaddr *)&v6);
}

static bool read_v2_proxied(slice payload, uint8_t family, struct proxy_header *header)
{
    size_t address_bytes = family >> 4 == 1   ? V2_INET_BYTES
                           : family >> 4 == 2 ? V2_INET6_BYTES
                           : family >> 4 == 3 ? V2_UNIX_BYTES
                                              : 0;
    if (payload.len < address_bytes || (family & 15) > 2 || family >> 4 > 3)
        return false;
    header->has_client = family >> 4 == 1 || family >> 4 == 2;
    if (header->has_client)
        header->client = read_address(payload, family >> 4 == 1);
    return read_tlvs(slice_from(payload, address_bytes), header);
}

static enum proxy_verdict parse_v2(slice bytes, struct proxy_header *header, size_t *needed)
{
    if (bytes.len < V2_FIXED_BYTES)
        return need(needed, V2_FIXED_BYTES - bytes.len);
    uint8_t command = (uint8_t)bytes.ptr[12];
    size_t total = V2_FIXED_BYTES + read_u16(bytes, 14);
    if (command >> 4 != 2 || (command & 15) > 1 || total > PROXY_HEADER_MAX_BYTES)
        return PROXY_BAD;
    if (bytes.len < total)
        return need(needed, total - bytes.len);
    header->bytes = total;
    if ((command & 15) == 0) /* LOCAL: addresses mean nothing */
        return PROXY_OK;
    slice payload = slice_of(bytes.ptr + V2_FIXED_BYTES, total - V2_FIXED_BYTES);
    return read_v2_proxied(payload, (uint8_t)bytes.ptr[13], header) ? PROXY_OK : PROXY_BAD;
}

enum proxy_verdict proxy_header_parse(slice bytes, struct proxy_header *header, size_t *needed)
{
    slice signature = slice_of(v2_signature, sizeof(v2_signature));
    *header = (struct proxy_header){0};
    if (bytes.len == 0)
        return need(needed, 1);
    if (begins_like(bytes, signature))
        return parse_v2(bytes, header, needed);
    if (begins_like(bytes, SLICE("PROXY ")))
        return parse_v1(bytes, header, needed);
    return PROXY_BAD;
}
