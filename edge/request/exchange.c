#include "edge/request/exchange.h"

#include "base/must.h"
#include "edge/admin/request_log.h"
#include "edge/request/steps.h"

#include <stdlib.h>

/* --- life: freed when the client's side is over and no message or read is on its way to it --- */

static bool is_awaited(struct exchange *ex)
{
    return ex->is_reading || ex->is_decoding || ex->is_running ||
           atomic_load(&ex->woken.is_posted) || atomic_load(&ex->read_done.is_posted);
}

static void exchange_free(struct exchange *ex)
{
    waiter_leave(&ex->waiter);
    loop_timer_stop(ex->loop, &ex->client_wait);
    vary_record_unref(&ex->record);
    object_unref(&ex->found.object);
    object_unref(&ex->delivered);
    object_unref(&ex->decoding.plain);
    blob_unref(&ex->delivered_blob);
    arena_fini(&ex->arena);
    free(ex);
}

/* Once, when the answer is complete or the client has left. */
static void finish(struct exchange *ex)
{
    if (ex->is_finished)
        return;
    ex->is_finished = true;
    ex->step = STEP_DONE;
    loop_timer_stop(ex->loop, &ex->client_wait);
    request_log(ex);
}

static void free_if_over(struct exchange *ex)
{
    if (ex->is_gone && !is_awaited(ex))
        exchange_free(ex);
}

void exchange_run(struct exchange *ex)
{
    MUST(!ex->is_running);
    ex->is_running = true;
    if (!ex->is_gone)
        steps_run(ex);
    ex->is_running = false;
    free_if_over(ex);
}

/* --- what wakes it --- */

static void on_read_done(struct loop_message *message)
{
    struct exchange *ex = container_of(message, struct exchange, read_done);
    lookup_read_delivered(ex);
    exchange_run(ex);
}

static void on_decoded(struct loop_message *message)
{
    struct exchange *ex = container_of(message, struct exchange, decoded);
    ex->is_decoding = false;
    exchange_run(ex);
}

static void on_woken(struct loop_message *message)
{
    exchange_run(container_of(message, struct exchange, woken));
}

static void on_want(void *owner)
{
    struct exchange *ex = owner;
    ex->is_sending = false;
    if (ex->waiter.flight && ex->sent_bytes) {
        waiter_advance(&ex->waiter, ex->sent_bytes);
        ex->sent_bytes = 0;
    }
    if (!ex->is_running)
        exchange_run(ex);
}

/* It never had an answer: what the log says of it (499 as in other proxies' logs). */
static void note_unanswered(struct exchange *ex)
{
    if (ex->status)
        return;
    ex->status = 499;
    if (ex->delivered) /* it was about to be sent */
        return;
    ex->outcome = ex->decision.action == ACTION_PASS ? OUTCOME_PASS : OUTCOME_MISS;
    ex->reason = ex->decision.action == ACTION_PASS ? ex->decision.reason : ex->found.reason;
}

/* Nobody waits for the answer any more: it ends now, and the flight hears of it by `gone`. While a
 * send is under way the library sees for itself. */
static void on_left(void *owner)
{
    struct exchange *ex = owner;
    if (ex->is_sending || ex->step == STEP_DONE)
        return;
    ex->step = STEP_DONE;
    note_unanswered(ex);
    if (sink_is_started(ex->sink))
        sink_break(ex->sink);
    else
        sink_dismiss(ex->sink);
}

/*
 * The request is over: its memory in libh2o's pool goes now, ours when nothing is on its way any
 * more. Log first: the line shows what the request said.
 */
static void on_gone(void *owner)
{
    struct exchange *ex = owner;
    ex->bytes = sink_bytes(ex->sink);
    note_unanswered(ex);
    finish(ex);
    ex->is_gone = true;
    ex->sink = NULL;
    waiter_leave(&ex->waiter);
    shell_ask_leave(&ex->shell_ask);
    free_if_over(ex);
}

static const struct sink_events sink_events = {on_want, on_gone};

void exchange_begin(struct loop *loop, h2o_req_t *h2o_req, struct request *request, void *server)
{
    struct exchange *ex = mem_alloc(sizeof(*ex));
    ex->server = server;
    ex->loop = loop;
    arena_init(&ex->arena);
    ex->request = request;
    ex->step = STEP_DECIDE;
    ex->started = loop_now(loop);
    ex->arrival_stamp = purge_stamp(ex->server->purges);
    ex->read_done.deliver = on_read_done;
    ex->woken.deliver = on_woken;
    ex->decoded.deliver = on_decoded;
    ex->sink = sink_new(h2o_req, &sink_events, ex);
    front_watch_client(h2o_req, on_left, ex);
    exchange_run(ex);
}
