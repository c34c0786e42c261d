/*
 * The way of a request, readable downward: DECIDE → LOOKUP → FETCH → STREAM → DONE. Each step
 * returns the one to go on with.
 *
 *   DECIDE   the rulebook: route, class, who asks, what is keyed            decide.c
 *   LOOKUP   the URL's union → key → object; fresh, stale or nothing        lookup.c
 *   FETCH    start or join a flight; its head decides who gets what         semantics 3, 7
 *   STREAM   hand on the flight's bytes as they come                        stream.c
 *   SHELL    in the place of one of these: wait for an origin's answer      await.c
 *   DECODE   wait for the plain body of what is stored coded                await.c
 *   DONE     one log line, counters                                         edge/admin
 */
#include "edge/request/steps.h"

#include "edge/request/codec.h"
#include "edge/request/fallback.h"
#include "edge/request/fetch.h"

/* --- FETCH --- */

static void wake_exchange(struct waiter *waiter)
{
    struct exchange *ex = container_of(waiter, struct exchange, waiter);
    loop_post(ex->loop, &ex->woken);
}

static void start_private(struct exchange *ex, enum fetch_kind kind)
{
    struct purge_subject subject = purge_subject_of(ex);
    bool is_kept = kind == FETCH_FILL || ex->decision.may_store_post;
    struct flight *flight = flight_new_private(&subject, is_kept);
    ex->waiter.is_leader = true;
    waiter_attach(&ex->waiter, flight);
    flight_unref(&flight);
    fetch_start(ex->server, ex->loop, kind, ex->request, &ex->decision, ex->record,
                ex->found.object, ex->waiter.flight);
}

/* A cold URL with one query too many for its path (semantics 1.6). */
static bool is_query_refused(struct exchange *ex)
{
    struct key path;
    return query_wants_place(ex->request, &ex->decision, ex->record, &ex->arena, &path) &&
           !admission_query(ex->server->admission, &path, &ex->url_key,
                            ex->decision.route->max_queries, loop_now(ex->loop).mono);
}

static enum step look_up_anew(struct exchange *ex)
{
    vary_record_unref(&ex->record);
    object_unref(&ex->found.object);
    ex->was_read = false;
    return STEP_LOOKUP;
}

/* A flight of this URL left the table while memory and disk were asked. Once in a round: others may
 * leave each time. */
static enum step look_back(struct exchange *ex)
{
    ex->has_looked_back = true;
    return look_up_anew(ex);
}

static enum step start_fill(struct exchange *ex)
{
    struct server *server = ex->server;
    if (is_query_refused(ex))
        return pass_instead(ex, REASON_POLICY);
    enum reason why;
    if (marks_find(server->marks, &ex->mark_key, loop_now(ex->loop).mono, &why)) {
        if (ex->decision.is_sealed)
            return pass_instead(ex, why);
        start_private(ex, FETCH_FILL);
        return STEP_WAIT;
    }
    struct purge_subject subject = purge_subject_of(ex);
    struct flight_wanted wanted = wanted_flight(ex);
    bool is_leader;
    if (!flight_join(server->flights, &wanted, server->purges, &subject, &ex->waiter, &is_leader))
        return look_back(ex);
    if (is_leader)
        fetch_start(server, ex->loop, FETCH_FILL, ex->request, &ex->decision, ex->record,
                    ex->found.object, ex->waiter.flight);
    else
        wake_exchange(&ex->waiter); /* its head may be there already */
    return STEP_WAIT;
}

/* Until the first byte: a head alone is nothing to look at. */
static bool is_waiting(const struct exchange *ex)
{
    return ex->step == STEP_FETCH || (ex->step == STEP_STREAM && !sink_is_started(ex->sink));
}

/* After `client_wait` stale or the shell is better than waiting on, if there is one
 * (semantics 7.5). */
