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
                                      : fallback_may_be_shell(mode, decision);
}

static bool give(struct exchange *ex, enum fallback fallback, enum reason stale_reason,
                 enum reason reason)
{
    if (!fallback_may_be(fallback, mode_now(ex->server->mode), &ex->decision, &ex->found))
        return false;
    if (fallback == FALLBACK_STALE) {
        waiter_leave(&ex->waiter);
        deliver_object(ex, ex->found.object, OUTCOME_STALE, stale_reason);
        return true;
    }
    if (!answer_shell(ex, reason))
        return false;
    if (ex->step != STEP_SHELL) /* else the flight may still be needed, or even overtake it */
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

bool is_render(const struct decision *decision)
{
    return decision->origin->slots > 0 && !decision->route->is_asset;
}

bool fallback_is_ordered(enum mode mode, const struct decision *decision)
{
    return mode == MODE_SHELL && is_render(decision) && decision->is_navigation &&
           decision->class_config->renders && !decision->class_config->never_shell;
}

bool fallback_stops_refreshes(enum mode mode, const struct decision *decision)
{
    return mode == MODE_SHELL && is_render(decision);
}

bool fallback_may_be_shell(enum mode mode, const struct decision *decision)
{
    return mode != MODE_SSR && decision->may_give_shell;
}

bool fallback_instead_of_asking(struct exchange *ex)
{
    return fallback_is_ordered(mode_now(ex->server->mode), &ex->decision) &&
           walk_on_failure(ex, REASON_POLICY, REASON_POLICY);
}

bool fallback_after_failure(struct exchange *ex, enum reason reason)
{
    bool is_deadly = reason == REASON_DEADLY; /* nothing has failed this time */
    return walk_on_failure(ex, is_deadly ? REASON_DEADLY : REASON_STALE_ERROR, reason);
}

bool fallback_after_failed_pass(struct exchange *ex, unsigned status)
{
    bool has_stale =
        fallback_may_be(FALLBACK_STALE, mode_now(ex->server->mode), &ex->decision, &ex->found);
    return status_is_failure(status) && has_stale &&
           fallback_after_failure(ex, REASON_UPSTREAM_ERROR);
}

bool fallback_instead_of_waiting(struct exchange *ex)
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

void fallback_after_call(struct exchange *ex, unsigned call_failure)
{
    enum reason reason = fallback_reason(call_failure);
    if (!fallback_after_failure(ex, reason))
        fallback_error(ex, reason);
}
