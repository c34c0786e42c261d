/*
 * Matching paths against `routes[].match`.
 *
 *   pattern  = 1*( "/" segment )
 *   segment  = "**"             any number of segments, also none
 *            / ":" name suffix  one segment that is not empty and ends in suffix; captured
 *            / text with "*"    one segment; "*" is any run of bytes
 *   name     = 1*( ALPHA / DIGIT / "_" )
 *
 * One slash at the end, of pattern or path, does not count: servers mostly treat /account and
 * /account/ as one page, so one rule has to cover both. Pure, no recursion.
 */
#pragma once

#include "policy/config.h"

enum { CAPTURES_MAX = 8 };

struct captures {
    slice names[CAPTURES_MAX], values[CAPTURES_MAX];
    size_t count;
};

/* How many bytes at the start of `text` are the name of a capture; 0: none. */
size_t route_name_length(slice text);

/* `captures` is filled on a match; names beyond CAPTURES_MAX are not kept. */
bool route_pattern_matches(slice pattern, slice path, bool ignore_case, struct captures *captures);

/*
 * Does every path that `other` matches, also match `pattern`? Both are patterns that have no
 * problem. True is certain; false may be said of a pair that is covered in a roundabout way.
 */
bool route_pattern_covers(slice pattern, slice other);

/* The first route that matches; &policy->route_pass if none does. */
const struct route *route_find(const struct policy *policy, slice path, bool ignore_case,
                               struct captures *captures);

/* The route's `tags:` with `:name` replaced; a colon before what is no name of the pattern stays as
 * it is. */
struct slices route_tags(struct arena *arena, const struct route *route,
                         const struct captures *captures);
