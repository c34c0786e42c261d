/*
 * `**` is matched as a glob star over whole segments: only the latest one has to be tried again,
 * which keeps the work within (segments of path) x (segments of pattern).
 */
#include "policy/route.h"

#include "base/glob.h"
#include "base/text.h"

static bool is_name_byte(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

size_t route_name_length(slice text)
{
    size_t len = 0;
    while (len < text.len && is_name_byte(text.ptr[len]))
        len++;
    return len;
}

/* What slice_next(…, '/', …) walks over; no pointer: no segment. */
static slice segments_of(slice path)
{
    path = slice_from(path, 1);
    if (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    return path.len ? path : SLICE_NONE;
}

static bool ends_with(slice text, slice suffix, bool ignore_case)
{
    if (text.len < suffix.len)
        return false;
    slice tail = slice_from(text, text.len - suffix.len);
    return ignore_case ? slice_equal_nocase(tail, suffix) : slice_equal(tail, suffix);
}

static bool is_name(slice segment)
{
    return segment.len > 1 && segment.ptr[0] == ':' && is_name_byte(segment.ptr[1]);
}

static slice name_of(slice segment)
{
    return slice_until(slice_from(segment, 1), route_name_length(slice_from(segment, 1)));
}

static slice suffix_of(slice segment)
{
    return slice_from(segment, 1 + name_of(segment).len);
}

static bool name_matches(slice pattern, slice segment, bool ignore_case, struct captures *captures)
{
    slice suffix = suffix_of(pattern);
    if (segment.len <= suffix.len || !ends_with(segment, suffix, ignore_case))
        return false;
    if (captures->count < CAPTURES_MAX) {
        captures->names[captures->count] = name_of(pattern);
        captures->values[captures->count++] = slice_until(segment, segment.len - suffix.len);
    }
    return true;
}

static bool segment_matches(slice pattern, slice segment, bool ignore_case,
                            struct captures *captures)
{
    if (slice_find(pattern, '*', 0) < pattern.len)
        return ignore_case ? glob_matches_nocase(pattern, segment) : glob_matches(pattern, segment);
    if (is_name(pattern))
        return name_matches(pattern, segment, ignore_case, captures);
    return ignore_case ? slice_equal_nocase(pattern, segment) : slice_equal(pattern, segment);
}

/* --- what one segment of a pattern covers of another's --- */

static bool glob_covers(slice glob, slice other)
{
    if (!is_name(other)) /* stars of `other` find place in those of `glob` only */
        return glob_matches(glob, other);
    return glob.ptr[0] == '*' && glob_matches(glob, suffix_of(other));
}

static size_t least_length(slice segment)
{
    size_t len = segment.len;
    for (size_t i = 0; i < segment.len; i++)
        len -= segment.ptr[i] == '*';
    return len;
}

static bool name_covers(slice pattern, slice other)
{
    slice suffix = suffix_of(pattern);
    if (is_name(other))
        return slice_ends_with(suffix_of(other), suffix);
    return slice_ends_with(other, suffix) && least_length(other) > suffix.len;
}

static bool segment_covers(slice pattern, slice other, bool ignore_case, struct captures *captures)
{
    (void)ignore_case;
    (void)captures;
    if (slice_equal(other, SLICE("**")))
        return false;
    if (slice_find(pattern, '*', 0) < pattern.len)
        return glob_covers(pattern, other);
    return is_name(pattern) ? name_covers(pattern, other) : slice_equal(pattern, other);
}

/* --- the walk --- */

typedef bool segment_test(slice pattern, slice segment, bool ignore_case,
                          struct captures *captures);

struct matching {
    segment_test *fits;
    bool ignore_case;
    slice pattern, path;           /* what is left of both */
    slice star_pattern, star_path; /* behind the latest `**`, and where it stands */
    size_t star_captures;
    bool has_star;
};

/* Lets the latest `**` take one segment more. */
static bool try_longer_star(struct matching *m, struct captures *captures)
{
    slice taken;
    if (!m->has_star || !slice_next(&m->star_path, '/', &taken))
        return false;
    m->pattern = m->star_pattern;
    m->path = m->star_path;
    captures->count = m->star_captures;
    return true;
}

static void begin_star(struct matching *m, slice behind, const struct captures *captures)
{
    m->has_star = true;
    m->pattern = m->star_pattern = behind;
    m->star_path = m->path;
    m->star_captures = captures->count;
}

static bool matches(struct matching *m, struct captures *captures)
{
    for (;;) {
        slice pattern_rest = m->pattern, path_rest = m->path, wanted, segment;
        bool has_wanted = slice_next(&pattern_rest, '/', &wanted);
        bool has_segment = slice_next(&path_rest, '/', &segment);
        if (has_wanted && slice_equal(wanted, SLICE("**"))) {
            begin_star(m, pattern_rest, captures);
            if (pattern_rest.ptr == NULL)
                return true;
        } else if (!has_wanted && !has_segment) {
            return true;
        } else if (has_wanted && has_segment &&
                   m->fits(wanted, segment, m->ignore_case, captures)) {
            m->pattern = pattern_rest;
            m->path = path_rest;
        } else if (!try_longer_star(m, captures)) {
            return false;
        }
    }
}

bool route_pattern_matches(slice pattern, slice path, bool ignore_case, struct captures *captures)
{
    captures->count = 0;
    if (!slice_starts_with(pattern, SLICE("/")) || !slice_starts_with(path, SLICE("/")))
        return false;
    struct matching m = {.fits = segment_matches,
                         .ignore_case = ignore_case,
                         .pattern = segments_of(pattern),
                         .path = segments_of(path)};
    return matches(&m, captures);
}

/* The other pattern's segments are matched as if they were a path; its `**` is a segment that only
 * `**` takes. */
bool route_pattern_covers(slice pattern, slice other)
{
    struct captures captures = {0};
    struct matching m = {
        .fits = segment_covers, .pattern = segments_of(pattern), .path = segments_of(other)};
    return matches(&m, &captures);
}

const struct route *route_find(const struct policy *policy, slice path, bool ignore_case,
                               struct captures *captures)
{
    for (size_t i = 0; i < policy->route_count; i++)
        if (route_pattern_matches(policy->routes[i].match, path, ignore_case, captures))
            return &policy->routes[i];
    captures->count = 0;
    return &policy->route_pass;
}

static const slice *capture_find(const struct captures *captures, slice name)
{
    for (size_t i = 0; i < captures->count; i++)
        if (slice_equal(captures->names[i], name))
            return &captures->values[i];
    return NULL;
}

static slice fill_tag(struct arena *arena, slice tag, const struct captures *captures)
{
    struct text filled = {.arena = arena};
    while (tag.len) {
        size_t colon = slice_find(tag, ':', 0);
        slice rest = slice_from(tag, colon + 1);
        slice name = slice_until(rest, route_name_length(rest));
        const slice *value = colon < tag.len ? capture_find(captures, name) : NULL;
        size_t literal = value ? colon : colon + 1 + name.len;
        text_add(&filled, slice_until(tag, literal));
        text_add(&filled, value ? *value : SLICE_NONE);
        tag = slice_from(tag, colon + 1 + name.len);
    }
    return text_view(&filled);
}

struct slices route_tags(struct arena *arena, const struct route *route,
                         const struct captures *captures)
{
    struct slices tags = {.count = route->tags.count};
    if (tags.count == 0)
        return tags;
    tags.at = arena_array(arena, slice, tags.count);
    for (size_t i = 0; i < tags.count; i++)
        tags.at[i] = fill_tag(arena, route->tags.at[i], captures);
    return tags;
}
