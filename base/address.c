/*
 * ADDRESS = "unix:" PATH / [ HOST ] ":" PORT
 * HOST    = "[" … "]" / text without ":"      "::1:80" could mean two things
 */
#include "base/address.h"

#include "base/ip.h"

enum { PATH_MAX_BYTES = 107 /* of sun_path, with its NUL */ };

static bool parse_port(slice text, uint16_t *port)
{
    uint64_t value;
    if (text.len > 5 || !slice_to_u64(text, &value) || value < 1 || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_host(slice text, slice *host)
{
    bool is_bracketed = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    *host = is_bracketed ? slice_of(text.ptr + 1, text.len - 2) : text;
    return is_bracketed ||
           (slice_find(text, ':', 0) == text.len && slice_find(text, '[', 0) == text.len &&
            slice_find(text, ']', 0) == text.len);
}

bool address_parse(slice text, struct address *address)
{
    struct address found = {0};
    if (slice_starts_with(text, SLICE("unix:"))) {
        found.path = slice_from(text, 5);
        if (found.path.len == 0 || found.path.len > PATH_MAX_BYTES ||
            slice_find(found.path, '\0', 0) < found.path.len)
            return false;
        *address = found;
        return true;
    }
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !parse_port(slice_from(text, colon), &found.port) ||
        !parse_host(slice_until(text, colon - 1), &found.host))
        return false;
    *address = found;
    return true;
}

bool address_parse_numeric(slice text, struct address *address)
{
    struct address found;
    struct ip_address ip;
    if (!address_parse(text, &found) || (found.host.len > 0 && !ip_parse(found.host, &ip)))
        return false;
    *address = found;
    return true;
}
