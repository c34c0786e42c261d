#include "policy/reference.h"

#include "policy/host.h"

/* Index behind "http://", "https://" or "//"; 0 if the reference has no authority. */
static size_t authority_start(slice text)
{
    static const slice starts[] = {{"//", 2}, {"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (slice_starts_with_nocase(text, starts[i]))
            return starts[i].len;
    return 0;
}

static bool has_other_scheme(slice text)
{
    size_t colon = slice_find(text, ':', 0);
    return colon < text.len && colon < slice_find(text, '/', 0) && colon < slice_find(text, '?', 0);
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

/* Of what authority_start() found. */
static slice scheme_of(const struct request *request, size_t start)
{
    return start == 7 ? SLICE("http") : start == 8 ? SLICE("https") : request->scheme;
}

/* The authority at the start of *rest, taken off it. */
static slice take_authority(slice *rest)
{
    size_t slash = slice_find(*rest, '/', 0), mark = slice_find(*rest, '?', 0);
    slice authority = slice_until(*rest, slash < mark ? slash : mark);
    *rest = slice_from(*rest, authority.len);
    return authority;
}

static slice whole_path(const struct request *request, slice path, bool has_authority)
{
    if (path.len == 0)
        return has_authority ? SLICE("/") : request->path;
    return path.ptr[0] == '/' ? path : merge_path(request->arena, request->path, path);
}

bool reference_resolve(const struct request *request, slice text, struct reference *target)
{
    text = slice_trim(text);
    slice rest = slice_until(text, slice_find(text, '#', 0));
    size_t start = authority_start(rest);
    if (start == 0 && has_other_scheme(rest))
        return false;
    rest = slice_from(rest, start);
    *target = (struct reference){.scheme = scheme_of(request, start),
                                 .host = start > 0 ? take_authority(&rest) : request->host};
    size_t mark = slice_find(rest, '?', 0);
    target->path = whole_path(request, slice_until(rest, mark), start > 0);
    target->has_query = mark < rest.len;
    target->query = slice_from(rest, mark + 1);
    if (rest.len == 0 && start == 0) { /* "" and "#part" keep the query */
        target->query = request->query;
        target->has_query = request->has_query;
    }
    if (target->path.len == 0 || target->path.ptr[0] != '/')
        return false;
    target->path = remove_dot_segments(request->arena, target->path);
    return true;
}

bool reference_is_own(const struct request *request, const struct reference *target)
{
    slice host;
    return slice_equal(target->scheme, request->scheme) &&
           host_normalise(request->arena, target->host, target->scheme, &host) &&
           slice_equal(host, request->host) && slice_equal(target->path, request->path) &&
           target->has_query == request->has_query && slice_equal(target->query, request->query);
}
