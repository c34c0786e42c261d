#include "edge/request/fallback.h"

enum reason fallback_reason(unsigned call_failure)
{
    switch ((enum call_failure)call_failure) {
    case CALL_ALL_DOWN:
    case CALL_REFUSED:
    case CALL_CONNECT_TIMEOUT:
        return REASON_ALL_DOWN;
    case CALL_FIRST_BYTE_TIMEOUT:
    case CALL_BETWEEN_BYTES_TIMEOUT:
    case CALL_STUCK:
        return REASON_UPSTREAM_TIMEOUT;
    case CALL_LIMIT:
        return REASON_OVER_SHED;
    case CALL_CLOSED:
    case CALL_TRUNCATED:
    case CALL_MALFORMED:
    case CALL_TLS:
    case CALL_FAILURE_COUNT:

        break;
    }
    return REASON_UPSTREAM_ERROR;
}

static bool give_stale(struct exchange *ex, enum reason reason)
{
    if (!ex->found.object || ex->found.freshness > STALE_IF_ERROR)
        return false;
    waiter_leave(&ex->waiter);
    deliver_object(ex, ex->found.object, OUTCOME_STALE, reason);
    return true;
}

static bool give(struct exchange *ex, enum fallback fallback, enum reason stale_reason,
                 enum reason reason)
{
    if (fallback == FALLBACK_STALE)
        return give_stale(ex, stale_reason);
    if (!answer_shell(ex, reason))
        return false;
    waiter_leave(&ex->waiter);
    return true;
}

static bool walk_on_failure(struct exchange *ex, enum reason stale_reason, enum reason reason)
{
    const struct route *route = ex->decision.route;
    for (size_t i = 0; i < route->on_failure_count; i++)
        if (give(ex, route->on_failure[i], stale_reason, reason))
            return true;
    return false;
}

bool fallback_after_failure(struct exchange *ex, enum reason reason)
{
    return walk_on_failure(ex, REASON_STALE_ERROR, reason);
}

bool fallback_instead_of_waiting(struct exchange *ex)
{
    return walk_on_failure(ex, REASON_CLIENT_WAIT, REASON_CLIENT_WAIT);
}

static unsigned error_status(const struct exchange *ex, enum reason reason)
{
    bool must_revalidate = ex->found.object && ex->found.object->facts.flags & FACT_MUST_REVALIDATE;
    if (must_revalidate || reason == REASON_UPSTREAM_TIMEOUT)
        return 504;
    return reason == REASON_UPSTREAM_ERROR ? 502 : 503;
}

void fallback_error(struct exchange *ex, enum reason reason)
{
    waiter_leave(&ex->waiter);
    answer_error(ex, error_status(ex, reason), OUTCOME_ERROR, reason,
                 SLICE("no renderer could answer"));
}
