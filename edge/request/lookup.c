/*
 * LOOKUP: the URL's union → key → object, and what that object is good for: fresh, stale or nothing
 * (semantics 2.5, 4, 5). The disk is asked off the loop; the step is entered again when it has
 * answered.
 */
#include "edge/request/fallback.h"
#include "edge/request/fetch.h"
#include "edge/request/outdated.h"
#include "edge/request/steps.h"

enum progress pass_instead(struct exchange *ex, enum reason reason)
{
    ex->decision.action = ACTION_PASS;
    ex->decision.reason = reason;
    ex->step = STEP_FETCH;
    return NEXT;
}

struct purge_subject purge_subject_of(const struct exchange *ex)
{
    return (struct purge_subject){.host = ex->request->host,
                                  .path = ex->request->path,
                                  .query = ex->decision.query,
                                  .has_query = ex->decision.has_query,
                                  .stamp = purge_stamp(ex->server->purges)};
}

struct flight_wanted wanted_flight(const struct exchange *ex)
{
    return (struct flight_wanted){.key = ex->key,
                                  .key_text = ex->record->is_known ? ex->forward.key_text
                                                                   : ex->decision.url_text,
                                  .url_key = ex->url_key,
                                  .left_before = ex->flights_left,
                                  .has_looked_back = ex->has_looked_back};
}

static void read_is_done(struct cache_read *read)
{
    struct exchange *ex = read->owner;
    loop_post(ex->loop, &ex->read_done);
}

static enum progress ask_disk(struct exchange *ex, enum cache_read_kind kind, const struct key *key)
{
    ex->read = (struct cache_read){.kind = kind, .key = *key, .done = read_is_done, .owner = ex};
    /* the request may be over before the reader is: its arena goes with it */
    ex->read.key_text = arena_copy(&ex->arena, ex->forward.key_text);
    ex->is_reading = true;
    cache_read_start(ex->server->cache, &ex->read);
    return WAIT;
}

/*
 * Memory is asked once more: while the answer was on its way, somebody else may have had the page
 * rendered and stored. Else a crowd at a cold URL would be two renders.
 */
void lookup_read_delivered(struct exchange *ex)
{
    struct cache *cache = ex->server->cache;
    struct cache_read *read = &ex->read;
    ex->is_reading = false;
    if (read->kind == READ_VARY) {
        if (cache_find_vary(cache, &read->key, &ex->record) == FOUND_YES) {
            vary_record_unref(&read->vary);
            read->is_unreadable = false;
        } else {
            ex->record = read->vary;
        }
        return;
    }
    ex->was_read = true;
    ex->found.object = read->object;
    if (!read->object)
        (void)cache_find_object(cache, &read->key, read->key_text, &ex->found.object);
}

/* A cold URL of a route that keeps learning the same fields sends them from the start
 * (semantics 2.3). */
static void start_with_learned(struct exchange *ex)
{
    const struct route *route = ex->decision.route;
    if (ex->record->is_known || ex->record->names.count || !ex->decision.is_sealed ||
        route == &ex->server->policy->route_pass)
        return;
    struct field_names names;
    learned_names(ex->server->learned, route->index, &names);
    if (names.count == 0)
        return;
    struct vary_record *with_names = vary_record_with_names(ex->record, &names);
    vary_record_unref(&ex->record);
    ex->record = with_names;
}

/* The URL's union, and with it the key. */
static enum progress find_key(struct exchange *ex)
{
    struct server *server = ex->server;
    if (!ex->record) {
        ex->flights_left = flights_left(server->flights, &ex->url_key);
        if (cache_find_vary(server->cache, &ex->url_key, &ex->record) == FOUND_UNKNOWN)
            return ask_disk(ex, READ_VARY, &ex->url_key);
    }
    start_with_learned(ex);
    bool wants_identity = fill_wants_identity(ex->decision.route, ex->record);
    forward_fill(server->policy, ex->request, &ex->decision, &ex->record->names, wants_identity,
                 &ex->forward);
    /* A cold URL has one flight, whatever the key (semantics 3.1). */
    ex->mark_key = key_of(ex->forward.key_text);
    ex->key = ex->record->is_known ? ex->mark_key : ex->url_key;
    return NEXT;
}

/* A client that asks for more than freshness gets what was validated for it, or nothing
 * (RFC 9111 §5.2.1). */
static void decline_if_wished(struct exchange *ex)
{
    const struct object *object = ex->found.object;
    struct instant now = loop_now(ex->loop);
    if (!ex->decision.route->honours_client)
        return;
    duration left = facts_fresh_left(&object->facts, ex->decision.route, object->content_type, now);
    if (client_wish_admits(&ex->wish, facts_age(&object->facts, now), left))
        return;
    ex->found.is_declined = ex->found.freshness == FRESH;
    ex->found.freshness = STALE_UNUSABLE;
    ex->found.reason = REASON_NO_CACHE;
}

