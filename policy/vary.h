/* Inside of the response side: what a response's Vary says (semantics 2.4, 2.5, 4.7). */
#pragma once

#include "policy/response.h"

struct vary_read {
    struct field_names names; /* lower case, without Accept-Encoding, `as:` twins both there */
    bool has_star;            /* `*`, or as good as that */
    bool overflows;           /* more than UNION_MAX_NAMES */
};

/* Names are copied to `arena` or belong to the policy. */
void vary_of_response(const struct policy *policy, const struct fields *fields, struct arena *arena,
                      struct vary_read *vary);
