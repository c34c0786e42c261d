/*
 * Strict on purpose: a host enters keys, X-Forwarded-Host and redirects, so nothing is let in that
 * some server might read in another way.
 */
#include "policy/host.h"

#include "base/glob.h"

slice host_without_port(slice host)
{
    if (host.len && host.ptr[0] == '[') {
        size_t end = slice_find(host, ']', 0);
        return slice_until(host, end + 1);
    }
    return slice_until(host, slice_find(host, ':', 0));
}

static bool is_label_byte(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_name(slice name)
{
    slice label;
    if (name.len == 0)
        return false;
    while (slice_next(&name, '.', &label)) {
        if (label.len == 0)
            return false;
        for (size_t i = 0; i < label.len; i++)
            if (!is_label_byte(label.ptr[i]))
                return false;
    }
    return true;
}

static bool is_literal(slice name)
{
    struct ip_address address;
    if (name.len < 4 || name.ptr[0] != '[' || name.ptr[name.len - 1] != ']')
        return false;
    slice inside = slice_of(name.ptr + 1, name.len - 2);
    return slice_find(inside, ':', 0) < inside.len && ip_parse(inside, &address);
}

/* ":8080" → 8080; "" and ":" → 0, no port of its own. */
static bool parse_port(slice text, uint64_t *port)
{
    *port = 0;
    if (text.len <= 1)
        return text.len == 0 || text.ptr[0] == ':';
    return text.ptr[0] == ':' && text.len <= 6 && slice_to_u64(slice_from(text, 1), port) &&
           *port >= 1 && *port <= 65535;
}

bool host_normalise(struct arena *arena, slice raw, slice scheme, slice *host)
{
    uint64_t port;
    slice name = host_without_port(raw);
    if (raw.len == 0 || raw.len > HOST_MAX || !parse_port(slice_from(raw, name.len), &port))
        return false;
    if (!is_literal(name)) {
        if (slice_ends_with(name, SLICE(".")))
            name.len--;
        if (!is_name(name))
            return false;
    }
    name = arena_copy_lower(arena, name);
    bool is_default = port == 0 || port == (slice_equal(scheme, SLICE("https")) ? 443 : 80);
    *host = is_default
                ? name
                : arena_concat(arena,
                               (slice[]){name, SLICE(":"), arena_decimal(arena, (int64_t)port)}, 3);
    return true;
}

bool host_is_allowed(const struct policy *policy, slice host)
{
    slice name = host_without_port(host);
    if (policy->hosts.count == 0)
        return true;
    for (size_t i = 0; i < policy->hosts.count; i++)
        if (glob_matches(policy->hosts.at[i], host) || glob_matches(policy->hosts.at[i], name))
            return true;
    return false;
}
