/*
 * What a response says about caching: Cache-Control (RFC 9111 §5.2), or the targeted field that
 * takes its place (RFC 9213). Pure, any thread.
 */
#pragma once

#include "base/clock.h"
#include "base/fields.h"
#include "policy/config.h"

struct directives {
    bool is_targeted; /* a targeted field decides: Cache-Control and Expires count for nothing */
    bool no_store, is_private, no_cache; /* the unqualified forms */
    bool must_revalidate, proxy_revalidate, is_public, no_transform, must_understand;
    /* DURATION_NONE: absent. Zero stands for an invalid value as well: stale, not "as if absent".
     */
    duration s_maxage, max_age;
    duration stale_while_revalidate, stale_if_error; /* without a number: 60 s (semantics 5.1) */
    slice no_cache_fields, private_fields; /* of the qualified forms: comma-separated names */
};

/* Of Cache-Control, its lines joined by commas. Never fails: what cannot be read is left out. */
void cache_control_parse(slice text, struct directives *directives);

/*
 * Of a targeted field, its lines joined. False, and *directives as without any, if it is empty or
 * has any error (RFC 9213 §2.2).
 */
bool targeted_parse(slice text, struct directives *directives);

/*
 * Those in force: of the first of the `targeted` fields (strongest first) that can be read, else of
 * Cache-Control. no-transform counts in either, since it is not about caching. Views of `fields`;
 * joined lines live in `arena`.
 */
void directives_of(const struct fields *fields, struct slices targeted, struct arena *arena,
                   struct directives *directives);

/* delta-seconds (RFC 9111 §1.2.2): 1*DIGIT; saturates. */
bool delta_seconds_parse(slice text, duration *value);
