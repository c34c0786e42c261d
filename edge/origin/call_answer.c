/*
 * What comes back on a call's connection, and for how long it is read.
 *
 * Somebody reads: events. Nobody does any more: with a slot, the rest is read and dropped, because
 * the slot is free only when the worker has said its last byte; up to 4 MiB, then the connection is
 * closed. Event streams and upgraded connections never end by themselves: they are closed at once
 * (semantics 3.4).
 */
#include "edge/origin/call.h"
#include "policy/media_type.h"

#include <stdlib.h>

/* --- when nobody reads --- */

bool call_has_reader(const struct call *call)
{
    return !call->is_over;
}

static bool is_worth_reading(const struct call *call)
{
    if (call->is_stream || call->state == STATE_SWITCHED)
        return false;
    return call->state != STATE_BODY || call->body_bytes <= LATE_BODY_MAX_BYTES;
}

void call_linger(struct call *call)
{
    bool is_running = call->state == STATE_SENDING || call->state == STATE_WAITING ||
                      call->state == STATE_BODY || call->state == STATE_SWITCHED;
    if (!is_running)
        return;
    if (!is_worth_reading(call)) {
        call_let_go(call);
        return;
    }
    if (call->is_paused)
        call_resume(call);
    bool holds_slot = call->permit.kind == PERMIT_SLOT;
    bool has_failed = call->timer.position == 0; /* the timer itself brought us here */
    if (!holds_slot && has_failed)
        call_let_go(call);
    else if (holds_slot && call->state != STATE_SENDING)
        loop_timer_stop(call->home->loop, &call->timer); /* only slot_max goes on */
}

/* --- the head --- */

static void note_build(struct call *call)
{
    slice name = call->pool->config->build_header;
    const struct field *field = name.len ? fields_find(&call->parser.response.fields, name) : NULL;
    call->build = pool_note_build(call->permit.worker, field ? field->value : SLICE_NONE,
                                  loop_now(call->home->loop).mono);
}

/* For the master, which replaces renderers that fail or are worn out (`spawn.recycle`). */
static void count_answer(const struct call *call)
{
    struct renderer *renderer = slots_renderer(call->permit.worker->slots);
    bool is_render = call->permit.kind == PERMIT_SLOT || call->pool->config->slots == 0;
    if (is_render)
        atomic_fetch_add(&renderer->renders, 1);
    if (call->parser.response.status >= 500)
        atomic_fetch_add(&renderer->errors, 1);
}

/* An answer without end keeps no slot. False: the worker has too many of them. */
static bool detach_if_endless(struct call *call)
{
    slice content_type = fields_value(&call->parser.response.fields, FIELD_CONTENT_TYPE);
    call->is_stream = media_type_is_event_stream(content_type) && !call->answers_head;
    if (!call->is_stream && !call->parser.is_switching)
        return true;
    loop_timer_stop(call->home->loop, &call->total);
    return pool_detach(&call->permit, loop_now(call->home->loop).mono);
}

static void head_arrived(struct call *call)
{
    struct loop *loop = call->home->loop;
    loop_timer_stop(loop, &call->timer);
    call->timing.head = loop_now(loop);
    bool is_late_request = call->state == STATE_SENDING; /* answered before it was sent whole */
    if (is_late_request)
        call->timing.sent = call->timing.head; /* what is sent from here on has made no answer */
    call->state = call->parser.is_switching ? STATE_SWITCHED : STATE_BODY;
    if (!call->is_inquiry) /* its owner knows what the answer means */
        pool_worker_answered(call->permit.worker, loop_now(loop).mono);
    if (call->is_probe) {
        call_let_go(call); /* it has answered: that was the question */
        return;
    }
    if (!call->is_inquiry)
        count_answer(call);
    note_build(call);
    if (is_late_request || call->is_write_broken)
        call->parser.may_reuse = false;
    if (!detach_if_endless(call)) {
        call_let_go(call);
        call_fail(call, CALL_LIMIT, SLICE("event streams"));
        return;
    }
    if (!call->is_stream && !call->parser.is_switching)
        call_start_timer(call, call->pool->config->between_bytes);
    if (!call_has_reader(call)) {
        call_linger(call);
        return;
    }
    call->events->head(call, call->owner, &call->parser.response, call->parser.length);
}

/* --- the body --- */

static void body_arrived(struct call *call, slice bytes)
{
    call->body_bytes += bytes.len;
    if (call_has_reader(call))
        call->events->body(call, call->owner, bytes);
    else if (!is_worth_reading(call))
        call_let_go(call);
}

