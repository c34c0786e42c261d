/* What stands behind REASON_POLICY: for the log, so that people are told what would help. Pure. */
#pragma once

#include "policy/response.h"

enum unstored {
    UNSTORED_FRESHNESS, /* the response gives no lifetime, and the route has no `ttl` */
    UNSTORED_STATUS,    /* the same, and `ttl` is not for its status */
    UNSTORED_TYPE,      /* the same, and `ttl` is not for its Content-Type */
    UNSTORED_ZERO,      /* the route's lifetime for it is 0 */
    UNSTORED_FORCE,     /* the route's lifetime for it is forced, which 5xx cannot be */
    UNSTORED_CODING,    /* varve does not know its Content-Encoding */
    UNSTORED_STREAM,    /* it has no end */
    UNSTORED_COUNT
};

/* Of a response that rules_response() found not storable with REASON_POLICY (semantics 4.2, 4.3,
 * 4.7). */
enum unstored rules_unstored(const struct route *route, const struct response *response);