static void client_waited(struct loop_timer *timer)
{
    struct exchange *ex = container_of(timer, struct exchange, client_wait);
    if (ex->is_gone || !is_waiting(ex))
        return;
    ex->is_running = true; /* `gone` may come inside */
    enum step next = fallback_instead_of_waiting(ex);
    if (next != STEP_NONE)
        ex->step = next;
    ex->is_running = false;
    exchange_run(ex);
}

/* Its time runs from the request's start: where it is over already, it fires at once. */
static void arm_client_wait(struct exchange *ex)
{
    ex->client_wait.fire = client_waited;
    mono_time end = mono_after(ex->started.mono, ex->decision.origin->client_wait);
    loop_timer_set(ex->loop, &ex->client_wait, mono_since(end, loop_now(ex->loop).mono));
}

static bool is_kept_from_origin(struct exchange *ex)
{
    struct refusal refusal;
    if (!fetch_is_refused(ex->request, &ex->decision, &ex->wish, &ex->found, &refusal))
        return false;
    answer_error(ex, refusal.status, refusal.outcome, refusal.reason, refusal.detail);
    return true;
}

static enum step start_fetch(struct exchange *ex)
{
    if (is_kept_from_origin(ex))
        return STEP_DONE;
    enum step instead = fallback_instead_of_asking(ex);
    if (instead != STEP_NONE)
        return instead;
    ex->waiter.wake = wake_exchange;
    ex->waiter.arrival_stamp = ex->arrival_stamp;
    ex->waiter.rank = call_rank(ex->server->policy, ex->decision.class_config);
    arm_client_wait(ex);
    if (ex->decision.action == ACTION_LOOKUP)
        return start_fill(ex);
    start_private(ex, FETCH_PASS);
    return STEP_WAIT;
}

enum { MAX_ROUNDS = 3 };

/* Its answer is not the one to this request, and says nothing of the one that will be. */
static void leave_flight(struct exchange *ex)
{
    ex->rounds += ex->waiter.flight && !ex->waiter.is_leader;
    waiter_leave(&ex->waiter);
    ex->forward_status = 0;
}

enum step pass_for_itself(struct exchange *ex)
{
    leave_flight(ex);
    vary_record_unref(&ex->record);
    return pass_instead(ex, REASON_VARY_MISMATCH);
}

enum step ask_for_itself(struct exchange *ex)
{
    object_unref(&ex->found.object);
    return pass_for_itself(ex);
}

/* The union grew, or the answer was not for others (semantics 3.1). */
static enum step look_again(struct exchange *ex)
{
    leave_flight(ex);
    ex->has_looked_back = false;
    return ex->rounds <= MAX_ROUNDS ? look_up_anew(ex) : ask_for_itself(ex);
}

/* What the log and Server-Timing say of the render; the flight may be left before its line. */
static void note_render(struct exchange *ex, const struct flight_head *head)
{
    ex->worker = arena_copy(&ex->arena, head->worker);
    ex->queued = head->queued;
    ex->rendered = head->rendered;
}

static enum step stream(struct exchange *ex, const struct flight_view *view)
{
    bool is_leader = ex->waiter.is_leader;
    enum outcome outcome = ex->decision.action == ACTION_PASS ? OUTCOME_PASS
                           : is_leader                        ? OUTCOME_MISS
                                                              : OUTCOME_COLLAPSED;
    note_render(ex, &view->head);
    return deliver_flight_head(ex, view, outcome);
}

/*
 * Is the answer the one to what this waiter would have asked? Its own key decides, not the one that
 * it joined under: on a cold URL that is the URL's, which is also the key of a request that sends
 * nothing keyed. And it must not have come after a purge of one of the answer's tags
 * (semantics 3.3), nor be a navigation where data was asked for under the same key (4.5).
 */
static bool is_for(const struct exchange *ex, const struct flight_view *view)
{
    bool came_after_purge = view->is_tag_purged && ex->arrival_stamp > ex->waiter.flight->stamp;
    const struct facts *facts = view->head.object ? &view->head.object->facts : view->head.facts;
    return !came_after_purge && slice_equal(ex->forward.key_text, view->head.key_text) &&
           (!facts || facts_may_answer(facts, &ex->decision));
}

