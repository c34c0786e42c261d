/*
 * A stored redirect to itself is a loop for everybody: typically a renderer that answers "use
 * https" or "use www" because it does not know how the request came in.
 */
#include "policy/redirect.h"

struct target {
    slice host, path, query;
    bool has_query;
};

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

/* Index behind "http://", "https://" or "//"; 0 if the reference has no authority. */
static size_t authority_start(slice location)
{
    static const slice starts[] = {{"//", 2}, {"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (slice_starts_with_nocase(location, starts[i]))
            return starts[i].len;
    return 0;
}

static bool has_other_scheme(slice location)
{
    size_t colon = slice_find(location, ':', 0);
    return colon < location.len && colon < slice_find(location, '/', 0) &&
           colon < slice_find(location, '?', 0);
}

/* RFC 3986 §5.2.4, for a path that begins with '/'. */
static slice remove_dot_segments(struct arena *arena, slice path)
{
    char *out = arena_alloc(arena, path.len + 2);
    size_t len = 0;
    slice rest = slice_from(path, 1), segment;
    bool is_open = true; /* the last segment was "." or "..": the path ends in a slash */
    while (slice_next(&rest, '/', &segment)) {
        is_open = slice_equal(segment, SLICE(".")) || slice_equal(segment, SLICE(".."));
        if (slice_equal(segment, SLICE("..")))
            while (len > 0 && out[--len] != '/')
                ;
        if (is_open)
            continue;
        out[len++] = '/';
        if (segment.len)
            memcpy(out + len, segment.ptr, segment.len);
        len += segment.len;
    }
    if (is_open)
        out[len++] = '/';
    return slice_of(out, len);
}

/* The path of a relative reference against the request's own (RFC 3986 §5.2.3). */
static slice merge_path(struct arena *arena, slice base, slice path)
{
    size_t last = base.len;
    while (last > 0 && base.ptr[last - 1] != '/')
        last--;
    slice directory = last ? slice_until(base, last) : SLICE("/");
    return arena_concat(arena, (slice[]){directory, path}, 2);
}

static bool resolve(const struct request *request, slice location, struct target *target)
{
    slice rest = slice_until(location, slice_find(location, '#', 0));
    size_t start = authority_start(rest);
    target->host = request->host;
    if (start > 0) {
        rest = slice_from(rest, start);
        size_t slash = slice_find(rest, '/', 0), mark = slice_find(rest, '?', 0);
        size_t end = slash < mark ? slash : mark;
        target->host = slice_until(rest, end);
        rest = slice_from(rest, end);
    } else if (has_other_scheme(rest)) {
        return false;
    }
    size_t mark = slice_find(rest, '?', 0);
    target->path = slice_until(rest, mark);
    target->has_query = mark < rest.len;
    target->query = slice_from(rest, mark + 1);
    if (target->path.len == 0 && start > 0)
        target->path = SLICE("/");
    else if (target->path.len == 0)
        target->path = request->path;
    else if (target->path.ptr[0] != '/')
        target->path = merge_path(request->arena, request->path, target->path);
    if (rest.len == 0 && start == 0) { /* "" and "#part" keep the query */
        target->query = request->query;
        target->has_query = request->has_query;
    }
    return target->path.len > 0;
}

static bool is_same_query(const struct target *target, bool has_query, slice query)
{
    return target->has_query == has_query && (!has_query || slice_equal(target->query, query));
}

bool redirect_is_to_itself(const struct request *request, const struct decision *decision,
                           slice location)
{
    struct target target;
    if (!resolve(request, slice_trim(location), &target))
        return false;
    slice own = host_without_port(request->host);
    if (!is_same_host(host_without_port(target.host), own))
        return false;
    if (request->path.len == 0 || target.path.ptr[0] != '/' ||
        !slice_equal(remove_dot_segments(request->arena, target.path), request->path))
        return false;
    return is_same_query(&target, decision->has_query, decision->query) ||
           is_same_query(&target, request->has_query, request->query);
}
