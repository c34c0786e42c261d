/*
 * Parameters are split at '&' and named by what stands before the first '=', undecoded: an escaped
 * name is another name, kept out by `keep` and let through by `drop`, and either way what is keyed
 * is what is sent.
 */
#include "policy/query.h"

#include "base/glob.h"

static slice name_of(slice parameter)
{
    return slice_until(parameter, slice_find(parameter, '=', 0));
}

static bool is_listed(const struct slices *patterns, slice name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (glob_matches(patterns->at[i], name))
            return true;
    return false;
}

static bool is_wanted(const struct route *route, slice parameter)
{
    slice name = name_of(parameter);
    if (route->query_keep_is_set)
        return is_listed(&route->query_keep, name);
    return !is_listed(&route->query_drop, name);
}

static bool has_rules(const struct route *route)
{
    return route->query_keep_is_set || route->query_drop.count || route->query_sort;
}

/* Merge sort of a[0..n): stable, and no quadratic time on a long query. */
static void sort_by_name(slice *a, slice *spare, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t middle = start + width < n ? start + width : n;
            size_t end = middle + width < n ? middle + width : n;
            size_t left = start, right = middle;
            for (size_t out = start; out < end; out++) {
                bool takes_left =
                    left < middle &&
                    (right >= end || slice_compare(name_of(a[left]), name_of(a[right])) <= 0);
                spare[out] = takes_left ? a[left++] : a[right++];
            }
        }
        memcpy(a, spare, n * sizeof(*a));
    }
}

static slice join(struct arena *arena, const slice *parameters, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += parameters[i].len + 1;
    char *out = arena_alloc(arena, bytes + 1);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (i)
            out[len++] = '&';
        if (parameters[i].len)
            memcpy(out + len, parameters[i].ptr, parameters[i].len);
        len += parameters[i].len;
    }
    return slice_of(out, len);
}

static size_t count_parameters(slice query)
{
    size_t count = 1;
    for (size_t i = 0; i < query.len; i++)
        count += query.ptr[i] == '&';
    return count;
}

void query_apply(struct arena *arena, const struct route *route, slice query, bool has_query,
                 slice *result, bool *result_has_query)
{
    *result = query;
    *result_has_query = has_query;
    if (!has_query || query.len == 0 || !has_rules(route))
        return;
    size_t total = count_parameters(query), kept = 0;
    slice *parameters = arena_array(arena, slice, total * 2), parameter;
    while (slice_next(&query, '&', &parameter))
        if (is_wanted(route, parameter))
            parameters[kept++] = parameter;
    if (route->query_sort)
        sort_by_name(parameters, parameters + total, kept);
    *result_has_query = kept > 0;
    *result = kept ? join(arena, parameters, kept) : SLICE_NONE;
}