/*
 * A body may take longer than its lifetime, and longer than a client wants its answer to be old
 * (RFC 9111 §5.2.1): who came after that asks anew, and waits for nobody.
 */
static bool is_too_old(const struct exchange *ex, const struct flight_view *view)
{
    const struct facts *facts = view->head.facts;
    const struct route *route = ex->decision.route;
    slice content_type = fields_value(view->head.fields, FIELD_CONTENT_TYPE);
    duration left = facts_fresh_left(facts, route, content_type, ex->started);
    bool came_after = mono_since(ex->started.mono, facts->response_mono).ms > 0;
    bool is_wished = client_wish_admits(&ex->wish, facts_age(facts, ex->started), left);
    return (came_after && !is_wished) ||
           facts_freshness(facts, route, false, content_type, false, false, ex->started) >
               STALE_WHILE_REVALIDATE;
}

/*
 * Is it still open whether this is a page or an empty 200, which is no navigation's
 * (semantics 4.1)? The first byte shows it, or the first that a coding of nothing has not. Nothing
 * is lost by waiting: a head goes with the first bytes of its body.
 */
static bool may_yet_be_empty(const struct exchange *ex, const struct flight_view *view)
{
    size_t nothing = view->head.coding == CODING_IDENTITY ? 0 : CODED_NOTHING_BYTES;
    return ex->decision.is_navigation && ex->decision.route->store_statuses == STATUSES_PAGES &&
           view->head.status == 200 && view->available_bytes <= nothing;
}

bool fetch_awaits_body(const struct exchange *ex, const struct flight_view *view)
{
    if (view->phase != FLIGHT_STREAMING || view->sharing != FLIGHT_SHARED || ex->waiter.is_leader)
        return false;
    /* At its end it can be decoded; who waited so for what is not stored would stop the flight. */
    bool is_to_be_decoded = !coding_is_readable(view->head.coding, &ex->request->fields) &&
                            !(view->head.facts->flags & FACT_NO_TRANSFORM) && view->is_kept;
    return is_to_be_decoded || may_yet_be_empty(ex, view);
}

/* For itself, and not to be joined. Who was to get the shell by now need not wait for this. */
static enum step fill_alone(struct exchange *ex)
{
    leave_flight(ex);
    arm_client_wait(ex);
    start_private(ex, FETCH_FILL);
    return STEP_WAIT;
}

static enum step serve_shared(struct exchange *ex, const struct flight_view *view)
{
    if (ex->waiter.is_leader)
        return stream(ex, view);
    if (!is_for(ex, view))
        return look_again(ex);
    if (view->phase == FLIGHT_FAILED)
        return fallback_after_call(ex, view->failure);
    if (is_too_old(ex, view))
        return fill_alone(ex);
    if (fetch_awaits_body(ex, view))
        return STEP_WAIT;
    if (may_yet_be_empty(ex, view))
        return look_again(ex);
    if (coding_is_readable(view->head.coding, &ex->request->fields))
        return stream(ex, view);
    return view->head.facts->flags & FACT_NO_TRANSFORM ? ask_for_itself(ex) : look_again(ex);
}

/* A 304: who joined shares a render as with any other answer. It may be the first to say that what
 * is stored is not to be decoded, and even the leader may not be able to read it. */
static enum step give_refreshed(struct exchange *ex, const struct flight_view *view)
{
    bool is_leader = ex->waiter.is_leader;
    if (!is_leader && (view->sharing == FLIGHT_REFRESHED_ONE || !is_for(ex, view)))
        return look_again(ex);
    if (object_is_unreadable(view->head.object, &ex->request->fields))
        return ask_for_itself(ex);
    note_render(ex, &view->head);
    return deliver_object(ex, view->head.object,
                          is_leader ? OUTCOME_REVALIDATED : OUTCOME_COLLAPSED, REASON_FRESH);
}

static enum step leader_or_look_again(struct exchange *ex, const struct flight_view *view)
{
    return ex->waiter.is_leader ? stream(ex, view) : look_again(ex);
}

