/*
 * Paths as routing sees them (semantics 1.3). What is forwarded and keyed is never decoded; the
 * decoded form only answers the question whether some server behind us could read the path as that
 * of another route. Pure.
 */
#pragma once

#include "base/arena.h"

struct routing_path {
    /* Percent-decoded (%uXXXX too), overlong and full-width forms of ASCII as that, `\` as `/`,
     * parameters dropped, empty and dot segments resolved, lower case; no slash at its end unless
     * it is "/". */
    slice decoded;
    /* The same of what stands before a decoded `?` or `#`: there are servers that split after
     * decoding. Equal to `decoded` without one. */
    slice cut;
    bool has_control; /* 00-1f or 7f, raw or as %XX or %uXXXX at any depth: 400 */
    bool is_stable;   /* false: three rounds of decoding were not enough, or a lax reading has a
                       * control byte: nobody can say what it is */
};

void url_decode_path(struct arena *arena, slice path, struct routing_path *routing);

/* 00-1f or 7f as such. */
bool url_has_control_byte(slice text);

/* Everything but unreserved characters (RFC 3986 §2.3) as %XX: a text as a query value. */
slice url_percent_encode(struct arena *arena, slice text);
