/* The objections that share REASON_POLICY, in the order in which judge.c raises them. */
#include "policy/unstored.h"

#include "policy/facts.h"
#include "policy/media_type.h"

enum unstored rules_unstored(const struct route *route, const struct response *response)
{
    slice content_type = fields_value(&response->fields, FIELD_CONTENT_TYPE);
    const struct lifetime_rule *by_status = route_status_rule(route, response->status);
    if (route->store_statuses == STATUSES_PAGES &&
        coding_of_response(&response->fields) == CODING_UNKNOWN)
        return UNSTORED_CODING;
    if (media_type_is_event_stream(content_type))
        return UNSTORED_STREAM;
    if (by_status && by_status->is_forced && !status_may_be_forced(response->status))
        return UNSTORED_FORCE;
    if (by_status)
        return UNSTORED_ZERO;
    if (response->status != 200 && response->status != 203)
        return UNSTORED_STATUS;
    if (!media_type_is_in(content_type, route->content_types))
        return UNSTORED_TYPE;
    return duration_is_given(route->ttl.value) ? UNSTORED_ZERO : UNSTORED_FRESHNESS;
}