static enum step use_pass(struct exchange *ex, const struct flight_view *view)
{
    note_render(ex, &view->head);
    enum step instead = fallback_after_failed_pass(ex, view->head.status);
    return instead != STEP_NONE ? instead : leader_or_look_again(ex, view);
}

/* The origin's own error is for who asked for it, where nothing better can be given. */
static enum step use_error(struct exchange *ex, const struct flight_view *view)
{
    note_render(ex, &view->head);
    enum step instead = fallback_after_failure(ex, REASON_UPSTREAM_ERROR);
    if (instead != STEP_NONE)
        return instead;
    if (ex->waiter.is_leader)
        return stream(ex, view);
    fallback_error(ex, REASON_UPSTREAM_ERROR);
    return STEP_DONE;
}

/* What was stored stands in for a pass that fails, unless this answer has taken its place
 * (semantics 4.1). */
static enum step pass_for_sealed(struct exchange *ex, const struct flight_view *view)
{
    if (!ex->waiter.is_leader)
        return look_again(ex);
    leave_flight(ex);
    if (view->head.replaces_stored)
        object_unref(&ex->found.object);
    return pass_instead(ex, view->head.not_stored);
}

/* The flight's head is there. */
static enum step use_head(struct exchange *ex, const struct flight_view *view)
{
    ex->forward_status = view->head.status;
    switch (view->sharing) {
    case FLIGHT_SHARED:
        return serve_shared(ex, view);
    case FLIGHT_REFRESHED:
    case FLIGHT_REFRESHED_ONE:
        return give_refreshed(ex, view);
    case FLIGHT_KEPT_OLD:
        if (!ex->found.object)
            return look_again(ex);
        note_render(ex, &view->head);
        return deliver_object(ex, ex->found.object, OUTCOME_STALE, REASON_KEPT_OLD);
    case FLIGHT_PASS_INSTEAD:
        return pass_for_sealed(ex, view);
    case FLIGHT_UPSTREAM_ERROR:
        return use_error(ex, view);
    case FLIGHT_LOOK_AGAIN:
        return ex->decision.action == ACTION_PASS ? use_pass(ex, view)
                                                  : leader_or_look_again(ex, view);
    case FLIGHT_UNDECIDED:
        break;
    }
    return leader_or_look_again(ex, view);
}

/* That the leader may not wait, or not ask for what it wants, says nothing about those who joined
 * it: they ask for themselves (semantics 7.3). */
static enum step use_failure(struct exchange *ex, unsigned failure)
{
    if (call_was_refused(failure) && !ex->waiter.is_leader)
        return look_again(ex);
    return fallback_after_call(ex, failure);
}

static enum step step_fetch(struct exchange *ex)
{
    if (!ex->waiter.flight)
        return start_fetch(ex);
    struct flight_view view;
    exchange_send_interims(ex);
    waiter_look(&ex->waiter, ex->server->purges, &view);
    if (view.phase == FLIGHT_WAITING)
        return STEP_WAIT;
    if (view.phase == FLIGHT_FAILED && view.sharing == FLIGHT_UNDECIDED)
        return use_failure(ex, view.failure);
    return use_head(ex, &view);
}

/* --- the table --- */

static enum step step_done(struct exchange *ex)
{
    (void)ex; /* a flight may wake it once more before the client has it all */
    return STEP_DONE;
}

static enum step (*const steps[])(struct exchange *) = {
    [STEP_DECIDE] = step_decide, [STEP_LOOKUP] = step_lookup, [STEP_FETCH] = step_fetch,
    [STEP_STREAM] = step_stream, [STEP_SHELL] = step_shell,   [STEP_DECODE] = step_decode,
    [STEP_DONE] = step_done,
};

void steps_run(struct exchange *ex)
{
    enum step next;
    do {
        next = steps[ex->step](ex);
        if (ex->is_gone) /* inside; exchange.c has ended it */
            return;
        if (next != STEP_WAIT)
            ex->step = next;
    } while (next != STEP_WAIT && next != STEP_DONE);
}