/* Judges what was found; drops it when it must not even be kept for its validators. */
static void judge_candidate(struct exchange *ex)
{
    struct candidate *found = &ex->found;
    struct object *object = found->object;
    const struct route *route = ex->decision.route;
    enum purge_state purged = cache_check_purge(ex->server->cache, object);
    bool is_odd_type = !facts_may_answer(&object->facts, &ex->decision);
    if (purged == PURGE_DEAD || is_odd_type) {
        found->reason = purged == PURGE_DEAD ? REASON_PURGED : REASON_TYPE_MISMATCH;
        object_unref(&found->object);
        return;
    }
    bool has_old_policy = object->policy_hash != route->policy_hash;
    found->freshness = facts_freshness(&object->facts, route,
                                       ex->decision.class_config->never_shell, object->content_type,
                                       purged == PURGE_SOFT, has_old_policy, loop_now(ex->loop));
    found->reason = found->freshness == FRESH ? REASON_FRESH
                    : purged == PURGE_SOFT    ? REASON_PURGED
                    : has_old_policy          ? REASON_POLICY
                                              : REASON_EXPIRED;
    enum reason outdated = outdated_why(ex->server, &ex->decision, object, loop_now(ex->loop));
    if (found->freshness == FRESH && outdated != REASON_NONE) {
        found->freshness = STALE_WHILE_REVALIDATE;
        found->reason = outdated;
    }
    decline_if_wished(ex);
}

/* Behind people, at most `revalidate_max` at a time per origin (semantics 7.4). */
static void refresh_behind(struct exchange *ex)
{
    struct server *server = ex->server;
    const struct origin_config *origin = ex->decision.origin;
    if (atomic_load(&server->is_draining) ||
        atomic_load(&server->refreshes[origin->index]) >= origin->revalidate_max)
        return;
    struct purge_subject subject = purge_subject_of(ex);
    struct flight_wanted wanted = wanted_flight(ex);
    struct flight *flight =
        flight_start_refresh(server->flights, &wanted, server->purges, &subject);
    if (flight)
        fetch_start(server, ex->loop, FETCH_REFRESH, ex->request, &ex->decision, ex->record,
                    ex->found.object, flight);
}

static bool has_no_free_slot(const struct exchange *ex)
{
    struct origin_state state = origin_state(ex->server->origins, ex->decision.origin);
    return state.slots > 0 && state.busy_slots >= state.live_slots;
}

bool may_render(const struct exchange *ex)
{
    return ex->decision.class_config->renders || ex->decision.origin->slots == 0;
}

/* Answers from the object if it may be used now; NEXT: a fetch is needed. */
static enum progress use_candidate(struct exchange *ex)
{
    struct candidate *found = &ex->found;
    judge_candidate(ex);
    if (!found->object)
        return NEXT;
    if (found->freshness == FRESH) {
        deliver_object(ex, found->object, OUTCOME_HIT, REASON_FRESH);
        return DONE;
    }
    bool is_busy = found->freshness == STALE_IF_ERROR && (!may_render(ex) || has_no_free_slot(ex));
    if (found->freshness == STALE_WHILE_REVALIDATE || is_busy) {
        bool is_stopped = fallback_stops_refreshes(mode_now(ex->server->mode), &ex->decision);
        if (may_render(ex) && !is_stopped)
            refresh_behind(ex);
        deliver_object(ex, found->object, OUTCOME_STALE,
                       is_busy      ? REASON_STALE_BUSY
                       : is_stopped ? REASON_POLICY
                                    : REASON_REVALIDATING);
        return DONE;
    }
    return NEXT;
}

/* Nobody who wants a part of a film should wait for all of it; and to the letter of the RFCs a HEAD
 * is a HEAD (semantics 4.1). */
static bool passes_on_miss(const struct exchange *ex)
{
    bool is_part = !ex->found.object && fields_find_id(&ex->request->fields, FIELD_RANGE);
    bool is_head =
        ex->request->method == METHOD_HEAD && ex->decision.route->store_statuses == STATUSES_RFC;
    return is_part || is_head;
}

/* Nothing stored will do. */
static enum progress miss(struct exchange *ex)
{
    if (ex->wish.no_store)
        return pass_instead(ex, REASON_NO_STORE);
    if (passes_on_miss(ex))
        return pass_instead(ex, REASON_POLICY);
    ex->step = STEP_FETCH;
    return NEXT;
}

enum progress step_lookup(struct exchange *ex)
{
    struct server *server = ex->server;
    if (ex->is_reading) /* woken by the flight that it has left for this */
        return WAIT;
    if (find_key(ex) == WAIT)
        return WAIT;
    if (ex->decision.action == ACTION_PASS) { /* a POST: only its URL's union was wanted */
        ex->decision.may_store_post &= !ex->read.is_unreadable;
        ex->step = STEP_FETCH;
        return NEXT;
    }
    if (ex->read.is_unreadable) /* its union, and with it the key, is not known */
        return pass_instead(ex, REASON_COLD);
    if (ex->forward.is_unkeyable)
        return pass_instead(ex, REASON_VARY_DENIED);
    if (!ex->record->is_known) {
        ex->found.reason = REASON_COLD;
    } else {
        if (!ex->found.object && !ex->was_read && vary_record_lists(ex->record, &ex->key)) {
            enum found in_memory =
                cache_find_object(server->cache, &ex->key, ex->forward.key_text, &ex->found.object);
            if (in_memory == FOUND_UNKNOWN)
                return ask_disk(ex, READ_OBJECT, &ex->key);
        }
        ex->found.reason = REASON_VARY_MISMATCH;
        if (ex->found.object && use_candidate(ex) == DONE)
            return DONE;
    }
    return miss(ex);
}
