/*
 * Each proxy appends the address it saw, so the list is believed from its right end, as long as the
 * one who appended is trusted; what an untrusted client wrote stands further left and is never
 * reached.
 */
#include "policy/proxy.h"

bool proxy_is_trusted(const struct policy *policy, const struct ip_address *address)
{
    if (address->is_local || ip_is_loopback(address))
        return true;
    for (size_t i = 0; i < policy->trusted_proxies.count; i++)
        if (ip_range_contains(&policy->trusted_proxies.at[i], address))
            return true;
    return false;
}

static slice unquote(slice text)
{
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        return slice_of(text.ptr + 1, text.len - 2);
    return text;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"; not "unknown", not "_hidden". */
static bool parse_hop(slice text, struct ip_address *address)
{
    text = unquote(slice_trim(text));
    size_t colon = slice_find(text, ':', 0);
    bool is_one_colon = slice_find(text, ':', colon + 1) == text.len;
    if ((text.len && text.ptr[0] == '[') || is_one_colon)
        text = host_without_port(text);
    return ip_parse(text, address);
}

/* Value of a parameter of one member of Forwarded (RFC 7239 §4). */
static bool forwarded_parameter(slice member, slice name, slice *value)
{
    slice pair;
    while (slice_next(&member, ';', &pair)) {
        pair = slice_trim(pair);
        size_t equals = slice_find(pair, '=', 0);
        if (slice_equal_nocase(slice_until(pair, equals), name)) {
            *value = unquote(slice_from(pair, equals + 1));
            return true;
        }
    }
    return false;
}

struct hops {
    slice *at; /* left to right; empty text: a hop without an address */
    size_t count;
};

static size_t count_commas(slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ',';
    return count;
}

static struct hops hops_of(slice list, bool is_forwarded, struct arena *arena)
{
    struct hops hops = {.at = arena_array(arena, slice, count_commas(list) + 1)};
    slice member;
    while (slice_next_member(&list, &member)) {
        slice hop = member;
        if (is_forwarded && !forwarded_parameter(member, SLICE("for"), &hop))
            hop = SLICE_NONE;
        hops.at[hops.count++] = hop;
    }
    return hops;
}

static void resolve_client(const struct policy *policy, const struct fields *fields,
                           struct request *io)
{
    slice list;
    bool is_forwarded = false;
    if (!fields_join_id(fields, FIELD_X_FORWARDED_FOR, io->arena, &list)) {
        is_forwarded = true;
        if (!fields_join_id(fields, FIELD_FORWARDED, io->arena, &list))
            return;
    }
    struct hops hops = hops_of(list, is_forwarded, io->arena);
    struct ip_address hop;
    for (size_t i = hops.count; i && proxy_is_trusted(policy, &io->client); i--) {
        if (!parse_hop(hops.at[i - 1], &hop))
            return;
        io->client = hop;
    }
}

static slice last_member(slice list)
{
    slice member, last = SLICE_NONE;
    while (slice_next_member(&list, &member))
        last = member;
    return last;
}

static void resolve_scheme(const struct fields *fields, struct request *io)
{
    slice list, proto = SLICE_NONE;
    if (fields_join_id(fields, FIELD_X_FORWARDED_PROTO, io->arena, &list))
        proto = last_member(list);
    else if (fields_join_id(fields, FIELD_FORWARDED, io->arena, &list))
        (void)forwarded_parameter(last_member(list), SLICE("proto"), &proto);
    if (slice_equal_nocase(proto, SLICE("https")))
        io->scheme = SLICE("https");
    else if (slice_equal_nocase(proto, SLICE("http")))
        io->scheme = SLICE("http");
}

void proxy_resolve(const struct policy *policy, const struct fields *fields, struct request *io)
{
    io->client = io->peer;
    io->peer_is_trusted = proxy_is_trusted(policy, &io->peer);
    if (!io->peer_is_trusted)
        return;
    resolve_client(policy, fields, io);
    resolve_scheme(fields, io);
}
