/* A route's `query:` rules (semantics 1.6). Pure. */
#pragma once

#include "policy/config.h"

/*
 * The query that is keyed and that a fill asks for. Without rules, and where no rule removes or
 * moves anything, the bytes are those received. When every parameter was removed there is no query
 * left; an empty query as received stays an empty query. `result` may be a view of `query`.
 */
void query_apply(struct arena *arena, const struct route *route, slice query, bool has_query,
                 slice *result, bool *result_has_query);
