/*
 * A call as its owner has it: made, left, freed.
 *
 * Two lives are tied together in a call and end apart: that of the owner, who wants an answer, and
 * that of the request on the worker, which holds a slot until its last byte was read
 * (semantics 3.4, 7.1). A call that was told of a time-out, or abandoned, lives on without an owner
 * for as long as that takes.
 *
 * The request's head is written out when the call is made; only a body over 64 KiB stays the
 * owner's, and is copied if he leaves while it is being sent.
 */
#include "edge/origin/call.h"

#include "base/must.h"
#include "edge/origin/request_writer.h"

#include <stdlib.h>
#include <string.h>

static void free_now(struct call *call)
{
    list_remove(&call->node);
    response_parser_fini(&call->parser);
    free(call->request);
    free(call->body_copy);
    free(call->piece);
    free(call->behind);
    free(call);
}

void call_free_if_done(struct call *call)
{
    bool is_message_coming = call->state == STATE_ASKING || atomic_load(&call->message.is_posted);
    if (call->is_released && call->depth == 0 && call->state == STATE_OFF && !is_message_coming)
        free_now(call);
}

static struct call *call_make(struct home *home, struct pool *pool)
{
    struct call *call = mem_alloc(sizeof(*call));
    call->home = home;
    call->pool = pool;
    call->timer.fire = call_state_timed;
    call->total.fire = call_total_timed;
    call->total_left = pool->config->slot_max;
    call->first_byte = pool->config->first_byte;
    call->message.deliver = call_message_came;
    call->waiter.loop = home->loop;
    call->waiter.message = &call->message;
    call->timing.asked = loop_now(home->loop);
    list_append(&home->calls, &call->node);
    return call;
}

static void take_request(struct call *call, const struct call_request *request)
{
    const struct origin_config *config = request->origin;
    bool is_large = request->has_body && request->body.len > WRITE_PIECE_BYTES;
    size_t first = request->has_body && !is_large ? request->body.len : 0;
    call->request = request_write(request, first, &call->request_bytes, &call->host_at);
    call->is_host_open = request->host_header.len == 0;
    if (is_large)
        call->body = request->body;
    call->is_retryable = request->is_retryable;
    call->is_idempotent = request->is_retryable || method_is_idempotent(request->forward->method);
    call->answers_head = slice_equal(request->forward->method, SLICE("HEAD"));
    call->may_switch = request->is_upgrade;
    call->retries_left = config->retries;
    call->is_render = request->render_key && !request->is_asset;
    if (call->is_render)
        call->render_key = *request->render_key;
    call->about = slice_until(request->about, ABOUT_BYTES);
    if (call->about.len)
        memcpy(call->about_text, call->about.ptr, call->about.len);
    call->about.ptr = call->about_text;
    call->waiter.rank = request->rank;
    call->waiter.has_shell = request->has_shell;
    call->waiter.is_charged = request->client != NULL;
    if (request->client)
        call->waiter.client = *request->client;
    slice path = slice_until(request->path, sizeof(call->path));
    if (path.len > 0)
        memcpy(call->path, path.ptr, path.len);
    call->waiter.path = slice_of(call->path, path.len);
    call->waiter.wants_slot = origin_wants_slot(config, request->is_asset);
}

struct call *call_new(struct origins *origins, struct loop *loop,
                      const struct call_request *request, const struct call_events *events,
                      void *owner)
{
    struct call *call =
        call_make(&origins->homes[loop->index], origins->pools[request->origin->index]);
    call->events = events;
    call->owner = owner;
    take_request(call, request);
    response_parser_init(&call->parser, call->answers_head, call->may_switch);
    call->is_starting = true;
    call_ask(call, false, CALL_ALL_DOWN, SLICE_NONE);
    call->is_starting = false;
    return call;
}

