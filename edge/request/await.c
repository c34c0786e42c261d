/*
 * The two steps of who waits for something else than the page's render: SHELL, for the light answer
 * of an origin (semantics 8.2), and DECODE, for a plain body (4.7).
 */
#include "edge/request/fallback.h"
#include "edge/request/steps.h"

/* --- SHELL --- */

/* While who is tired of waiting for a page waits for the shell, the page may come: its first byte,
 * or as much of it as this client has to wait for. */
static bool is_overtaken(struct exchange *ex)
{
    struct flight_view view;
    if (ex->shell_reason != REASON_CLIENT_WAIT)
        return false;
    waiter_look(&ex->waiter, ex->server->purges, &view);
    if (view.phase == FLIGHT_STREAMING)
        return view.available_bytes > 0 && !fetch_awaits_body(ex, &view);
    return view.phase != FLIGHT_WAITING;
}

/* Without the origin's answer there is the file, and what else the route says; or it waits on. */
static enum step go_on_without_shell(struct exchange *ex)
{
    enum step next = STEP_NONE;
    ex->is_shell_refused = true;
    if (ex->shell_reason == REASON_CLIENT_WAIT)
        next = fallback_instead_of_waiting(ex);
    return next != STEP_NONE ? next : ex->shell_instead_of;
}

enum step step_shell(struct exchange *ex)
{
    switch (shell_ask_state(ex->shell_ask)) {
    case SHELL_ASK_GIVEN:
        waiter_leave(&ex->waiter);
        answer_shell_given(ex);
        return STEP_DONE;
    case SHELL_ASK_FAILED:
        return go_on_without_shell(ex);
    case SHELL_ASK_WAITS:
        break;
    }
    return is_overtaken(ex) ? ex->shell_instead_of : STEP_WAIT;
}

/* --- DECODE --- */

enum step step_decode(struct exchange *ex)
{
    if (ex->is_decoding) /* woken by a flight */
        return STEP_WAIT;
    return deliver_decoded(ex);
}
