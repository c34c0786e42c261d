/*
 * Who asks: the kinds of cookies, and whether a request is logged in (semantics 2.6). Pure.
 */
#pragma once

#include "policy/config.h"
#include "policy/message.h"

enum cookie_kind {
    COOKIE_KEPT,     /* vary.cookie.keep: sent and always keyed */
    COOKIE_IGNORED,  /* analytics, consent: held back */
    COOKIE_IDENTITY, /* marks the request as logged in */
    COOKIE_UNLISTED, /* the site vouches for its list: held back on fills, decides nothing */
};

enum cookie_kind cookie_kind_of(const struct policy *policy, const struct route *route, slice name);

enum { COOKIES_MAX = 256 }; /* browsers keep at most 180 per site */

struct cookie {
    slice text; /* "name=value" as received, trimmed */
    slice name; /* before the first '='; the whole text without one */
    enum cookie_kind kind;
};

struct cookies { /* of all Cookie lines, in order */
    struct cookie *at;
    size_t count;
    bool overflows; /* more than COOKIES_MAX: the rest was not looked at */
};

void cookies_parse(const struct policy *policy, const struct route *route,
                   const struct request *request, struct cookies *cookies);

/*
 * The kept cookies as a fill sends them: in order of their names (equal names in order of arrival),
 * because the order in which a browser lists them says nothing. Empty without any.
 */
slice cookies_kept_text(const struct cookies *cookies, struct arena *arena);

/* Is it one of the headers that mark a request as logged in? Lower case. */
bool identity_is_header(const struct policy *policy, slice name);

/*
 * Is this request logged in, on this route? Then *identified_by is "cookie:NAME" or "header:NAME".
 * More cookies than COOKIES_MAX count as logged in where any cookie could.
 */
bool identity_find(const struct policy *policy, const struct route *route,
                   const struct request *request, slice *identified_by);