void call_probe(struct home *home, struct pool *pool, const struct permit *permit, slice request)
{
    struct call *call = call_make(home, pool);
    call->is_probe = call->is_over = call->is_released = true;
    call->request = strndup(request.ptr, request.len);
    call->request_bytes = request.len;
    response_parser_init(&call->parser, false, false);
    call->permit = *permit;
    atomic_fetch_add(&permit->worker->counters.probes, 1);
    call_connect(call);
    call_free_if_done(call);
}

void call_knock(struct home *home, struct worker *worker)
{
    struct call *call = call_make(home, worker->pool);
    call->is_knock = call->is_over = call->is_released = true;
    response_parser_init(&call->parser, false, false);
    call->permit.worker = worker; /* without a right to ask it anything */
    call_connect(call);
    call_free_if_done(call);
}

void call_inquire(struct home *home, struct pool *pool, const struct call_inquiry *inquiry)
{
    struct worker *worker = inquiry->permit.worker;
    struct call *call = call_make(home, pool);
    call->is_inquiry = true;
    call->events = inquiry->events;
    call->owner = worker;
    call->request = strndup(inquiry->request.ptr, inquiry->request.len);
    call->request_bytes = inquiry->request.len;
    call->first_byte = inquiry->timeout;
    response_parser_init(&call->parser, false, false);
    call->permit = inquiry->permit;
    atomic_fetch_add(&worker->counters.probes, 1);
    if (call->permit.kind == PERMIT_SLOT)
        loop_timer_set(home->loop, &call->total, call->total_left);
    call->depth++;
    call_connect(call);
    call->depth--;
    call_free_if_done(call);
}

/* The owner's body is his no longer than he stays. */
static void keep_body(struct call *call)
{
    size_t left = call->body.len - call->body_sent;
    if (left == 0 || call->body_copy)
        return;
    call->body_copy = mem_alloc(left);
    memcpy(call->body_copy, call->body.ptr + call->body_sent, left);
    call->body = slice_of(call->body_copy, left);
    call->body_sent = 0;
}

void call_abandon(struct call *call)
{
    MUST(!call->is_released);
    call->is_over = call->is_released = true;
    call->depth++;
    if (call->state == STATE_ASKING) {
        if (pool_leave(call->pool, &call->waiter)) {
            call->home->waiting--;
            call->state = STATE_OFF;
        } /* else its message is on the way, and brings a permit to give back */
    } else if (call->state == STATE_CONNECTING) {
        call_let_go(call); /* the worker has not seen it */
    } else if (call->state != STATE_OFF) {
        keep_body(call);
        call_linger(call);
    }
    call->depth--;
    call_free_if_done(call);
}

void call_free(struct call *call)
{
    call_abandon(call);
}

/* In the queue, or with a message on the way: which, once the loop has ended, never comes. */
static void drop_asking(struct call *call)
{
    bool was_queued = pool_leave(call->pool, &call->waiter);
    if (!was_queued && !call->home->is_over)
        return;
    if (!was_queued && call->waiter.state == WAITER_GRANTED)
        call->permit = call->waiter.permit;
    call->home->waiting--;
    call_let_go(call);
}

void call_drop(struct call *call)
{
    call->is_over = call->is_released = true;
    if (call->state > STATE_CONNECTING && call->state < STATE_OFF)
        pool_mark_dead(&call->permit); /* the render goes on without us */
    if (call->state == STATE_ASKING)
        drop_asking(call);
    else
        call_let_go(call);
    if (call->home->is_over)
        free_now(call);
    else
        call_free_if_done(call);
}

struct call *call_of_home_node(struct list *node)
{
    return container_of(node, struct call, node);
}

void call_set_rank(struct call *call, unsigned rank)
{
    pool_move(call->pool, &call->waiter, rank, loop_now(call->home->loop).mono);
}

struct call_timing call_timing(const struct call *call)
{
    return call->timing;
}

slice call_worker_name(const struct call *call)
{
    return call->worker_name;
}

slice call_build(const struct call *call)
{
    return call->build;
}
