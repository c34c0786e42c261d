/*
 * A call's way to its worker: ask the pool → connect or take an idle connection → send → wait, and
 * what to do when that fails. What comes back is call_answer.c's.
 */
#include "base/log.h"
#include "edge/origin/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const duration POLL_EVERY = {20};

static mono_time now_of(const struct call *call)
{
    return loop_now(call->home->loop).mono;
}

/* --- timers --- */

/* Bytes only note the time: a timer is not moved for each packet, it looks when it fires. */
void call_start_timer(struct call *call, duration limit)
{
    call->limit = limit;
    call->progress = now_of(call);
    loop_timer_set(call->home->loop, &call->timer, limit);
}

static void state_timed_out(struct call *call)
{
    switch (call->state) {
    case STATE_CONNECTING:
        call_lost(call, CALL_CONNECT_TIMEOUT, SLICE_NONE, true);
        break;
    case STATE_SENDING:
        call_lost(call, CALL_FIRST_BYTE_TIMEOUT, SLICE("the request is not taken"), false);
        break;
    case STATE_WAITING:
        call_fail(call, CALL_FIRST_BYTE_TIMEOUT, SLICE_NONE);
        call_linger(call);
        break;
    case STATE_BODY:
        call_fail(call, CALL_BETWEEN_BYTES_TIMEOUT, SLICE_NONE);
        call_linger(call);
        break;
    default:
        break;
    }
}

void call_state_timed(struct loop_timer *timer)
{
    struct call *call = container_of(timer, struct call, timer);
    int64_t passed = mono_since(now_of(call), call->progress).ms;
    if (passed < call->limit.ms) {
        loop_timer_set(call->home->loop, timer, (duration){call->limit.ms - passed});
        return;
    }
    call->depth++;
    state_timed_out(call);
    call->depth--;
    call_free_if_done(call);
}

void call_total_timed(struct loop_timer *timer)
{
    struct call *call = container_of(timer, struct call, total);
    call->depth++;
    if (call->state == STATE_CONNECTING) {
        call_lost(call, CALL_CONNECT_TIMEOUT, SLICE_NONE, true);
    } else {
        pool_mark_stuck(&call->permit);
        call_fail(call, CALL_STUCK, SLICE_NONE);
        call_linger(call);
    }
    call->depth--;
    call_free_if_done(call);
}

/* --- ends --- */

static void count_failure(struct worker *worker, enum call_failure failure)
{
    atomic_fetch_add(&worker->counters.failures[failure], 1);
}

static void tell_failure(struct call *call)
{
    call->has_verdict = false;
    if (call->is_over)
        return;
    call->is_over = true;
    call->events->fail(call, call->owner, call->failure, call->detail);
}

void call_fail(struct call *call, enum call_failure failure, slice detail)
{
    if (call->is_over || call->has_verdict)
        return;
    if (call->permit.worker)
        count_failure(call->permit.worker, failure);
    call->failure = failure;
    detail = slice_until(detail, DETAIL_BYTES);
    if (detail.len > 0)
        memcpy(call->detail_text, detail.ptr, detail.len);
    call->detail = slice_of(call->detail_text, detail.len);
    call->has_verdict = true;
    if (call->is_starting)
        loop_post(call->home->loop, &call->message);
    else
        tell_failure(call);
}

void call_let_go(struct call *call)
{
    loop_timer_stop(call->home->loop, &call->timer);
    loop_timer_stop(call->home->loop, &call->total);
    if (call->connection)
        connection_close(call->connection);
    call->connection = NULL;
    if (call->permit.kind == PERMIT_PROBE)
        pool_end_probe(&call->permit, call->state == STATE_BODY, now_of(call));
    else
        pool_return(&call->permit, now_of(call));
    call->state = STATE_OFF;
}

/* --- sending --- */

static void send_rest(struct call *call);

static void request_sent(struct call *call)
{
    call->is_fully_sent = !call->is_write_broken;
    call->timing.sent = loop_now(call->home->loop);
    if (call->state != STATE_SENDING)
        return; /* the answer has begun before the request ended */
    call->state = STATE_WAITING;
    call_start_timer(call, call->first_byte);
}

/* A write that failed says nothing yet: the worker may have answered before it stopped reading. */
static void on_written(h2o_socket_t *socket, const char *error)
{
    struct connection *connection = socket->data;
    struct call *call = connection->call;
    if (!call)
        return;
    if (call->state == STATE_SENDING)
        call->progress = now_of(call);
    call->is_write_broken |= error != NULL;
    if (error || call->body_sent == call->body.len)
        request_sent(call);
    else
        send_rest(call);
}

