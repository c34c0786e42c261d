/*
 * A stored redirect to itself is a loop for everybody: typically a renderer that answers "use
 * https" or "use www" because it does not know how the request came in.
 */
#include "policy/redirect.h"

#include "policy/reference.h"

static slice host_without_port(slice authority)
{
    slice host = authority;
    size_t at = slice_find(host, '@', 0);
    if (at < host.len)
        host = slice_from(host, at + 1);
    if (host.len && host.ptr[0] == '[')
        return slice_until(host, slice_find(host, ']', 0) + 1);
    host = slice_until(host, slice_find(host, ':', 0));
    return slice_ends_with(host, SLICE(".")) ? slice_until(host, host.len - 1) : host;
}

static bool is_same_host(slice a, slice b)
{
    const slice www = SLICE("www.");
    if (slice_starts_with_nocase(a, www))
        a = slice_from(a, www.len);
    if (slice_starts_with_nocase(b, www))
        b = slice_from(b, www.len);
    return slice_equal_nocase(a, b);
}

static bool is_same_query(const struct reference *target, bool has_query, slice query)
{
    return target->has_query == has_query && (!has_query || slice_equal(target->query, query));
}

bool redirect_is_to_itself(const struct request *request, const struct decision *decision,
                           slice location)
{
    struct reference target;
    if (!reference_resolve(request, location, &target))
        return false;
    slice own = host_without_port(request->host);
    if (!is_same_host(host_without_port(target.host), own))
        return false;
    if (!slice_equal(target.path, request->path))
        return false;
    return is_same_query(&target, decision->has_query, decision->query) ||
           is_same_query(&target, request->has_query, request->query);
}
