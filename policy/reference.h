/*
 * URLs that a response names: Location, Content-Location (RFC 3986 §5.2, RFC 9110 §4). Pure, any
 * thread.
 */
#pragma once

#include "policy/message.h"

struct reference {
    slice scheme; /* "http" or "https" */
    slice host;   /* with its port, as written or as the request's own */
    slice path;   /* without dot segments; begins with '/' */
    slice query;
    bool has_query;
};

/*
 * Resolves against the request's own URL; a fragment is dropped. False: another scheme, or nothing
 * that a path could be made of. Views of `text`, of the request, and of its arena.
 */
bool reference_resolve(const struct request *request, slice text, struct reference *target);

/* Is it the request's own URL, to the letter of scheme, host, path and query? */
bool reference_is_own(const struct request *request, const struct reference *target);