static void send_rest(struct call *call)
{
    slice piece = slice_until(slice_from(call->body, call->body_sent), WRITE_PIECE_BYTES);
    if (!call->piece)
        call->piece = mem_alloc(WRITE_PIECE_BYTES);
    memcpy(call->piece, piece.ptr, piece.len); /* the owner may leave while it is written */
    call->body_sent += piece.len;
    h2o_iovec_t buffer = h2o_iovec_init(call->piece, piece.len);
    h2o_socket_write(call->connection->socket, &buffer, 1, on_written);
}

static void send_request(struct call *call)
{
    call->state = STATE_SENDING;
    call->is_fully_sent = call->is_write_broken = call->is_suspect = false;
    call->body_sent = 0;
    call_start_timer(call, call->pool->config->between_bytes);
    connection_read_on(call->connection);
    size_t split = call->is_host_open ? call->host_at : 0;
    slice host = call->is_host_open ? call->permit.worker->host_header : SLICE_NONE;
    h2o_iovec_t buffers[] = {h2o_iovec_init(call->request, split),
                             h2o_iovec_init(host.ptr, host.len),
                             h2o_iovec_init(call->request + split, call->request_bytes - split)};
    h2o_socket_write(call->connection->socket, split ? buffers : buffers + 2, split ? 3 : 1,
                     on_written);
}

/* --- connecting --- */

void call_connect(struct call *call)
{
    struct worker *worker = call->permit.worker;
    call->state = STATE_CONNECTING;
    call->connection = connection_open(call->home, worker, call);
    if (!call->connection) {
        call_lost(call, CALL_REFUSED, slice_of_string(strerrordesc_np(errno)), true);
        return;
    }
    atomic_fetch_add(&worker->counters.connects, 1);
    call_start_timer(call, call->pool->config->connect);
}

void call_connected(struct call *call, enum call_failure failure, const char *error)
{
    call->depth++;
    if (error)
        call_lost(call, failure, slice_of_string(error), true);
    else
        send_request(call);
    call->depth--;
    call_free_if_done(call);
}

/* --- renders that kill (semantics 7.7) --- */

static struct deadly *deadly_of(const struct call *call)
{
    return &call->home->origins->deadly;
}

static bool is_deadly(const struct call *call)
{
    return call->is_render && !call->is_trial &&
           deadly_is(deadly_of(call), &call->render_key, now_of(call));
}

/* It may have become deadly while it waited for its slot. */
static bool is_admitted(struct call *call)
{
    if (!call->is_render || call->is_trial)
        return true;
    enum deadly_answer answer = deadly_admit(deadly_of(call), &call->render_key, now_of(call));
    call->is_trial = answer == DEADLY_TRIAL;
    return answer != DEADLY_NOW;
}

/*
 * Did the worker die of it, as far as can be seen from here? It had all of the request, and closed
 * or broke off: before the head or in the body. Not: a time-out, which may be a slow database's
 * fault, nor the end of a stream, which is none of a render. A connection that was idle and closed
 * under the request was perhaps just old; but not if nobody takes the next one.
 */
static bool was_killed(const struct call *call, enum call_failure failure, bool is_untouched)
{
    if (!call->is_render)
        return false;
    if (is_untouched)
        return call->is_suspect && failure == CALL_REFUSED;
    return call->is_fully_sent && !call->is_stream &&
           (failure == CALL_CLOSED || failure == CALL_TRUNCATED);
}

static void note_death(struct call *call)
{
    duration length;
    call->is_trial = call->is_suspect = false;
    if (!deadly_note_death(deadly_of(call), &call->render_key, call->permit.worker, now_of(call),
                           &length))
        return;
    log_warn("renders of this page kill workers: not rendered for a while", {"url", call->about, 0},
             {"worker", call->worker_name, 0}, {"seconds", .number = length.ms / 1000});
}

/* A permit was granted. */
static void go(struct call *call)
{
    struct worker *worker = call->permit.worker;
    if (!is_admitted(call)) {
        call_let_go(call);
        call_fail(call, CALL_DEADLY, SLICE_NONE);
        return;
    }
    call->worker_name = worker->name;
    atomic_fetch_add(&worker->counters.requests, 1);
    if (call->permit.kind == PERMIT_SLOT)
        loop_timer_set(call->home->loop, &call->total, call->total_left);
    call->connection = connection_take_idle(call->home, worker, !call->is_idempotent, call);
    if (!call->connection) {
        call_connect(call);
        return;
    }
    atomic_fetch_add(&worker->counters.reused, 1);
    send_request(call);
}

/* --- asking for a worker --- */

static void fire_poll(struct loop_timer *timer)
{
    struct home *home = container_of(timer, struct home, poll);
    for (size_t i = 0; i < home->origins->policy->origin_count; i++)
        pool_poll(home->origins->pools[i], loop_now(home->loop).mono);
    if (home->waiting > 0)
        loop_timer_set(home->loop, timer, POLL_EVERY);
}

