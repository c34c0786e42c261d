/*
 * STREAM: a flight's bytes to its client, as they come and as the client takes them. The head waits
 * for the first of them: what fails before that has a fallback (semantics 3.2).
 */
#include "edge/request/fallback.h"
#include "edge/request/steps.h"
#include "policy/media_type.h"

/* The flight failed. Who has not seen a byte of it is none the worse for it (semantics 3.2); the
 * others must see that theirs breaks off. */
static enum step break_off(struct exchange *ex, unsigned failure)
{
    if (!sink_is_started(ex->sink))
        return fallback_after_call(ex, failure);
    ex->reason = REASON_TRUNCATED; /* before the call: `gone` may come inside */
    sink_break(ex->sink);
    return STEP_DONE;
}

/* Takes what is there; with the first of it goes the head. */
static enum step hand_on(struct exchange *ex, const slice *views, size_t count, bool is_end)
{
    ex->is_sending = true;
    ex->sent_bytes = 0;
    for (size_t i = 0; i < count; i++)
        ex->sent_bytes += views[i].len;
    if (!sink_is_started(ex->sink)) {
        ex->status = ex->head.status;
        sink_start(ex->sink, &ex->head);
    }
    sink_send(ex->sink, views, count, is_end);
    return is_end ? STEP_DONE : STEP_WAIT;
}

/* A flight that has failed gives no more than it must: nothing to who has not seen a byte of it. */
static bool breaks_off(struct exchange *ex, bool is_empty, unsigned *failure)
{
    struct flight_view view;
    if (sink_is_started(ex->sink) && !is_empty)
        return false;
    waiter_look(&ex->waiter, ex->server->purges, &view);
    *failure = view.failure;
    return view.phase == FLIGHT_FAILED;
}

/* The head of an event stream goes out at once, since its first event may be long in coming; that
 * of anything else with its first bytes: until then there is a fallback. */
static bool is_to_be_opened(const struct exchange *ex)
{
    return !sink_is_started(ex->sink) &&
           media_type_is_event_stream(fields_value(ex->head.fields, FIELD_CONTENT_TYPE));
}

enum step step_stream(struct exchange *ex)
{
    sink_await(ex->sink, waiter_is_awaited(&ex->waiter));
    if (ex->is_sending)
        return STEP_WAIT;
    slice views[READ_SLICES];
    bool is_end;
    unsigned failure;
    size_t count = waiter_peek(&ex->waiter, views, &is_end);
    bool is_empty = count == 0 && !is_end;
    if (breaks_off(ex, is_empty, &failure))
        return break_off(ex, failure);
    return is_empty && !is_to_be_opened(ex) ? STEP_WAIT : hand_on(ex, views, count, is_end);
}
