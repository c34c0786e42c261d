/*
 * A stored redirect to itself is a loop for everybody: typically a renderer that answers "use
 * https" or "use www" because it does not know how the request came in.
 */
#include "policy/redirect.h"

#include "policy/host.h"
#include "policy/reference.h"

/* Of [userinfo "@"] host [":" port]; a trailing dot makes no other host of it. */
static slice host_name_of(slice authority)
{
    size_t at = slice_find(authority, '@', 0);
    slice name = host_without_port(at < authority.len ? slice_from(authority, at + 1) : authority);
    return slice_ends_with(name, SLICE(".")) ? slice_until(name, name.len - 1) : name;
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
    if (!is_same_host(host_name_of(target.host), host_name_of(request->host)))
        return false;
    if (!slice_equal(target.path, request->path))
        return false;
    return is_same_query(&target, decision->has_query, decision->query) ||
           is_same_query(&target, request->has_query, request->query);
}