/* The slot is given back before the owner hears of it: what he does next may need it. */
static void answer_ended(struct call *call, bool is_clean, bool may_reuse)
{
    struct connection *connection = call->connection;
    if (call->is_render)
        deadly_note_survival(&call->home->origins->deadly, &call->render_key,
                             loop_now(call->home->loop).mono);
    if (may_reuse && !h2o_socket_is_writing(connection->socket)) {
        call->connection = NULL;
        connection_keep(connection, call->parser.keep_alive);
    }
    call_let_go(call);
    if (call->is_over)
        return;
    call->is_over = true;
    call->events->end(call, call->owner, is_clean);
}

static void interim_arrived(struct call *call)
{
    if (call_has_reader(call) && call->events->interim)
        call->events->interim(call, call->owner, &call->parser.response);
}

static void keep_behind(struct call *call, slice bytes)
{
    connection_read_off(call->connection);
    if (bytes.len == 0)
        return;
    call->behind = mem_alloc(bytes.len);
    memcpy(call->behind, bytes.ptr, bytes.len);
    call->behind_bytes = bytes.len;
}

/* One event of the parser. False: no more of them now. */
static bool take_event(struct call *call, slice *bytes)
{
    slice body = SLICE_NONE;
    switch (response_parser_next(&call->parser, bytes, &body)) {
    case PARSE_NEED_MORE:
        return false;
    case PARSE_INTERIM:
        interim_arrived(call);
        return true;
    case PARSE_HEAD:
        if (call->parser.is_switching)
            keep_behind(call, *bytes);
        head_arrived(call);
        return call->state == STATE_BODY;
    case PARSE_BODY:
        body_arrived(call, body);
        return true;
    case PARSE_END:
        answer_ended(call, true, call->parser.may_reuse && bytes->len == 0);
        return false;
    case PARSE_MALFORMED:
        call_lost(call, CALL_MALFORMED, slice_of_string(call->parser.mistake), false);
        return false;
    }
    return false;
}

void call_closed(struct call *call, bool is_reset)
{
    slice how = is_reset ? SLICE("reset") : SLICE("closed");
    call->depth++;
    if (call->state == STATE_SWITCHED) {
        call_let_go(call);
    } else {
        switch (response_parser_close(&call->parser, is_reset)) {
        case CLOSE_BEFORE_HEAD:
            call_lost(call, CALL_CLOSED, how, false);
            break;
        case CLOSE_IN_BODY:
            call_lost(call, CALL_TRUNCATED, how, false);
            break;
        case CLOSE_ENDS:
            answer_ended(call, false, false);
            break;
        }
    }
    call->depth--;
    call_free_if_done(call);
}

void call_received(struct call *call, slice bytes, bool is_broken)
{
    call->depth++;
    if (call->state == STATE_BODY)
        call->progress = loop_now(call->home->loop).mono; /* a head must be whole in time */
    while (call->connection && take_event(call, &bytes))
        ;
    if (call->connection && is_broken)
        call_closed(call, true);
    call->depth--;
    call_free_if_done(call);
}

/* --- back-pressure and upgrades --- */

void call_pause(struct call *call)
{
    if (call->is_paused || call->state != STATE_BODY)
        return;
    call->is_paused = true;
    loop_timer_stop(call->home->loop, &call->timer);
    if (call->total.position > 0) {
        call->total_left = mono_since(call->total.due, loop_now(call->home->loop).mono);
        loop_timer_stop(call->home->loop, &call->total);
    }
    connection_read_off(call->connection);
}

void call_resume(struct call *call)
{
    if (!call->is_paused)
        return;
    call->is_paused = false;
    if (call->state != STATE_BODY)
        return; /* it ended with what had been read already */
    if (!call->is_stream)
        call_start_timer(call, call->pool->config->between_bytes);
    if (call->permit.kind == PERMIT_SLOT)
        loop_timer_set(call->home->loop, &call->total, call->total_left);
    connection_read_on(call->connection);
}

h2o_socket_t *call_take_socket(struct call *call, slice *read_behind)
{
    if (call->state != STATE_SWITCHED)
        return NULL;
    h2o_socket_t *socket = connection_take_socket(call->connection);
    *read_behind = slice_of(call->behind, call->behind_bytes);
    call->connection = NULL;
    call->is_over = true;
    return socket; /* the permit stays with the call until call_free() */
}
