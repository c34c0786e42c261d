/* Orders to purge that follow from something: from a request its page, from a page its data. */
#pragma once

#include "cache/purge.h"
#include "policy/rules.h"

/* A hard purge of the request's URL. Views of both. */
struct purge_order purge_order_of(const struct request *request, const struct decision *decision);

/*
 * The order for what the data of the page is stored with (policy/twins.h), as soft as the page's
 * own (semantics 6.4). False: the policy names no such data. In `arena`.
 */
bool purge_order_of_twins(const struct policy *policy, const struct purge_order *page,
                          struct arena *arena, struct purge_order *twins);
