/*
 * When a connection fails under a call: was it old, did the render kill the worker (semantics 7.7),
 * and may the request go to another one?
 */
#include "base/log.h"
#include "edge/origin/call.h"

/* --- renders that kill --- */

static struct deadly *deadly_of(const struct call *call)
{
    return &call->home->origins->deadly;
}

bool call_is_deadly(const struct call *call)
{
    return call->is_render && !call->is_trial &&
           deadly_is(deadly_of(call), &call->render_key, call_now(call));
}

bool call_is_admitted(struct call *call)
{
    if (!call->is_render || call->is_trial)
        return true;
    enum deadly_answer answer = deadly_admit(deadly_of(call), &call->render_key, call_now(call));
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
    struct worker *worker = call->permit.worker;
    const struct death death = {worker, call->number, atomic_load(&worker->counters.connects)};
    duration length;
    call->is_trial = call->is_suspect = false;
    if (!deadly_note_death(deadly_of(call), &call->render_key, death, call_now(call), &length))
        return;
    log_warn("renders of this page kill workers: not rendered for a while", {"url", call->about, 0},
             {"worker", call->worker_name, 0}, {"seconds", LOG_NUMBER(length.ms / 1000)});
}

/* The process behind the connection was dying before that was made. What changes something is not
 * asked again on such a guess. */
static bool met_a_dying_one(const struct call *call, enum call_failure failure)
{
    bool is_broken = failure == CALL_CLOSED || failure == CALL_TRUNCATED;
    return is_broken && pool_worker_broke(call->permit.worker, call->number, call_now(call)) &&
           call->is_retryable && !call->parser.has_bytes;
}

/* --- what to do now --- */

/* A connection that was idle and closes before it says a word was closed by then: asked again at
 * once, on a new one. */
static bool was_stale(struct call *call, bool is_untouched)
{
    if (is_untouched || !call->connection || !call->connection->is_reused || call->was_stale)
        return false;
    return !call->is_over && !call->parser.has_bytes &&
           (call->is_idempotent || !call->is_fully_sent);
}

static bool may_go_elsewhere(struct call *call, enum call_failure failure)
{
    if (call->is_over || call->is_probe || call->is_inquiry)
        return false;
    if (call->permit.is_unseen)
        return true; /* no process has had it: not a retry of the request */
    if (failure != CALL_CLOSED || !call->is_retryable || call->parser.has_bytes ||
        call->retries_left == 0 || call_is_deadly(call) ||
        !pool_may_retry(call->pool, call_now(call)))
        return false;
    call->retries_left--;
    counter_add(call->pool->counts.retries, 1);
    return true;
}

static void go_elsewhere(struct call *call, enum call_failure failure, slice detail)
{
    struct worker *worker = call->permit.worker;
    char text[DETAIL_BYTES]; /* `detail` may be a view of what is given back here */
    detail = slice_until(detail, sizeof(text));
    if (detail.len > 0)
        memcpy(text, detail.ptr, detail.len);
    pool_note_tried(&call->waiter, worker);
    call_let_go(call);
    call->was_stale = call->is_suspect = false; /* the next one's connections are others */
    call_ask(call, true, failure, slice_of(text, detail.len));
}

/* What it says of the worker, of the page, and of this request: did any process have it? */
static void take_note(struct call *call, enum call_failure failure, slice detail, bool is_untouched)
{
    struct worker *worker = call->permit.worker;
    bool was_dying = !is_untouched && met_a_dying_one(call, failure);
    if (!was_dying && was_killed(call, failure, is_untouched))
        note_death(call);
    call->permit.is_unseen = is_untouched || was_dying;
    if (failure == CALL_LACK)
        return; /* it says nothing of the worker */
    if (is_untouched) {
        slice why = detail.len > 0 ? detail : call_failure_name(failure);
        pool_worker_failed(worker, why, call_now(call));
    } else if (!was_dying && !call->is_probe && !call->is_inquiry) {
        atomic_fetch_add(&slots_renderer(worker->slots)->errors, 1);
    }
}

void call_lost(struct call *call, enum call_failure failure, slice detail, bool is_untouched)
{
    if (call->is_knock) {
        call_let_go(call);
        return;
    }
    if (was_stale(call, is_untouched)) {
        call->was_stale = true;
        call->is_suspect = call->is_fully_sent;
        connection_close(call->connection);
        call_connect(call);
        return;
    }
    take_note(call, failure, detail, is_untouched);
    if (may_go_elsewhere(call, failure)) {
        go_elsewhere(call, failure, detail);
        return;
    }
    call_let_go(call); /* first: what the owner does next may need the slot */
    call_fail(call, failure, detail);
}
