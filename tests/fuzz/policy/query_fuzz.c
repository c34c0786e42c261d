/*
 * A route's `query:` rules against a slow and plain reading of them; and applying them twice is
 * applying them once.
 *
 *   input = rules (1 byte) query
 */
#include "policy/query.h"

#include "base/arena.h"

#include "tests/fuzz/input.h"

enum { QUERY_MAX = 2048, PARAMETERS_MAX = QUERY_MAX + 1 };

static slice keeps[] = {{"a", 1}, {"page*", 5}, {"*id", 3}, {"", 0}};
static slice drops[] = {{"utm_*", 5}, {"fbclid", 6}, {"*x*", 3}};

/* Tries every length for each star. */
static bool naive_glob(slice pattern, slice text)
{
    if (pattern.len == 0)
        return text.len == 0;
    if (pattern.ptr[0] != '*')
        return text.len && text.ptr[0] == pattern.ptr[0] &&
               naive_glob(slice_from(pattern, 1), slice_from(text, 1));
    for (size_t i = 0; i <= text.len; i++)
        if (naive_glob(slice_from(pattern, 1), slice_from(text, i)))
            return true;
    return false;
}

static slice name_of(slice parameter)
{
    return slice_until(parameter, slice_find(parameter, '=', 0));
}

static bool is_wanted(const struct route *route, slice parameter)
{
    const struct slices *list = route->query_keep_is_set ? &route->query_keep : &route->query_drop;
    bool is_listed = false;
    for (size_t i = 0; i < list->count; i++)
        is_listed |= naive_glob(list->at[i], name_of(parameter));
    return is_listed == route->query_keep_is_set;
}

/* Behind all that it does not come before: stable. */
static void insert(slice *sorted, size_t count, slice parameter, bool is_sorted)
{
    size_t at = count;
    for (; is_sorted && at && slice_compare(name_of(sorted[at - 1]), name_of(parameter)) > 0; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = parameter;
}

static void check(const struct route *route, slice query, slice result, bool has_result)
{
    static slice kept[PARAMETERS_MAX];
    size_t count = 0;
    slice rest = query, parameter;
    while (slice_next(&rest, '&', &parameter)) {
        if (is_wanted(route, parameter)) {
            insert(kept, count, parameter, route->query_sort);
            count++;
        }
    }
    MUST(has_result == (count > 0));
    for (size_t i = 0; i < count; i++) {
        MUST(slice_next(&result, '&', &parameter));
        MUST(slice_equal(parameter, kept[i]));
    }
    MUST(result.len == 0);
}

static void apply(const struct route *route, slice query)
{
    struct arena arena;
    slice once, twice;
    bool has_once, has_twice;
    arena_init(&arena);
    query_apply(&arena, route, query, true, &once, &has_once);
    if (query.len == 0)
        MUST(has_once && once.len == 0);
    else
        check(route, query, once, has_once);
    query_apply(&arena, route, once, has_once, &twice, &has_twice);
    MUST(has_once == has_twice && slice_equal(once, twice));
    query_apply(&arena, route, SLICE_NONE, false, &once, &has_once);
    MUST(!has_once && once.len == 0);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < QUERY_MAX ? size : QUERY_MAX);
    unsigned rules = take_byte(&input);
    struct route route = {.query_keep_is_set = rules & 1,
                          .query_keep = {keeps, rules & 2 ? 4 : 0},
                          .query_drop = {drops, rules & 1 || rules & 4 ? 0 : 3},
                          .query_sort = rules & 8};
    input.ptr = input.ptr ? input.ptr : "";
    apply(&route, input);
    return 0;
}
