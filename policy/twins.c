#include "policy/twins.h"

#define PAGE_PATH SLICE("{path}")

struct pattern {
    slice before, after, parameter;
    bool has_path, has_parameter;
};

static struct pattern pattern_of(slice text)
{
    struct pattern pattern = {0};
    size_t mark = slice_find(text, '?', 0);
    pattern.has_parameter = mark < text.len;
    pattern.parameter = slice_from(text, mark + 1);
    slice path = slice_until(text, mark);
    size_t at = slice_search(path, PAGE_PATH);
    pattern.has_path = at < path.len;
    pattern.before = slice_until(path, at);
    pattern.after = slice_from(path, at + PAGE_PATH.len);
    return pattern;
}

/* --- is it one? --- */

static bool has_any_of(slice text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(bytes, text.ptr[i]))
            return true;
    return false;
}

/* Each `*` is a whole segment. */
static bool stars_are_segments(slice before)
{
    for (size_t i = slice_find(before, '*', 0); i < before.len; i = slice_find(before, '*', i + 1))
        if (i == 0 || before.ptr[i - 1] != '/' || (i + 1 < before.len && before.ptr[i + 1] != '/'))
            return false;
    return true;
}

bool twins_is_pattern(slice text)
{
    struct pattern p = pattern_of(text);
    bool is_the_page = p.has_path && !p.before.len && !p.after.len && !p.has_parameter;
    bool begins_well = p.before.len ? p.before.ptr[0] == '/' : p.has_path;
    return begins_well && !is_the_page && stars_are_segments(p.before) &&
           !has_any_of(p.before, "{}# ") && !has_any_of(p.after, "{}*# ") &&
           (!p.has_parameter || (p.parameter.len && !has_any_of(p.parameter, "?&=# {}*")));
}

/* --- does it fit? --- */

static bool take_before(slice before, slice *path)
{
    for (size_t i = 0; i < before.len; i++) {
        bool is_segment = before.ptr[i] == '*';
        size_t length = is_segment ? slice_find(*path, '/', 0) : 1;
        if (length == 0 || path->len < length || (!is_segment && path->ptr[0] != before.ptr[i]))
            return false;
        *path = slice_from(*path, length);
    }
    return true;
}

static bool has_parameter(slice query, slice name)
{
    slice part;
    while (slice_next(&query, '&', &part))
        if (slice_equal(slice_until(part, slice_find(part, '=', 0)), name))
            return true;
    return false;
}

/* *page is a view of `path`. */
static bool fits(const struct pattern *pattern, slice path, slice query, slice *page)
{
    if (pattern->has_parameter && !has_parameter(query, pattern->parameter))
        return false;
    if (!take_before(pattern->before, &path))
        return false;
    if (!pattern->has_path || !slice_ends_with(path, pattern->after)) {
        *page = SLICE_NONE;
        return !pattern->has_path && path.len == 0;
    }
    *page = slice_until(path, path.len - pattern->after.len);
    return page->len == 0 || page->ptr[0] == '/';
}

slice twins_tag(slice host, slice path, struct arena *arena)
{
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    slice parts[] = {SLICE("twin "), host, path.len ? path : SLICE("/")};
    return arena_concat(arena, parts, 3);
}

slice twins_tag_of(const struct policy *policy, const struct request *request,
                   const struct decision *decision, struct arena *arena)
{
    for (size_t i = 0; i < policy->purge_twins.count; i++) {
        struct pattern pattern = pattern_of(policy->purge_twins.at[i]);
        slice page;
        if (fits(&pattern, request->path, decision->query, &page))
            return twins_tag(request->host, page, arena);
    }
    return SLICE_NONE;
}
