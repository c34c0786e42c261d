/*
 * Each proxy appends the address it saw, so the list is believed from its right end, as long as the
 * one who appended is trusted; what an untrusted client wrote stands further left and is never
 * reached. So it is taken apart from the right, too: a quote that the client left open must not
 * swallow what a proxy wrote behind it. And a trusted proxy that names its client in a way we
 * cannot read has said that it was somebody else: the client is unknown then, never the proxy.
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
static struct ip_address address_of(slice hop)
{
    struct ip_address address;
    size_t colon = slice_find(hop, ':', 0);
    bool is_one_colon = slice_find(hop, ':', colon + 1) == hop.len;
    if ((hop.len && hop.ptr[0] == '[') || is_one_colon)
        hop = host_without_port(hop);
    return ip_parse(hop, &address) ? address : (struct ip_address){.is_unknown = true};
}

/* Is the quote at `at` one within a quoted-string, behind a backslash that is none itself? */
static bool is_escaped(slice list, size_t at)
{
    size_t start = at;
    while (start > 0 && list.ptr[start - 1] == '\\')
        start--;
    return (at - start) % 2 == 1;
}

/* Where the last member begins. Whoever appended it closed the quotes that he opened, so that they
 * pair up from the right, whatever stands before. */
static size_t last_start(slice list, bool has_quotes)
{
    bool is_quoted = false;
    for (size_t i = list.len; i > 0; i--) {
        char c = list.ptr[i - 1];
        if (c == ',' && !is_quoted)
            return i;
        if (c == '"' && has_quotes && !(is_quoted && is_escaped(list, i - 1)))
            is_quoted = !is_quoted;
    }
    return 0;
}

/* Takes the last member off the list, trimmed; empty ones are skipped. X-Forwarded-* know no
 * quotes. False: there is none. */
static bool take_last(slice *list, bool has_quotes, slice *member)
{
    while (list->len) {
        size_t start = last_start(*list, has_quotes);
        *member = slice_trim(slice_from(*list, start));
        *list = slice_until(*list, start ? start - 1 : 0);
        if (member->len)
            return true;
    }
    return false;
}

/* Value of a parameter of one member of Forwarded (RFC 7239 §4); empty: it has none. */
static slice forwarded_parameter(slice member, slice name)
{
    slice pair;
    while (slice_next_parameter(&member, &pair)) {
        size_t equals = slice_find(pair, '=', 0);
        if (slice_equal_nocase(slice_until(pair, equals), name))
            return unquote(slice_from(pair, equals + 1));
    }
    return SLICE_NONE;
}

static void resolve_client(const struct policy *policy, const struct fields *fields,
                           struct request *io)
{
    slice list, member;
    bool is_forwarded = false;
    if (!fields_join_id(fields, FIELD_X_FORWARDED_FOR, io->arena, &list)) {
        is_forwarded = true;
        if (!fields_join_id(fields, FIELD_FORWARDED, io->arena, &list))
            return;
    }
    while (proxy_is_trusted(policy, &io->client) && take_last(&list, is_forwarded, &member))
        io->client = address_of(is_forwarded ? forwarded_parameter(member, SLICE("for")) : member);
}

static void resolve_scheme(const struct fields *fields, struct request *io)
{
    slice list, proto = SLICE_NONE, member;
    if (fields_join_id(fields, FIELD_X_FORWARDED_PROTO, io->arena, &list))
        (void)take_last(&list, false, &proto);
    else if (fields_join_id(fields, FIELD_FORWARDED, io->arena, &list) &&
             take_last(&list, true, &member))
        proto = forwarded_parameter(member, SLICE("proto"));
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
