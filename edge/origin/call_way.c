/*
 * A call's way to its worker: ask the pool → connect or take an idle connection → send → wait. What
 * comes back is call_answer.c's, and what to do when it fails call_lost.c's.
 */
#include "base/log.h"
#include "edge/origin/call.h"
#include "edge/origin/lack.h"

#include <errno.h>

enum { LACK_LOG_EVERY_MS = 60000 };
static const duration POLL_EVERY = {20}, STUCK_LOOK_EVERY = {500};

mono_time call_now(const struct call *call)
{
    return loop_now(call->home->loop).mono;
}

/* --- timers --- */

/* Bytes only note the time: a timer is not moved for each packet, it looks when it fires. */
void call_start_timer(struct call *call, duration limit)
{
    call->limit = limit;
    call->progress = call_now(call);
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
    int64_t passed = mono_since(call_now(call), call->progress).ms;
    if (passed < call->limit.ms) {
        loop_timer_set(call->home->loop, timer, (duration){call->limit.ms - passed});
        return;
    }
    call->depth++;
    state_timed_out(call);
    call->depth--;
    call_free_if_done(call);
}

static void become_stuck(struct call *call)
{
    call->is_stuck = true;
    pool_mark_stuck(&call->permit);
    call_fail(call, CALL_STUCK, SLICE_NONE);
    call_linger(call);
}

/* Its answer may still come; but not from a process that is gone, if the end of that was not seen
 * on the connection (semantics 7.5). */
static void look_after_stuck(struct call *call)
{
    struct worker *worker = call->permit.worker;
    mono_time since = slot_view(worker->slots, call->permit.slot).since;
    if (pool_is_outlived(&call->permit)) {
        log_info("a slot is free again: its worker was started anew", {"worker", worker->name});
        call_let_go(call);
    } else if (slots_entry(worker->slots) == GATE_OPEN &&
               rebirth_may_knock(&worker->rebirth, since, call_now(call))) {
        call_knock(call->home, worker);
    }
}

void call_total_timed(struct loop_timer *timer)
{
    struct call *call = container_of(timer, struct call, total);
    call->depth++;
    if (call->state == STATE_CONNECTING)
        call_lost(call, CALL_CONNECT_TIMEOUT, SLICE_NONE, true);
    else if (call->is_stuck)
        look_after_stuck(call);
    else
        become_stuck(call);
    if (call->is_stuck && call->permit.kind == PERMIT_SLOT)
        loop_timer_set(call->home->loop, timer, STUCK_LOOK_EVERY);
    call->depth--;
    call_free_if_done(call);
}

/* --- ends --- */

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
        pool_end_probe(&call->permit, call->state == STATE_BODY, call_now(call));
    else
        pool_return(&call->permit, call_now(call));
    call->state = STATE_OFF;
}

/* --- sending --- */

static void send_rest(struct call *call);

static void request_sent(struct call *call)
{
    call->is_fully_sent = !call->is_write_broken;
    if (call->state != STATE_SENDING)
        return; /* the answer has begun before the request ended */
    call->timing.sent = loop_now(call->home->loop);
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
        call->progress = call_now(call);
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
    call->number = call->connection->number;
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

/* That nobody listens there a knock is the first to see: visitors are not sent there any more. */
static void note_no_connection(struct call *call, int problem, slice why)
{
    struct worker *worker = call->permit.worker;
    if (rebirth_note_failure(&worker->rebirth, problem, call_now(call)) && call->is_knock)
        pool_worker_failed(worker, why, call_now(call));
}

static void log_lack(struct call *call, slice why)
{
    struct home *home = call->home;
    mono_time now = call_now(call);
    if (home->lack_logged.ms && mono_since(now, home->lack_logged).ms < LACK_LOG_EVERY_MS)
        return;
    home->lack_logged = now;
    log_error("no connection to a renderer can be made; that is not held against it",
              {"worker", call->permit.worker->name}, {"error", why, 0});
}

static void take_no_connection(struct call *call, int problem)
{
    const struct worker *worker = call->permit.worker;
    const struct sockaddr *address = (const struct sockaddr *)&worker->address;
    bool is_lack = lack_is_own(problem, address, worker->address_bytes);
    slice why = slice_of_string(strerrordesc_np(problem));
    if (is_lack)
        log_lack(call, why);
    note_no_connection(call, problem, why);
    call_lost(call, is_lack ? CALL_LACK : CALL_REFUSED, why, true);
}

void call_connect(struct call *call)
{
    struct worker *worker = call->permit.worker;
    call->state = STATE_CONNECTING;
    call->connection = connection_open(call->home, worker, call);
    if (!call->connection) {
        take_no_connection(call, errno);
        return;
    }
    call->connection->number = atomic_fetch_add(&worker->counters.connects, 1);
    call_start_timer(call, call->pool->config->connect);
}

void call_connected(struct call *call, enum call_failure failure, const char *error)
{
    call->depth++;
    if (error)
        note_no_connection(call, call->connection->problem, slice_of_string(error));
    else
        rebirth_note_success(&call->permit.worker->rebirth, call->progress);
    if (error)
        call_lost(call, failure, slice_of_string(error), true);
    else if (call->is_knock)
        call_let_go(call);
    else
        send_request(call);
    call->depth--;
    call_free_if_done(call);
}

/* --- asking for a worker --- */

/* A permit was granted. */
static void go(struct call *call)
{
    struct worker *worker = call->permit.worker;
    if (!call_is_admitted(call)) {
        call_let_go(call);
        call_fail(call, CALL_DEADLY, SLICE_NONE);
        return;
    }
    call->worker_name = worker->name;
    call->permit.is_used = true;
    if (call->permit.kind == PERMIT_SLOT)
        loop_timer_set(call->home->loop, &call->total, call->total_left);
    call->connection = connection_take_idle(call->home, worker, !call->is_idempotent, call);
    if (!call->connection) {
        call_connect(call);
        return;
    }
    send_request(call);
}

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
    if (call_is_deadly(call)) {
        call->state = STATE_OFF;
        call_fail(call, CALL_DEADLY, SLICE_NONE);
        return;
    }
    enum pool_answer answer = pool_ask(call->pool, &call->waiter, at_front, call_now(call));
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
    if (call->waiter.state == WAITER_OVER_SHARE) {
        call->state = STATE_OFF;
        call_fail(call, call->waiter.has_shell ? CALL_OVER_SHELL : CALL_OVER_SHED, SLICE_NONE);
        return;
    }
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
