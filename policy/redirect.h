/* Inside of the response side: redirects that lead back to where they came from. Pure. */
#pragma once

#include "policy/rules.h"

/*
 * Does `location` name the request's own URL, or one that differs only in scheme, port or a leading
 * "www." (semantics 4.2)? Relative references are resolved (RFC 3986 §5.2). Text lives in the
 * request's arena.
 */
bool redirect_is_to_itself(const struct request *request, const struct decision *decision,
                           slice location);