static void start_waiting(struct call *call)
{
    struct home *home = call->home;
    home->waiting++;
    home->poll.fire = fire_poll;
    if (home->poll.position == 0)
        loop_timer_set(home->loop, &home->poll, POLL_EVERY);
}

/* `at_front` on a second try: then what it failed with before says more than "all down". */
void call_ask(struct call *call, bool at_front, enum call_failure failure, slice detail)
{
    call->state = STATE_ASKING;
    if (is_deadly(call)) {
        call->state = STATE_OFF;
        call_fail(call, CALL_DEADLY, SLICE_NONE);
        return;
    }
    enum pool_answer answer = pool_ask(call->pool, &call->waiter, at_front, now_of(call));
    switch (answer) {
    case POOL_GRANTED:
        call->permit = call->waiter.permit;
        go(call);
        break;
    case POOL_QUEUED:
        start_waiting(call);
        break;
    case POOL_ALL_DOWN:
        call->state = STATE_OFF;
        call_fail(call, failure, detail);
        break;
    case POOL_OVER_SHELL:
    case POOL_OVER_SHED:
        call->state = STATE_OFF;
        call_fail(call, answer == POOL_OVER_SHELL ? CALL_OVER_SHELL : CALL_OVER_SHED, SLICE_NONE);
        break;
    case POOL_FULL:
        call->state = STATE_OFF;
        call_fail(call, CALL_LIMIT, SLICE("queue"));
        break;
    }
}

static void take_grant(struct call *call)
{
    call->home->waiting--;
    if (call->waiter.state == WAITER_ALL_DOWN) {
        call->state = STATE_OFF;
        call_fail(call, CALL_ALL_DOWN, SLICE_NONE);
        return;
    }
    call->permit = call->waiter.permit;
    if (call->is_over)
        call_let_go(call); /* abandoned while the message was on its way */
    else
        go(call);
}

/* From the pool: the wait is over. From call_fail(): call_new() has returned. */
void call_message_came(struct loop_message *message)
{
    struct call *call = container_of(message, struct call, message);
    call->depth++;
    if (call->state == STATE_ASKING)
        take_grant(call);
    if (call->has_verdict)
        tell_failure(call);
    call->depth--;
    call_free_if_done(call);
}

/* --- what to do when a connection fails --- */

/* A connection that was idle and closes before it says a word was closed by then (frameworks.md
 * 18): asked again at once, on a new one. */
static bool was_stale(struct call *call, bool is_untouched)
{
    if (is_untouched || !call->connection || !call->connection->is_reused || call->was_stale)
        return false;
    return !call->is_over && !call->parser.has_bytes &&
           (call->is_idempotent || !call->is_fully_sent);
}

static bool may_go_elsewhere(struct call *call, enum call_failure failure, bool is_untouched)
{
    if (call->is_over || call->is_probe || call->is_inquiry)
        return false;
    if (is_untouched)
        return true; /* nothing was sent: not a retry of the request */
    if (failure != CALL_CLOSED || !call->is_retryable || call->parser.has_bytes ||
        call->retries_left == 0 || is_deadly(call) || !pool_may_retry(call->pool, now_of(call)))
        return false;
    call->retries_left--;
    atomic_fetch_add(&call->permit.worker->counters.retries, 1);
    return true;
}

static void go_elsewhere(struct call *call, enum call_failure failure, slice detail)
{
    struct worker *worker = call->permit.worker;
    char text[DETAIL_BYTES]; /* `detail` may be a view of what is given back here */
    detail = slice_until(detail, sizeof(text));
    if (detail.len > 0)
        memcpy(text, detail.ptr, detail.len);
    count_failure(worker, failure);
    call->waiter.tried[worker->index / 64] |= UINT64_C(1) << worker->index % 64;
    call_let_go(call);
    call_ask(call, true, failure, slice_of(text, detail.len));
}

void call_lost(struct call *call, enum call_failure failure, slice detail, bool is_untouched)
{
    struct worker *worker = call->permit.worker;
    if (was_stale(call, is_untouched)) {
        call->was_stale = true;
        call->is_suspect = call->is_fully_sent;
        connection_close(call->connection);
        call_connect(call);
        return;
    }
    if (was_killed(call, failure, is_untouched))
        note_death(call);
    if (is_untouched) {
        slice why = detail.len > 0 ? detail : call_failure_name(failure);
        pool_worker_failed(worker, why, now_of(call));
    } else if (!call->is_probe && !call->is_inquiry) {
        atomic_fetch_add(&slots_renderer(worker->slots)->errors, 1);
    }
    if (may_go_elsewhere(call, failure, is_untouched)) {
        go_elsewhere(call, failure, detail);
        return;
    }
    if (!call->is_over)
        count_failure(worker, failure);
    call_let_go(call); /* first: what the owner does next may need the slot */
    call_fail(call, failure, detail);
}
