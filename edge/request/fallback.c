#include "edge/request/fallback.h"

#include "edge/request/mode_meaning.h"

enum reason fallback_reason(unsigned call_failure)
{
    switch ((enum call_failure)call_failure) {
    case CALL_ALL_DOWN:
    case CALL_REFUSED:
    case CALL_LACK:
    case CALL_CONNECT_TIMEOUT:
        return REASON_ALL_DOWN;
    case CALL_FIRST_BYTE_TIMEOUT:
    case CALL_BETWEEN_BYTES_TIMEOUT:
    case CALL_STUCK:
        return REASON_UPSTREAM_TIMEOUT;
    case CALL_OVER_SHELL:
        return REASON_OVER_SHELL;
    case CALL_OVER_SHED:
    case CALL_LIMIT:
        return REASON_OVER_SHED;
    case CALL_DEADLY:
        return REASON_DEADLY;
    case CALL_CLOSED:
    case CALL_TRUNCATED:
    case CALL_MALFORMED:
    case CALL_TLS:
    case CALL_FAILURE_COUNT:
        break;
    }
    return REASON_UPSTREAM_ERROR;
}

bool fallback_may_be(enum fallback fallback, enum mode mode, const struct decision *decision,
                     const struct candidate *found)
{
    return fallback == FALLBACK_STALE ? found->object && found->freshness <= STALE_IF_ERROR
                                      : mode_allows_shell(mode, decision);
}

bool fallback_is_last(enum reason stale_reason)
{
    return stale_reason != REASON_CLIENT_WAIT && stale_reason != REASON_POLICY &&
           stale_reason != REASON_REVALIDATING;
}

static enum step give(struct exchange *ex, enum fallback fallback, enum reason stale_reason,
                      enum reason reason)
{
    bool is_of_no_use =
        fallback == FALLBACK_STALE && ex->is_found_undecodable && !fallback_is_last(stale_reason);
    if (is_of_no_use ||
        !fallback_may_be(fallback, mode_now(ex->server->mode), &ex->decision, &ex->found))
        return STEP_NONE;
    if (fallback == FALLBACK_STALE) {
        waiter_leave(&ex->waiter);
        return deliver_object(ex, ex->found.object, OUTCOME_STALE, stale_reason);
    }
    enum step next = answer_shell(ex, reason);
    if (next == STEP_DONE) /* else the flight may still be needed, or even overtake it */
        waiter_leave(&ex->waiter);
    return next;
}

static enum step walk_on_failure(struct exchange *ex, enum reason stale_reason, enum reason reason)
{
    const struct route *route = ex->decision.route;
    enum step next = STEP_NONE;
    for (size_t i = 0; i < route->on_failure_count && next == STEP_NONE; i++)
        next = give(ex, route->on_failure[i], stale_reason, reason);
    return next;
}

enum step fallback_instead_of_asking(struct exchange *ex)
{
    if (!mode_orders_fallback(mode_now(ex->server->mode), &ex->decision))
        return STEP_NONE;
    return walk_on_failure(ex, REASON_POLICY, REASON_POLICY);
}

enum step fallback_after_failure(struct exchange *ex, enum reason reason)
{
    bool is_deadly = reason == REASON_DEADLY; /* nothing has failed this time */
    return walk_on_failure(ex, is_deadly ? REASON_DEADLY : REASON_STALE_ERROR, reason);
}

bool fallback_is_named(const struct route *route, enum fallback fallback)
{
    for (size_t i = 0; i < route->on_failure_count; i++)
        if (route->on_failure[i] == fallback)
            return true;
    return false;
}

enum step fallback_after_failed_pass(struct exchange *ex, unsigned status)
{
    if (!status_is_failure(status) || !fallback_is_named(ex->decision.route, FALLBACK_STALE))
        return STEP_NONE;
    return give(ex, FALLBACK_STALE, REASON_STALE_ERROR, REASON_UPSTREAM_ERROR);
}

enum step fallback_instead_of_waiting(struct exchange *ex)
{
    return walk_on_failure(ex, REASON_CLIENT_WAIT, REASON_CLIENT_WAIT);
}

/* The renderer answered, but what it said makes no sense: also a 304 that nobody asked for
 * (semantics 4.6). */
static bool is_nonsense(struct exchange *ex)
{
    if (!ex->waiter.flight)
        return false;
    struct flight_view view;
    waiter_look(&ex->waiter, ex->server->purges, &view);
    return view.phase == FLIGHT_FAILED && view.failure == CALL_MALFORMED;
}

unsigned fallback_error_status(const struct candidate *found)
{
    return found->object && found->object->facts.flags & FACT_MUST_REVALIDATE ? 504 : 503;
}

static unsigned error_status(struct exchange *ex)
{
    unsigned status = fallback_error_status(&ex->found);
    return status == 503 && is_nonsense(ex) ? 502 : status;
}

slice fallback_error_detail(enum reason reason)
{
    return reason == REASON_DEADLY ? SLICE("not rendered for now: it has stopped renderers")
                                   : SLICE("no renderer could answer");
}

void fallback_error(struct exchange *ex, enum reason reason)
{
    bool is_shed = reason == REASON_OVER_SHED || reason == REASON_OVER_SHELL;
    unsigned status = error_status(ex);
    waiter_leave(&ex->waiter);
    answer_error(ex, status, is_shed ? OUTCOME_SHED : OUTCOME_ERROR, reason,
                 is_shed ? SLICE("too many wait for a renderer") : fallback_error_detail(reason));
}

enum step fallback_after_call(struct exchange *ex, unsigned call_failure)
{
    enum reason reason = fallback_reason(call_failure);
    enum step next = fallback_after_failure(ex, reason);
    if (next != STEP_NONE)
        return next;
    fallback_error(ex, reason);
    return STEP_DONE;
}
