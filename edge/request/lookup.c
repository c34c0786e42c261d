/*
 * LOOKUP: the URL's union → key → object, and what that object is good for: fresh, stale or nothing
 * (semantics 2.5, 4, 5). The disk is asked off the loop; the step is entered again when it has
 * answered.
 */
#include "edge/request/fetch.h"
#include "edge/request/outdated.h"
#include "edge/request/steps.h"
#include "edge/request/union.h"

enum step pass_instead(struct exchange *ex, enum reason reason)
{
    ex->decision.action = ACTION_PASS;
    ex->decision.reason = reason;
    return STEP_FETCH;
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

static void ask_disk(struct exchange *ex, enum cache_read_kind kind, const struct key *key)
{
    ex->read = (struct cache_read){.kind = kind, .key = *key, .done = read_is_done, .owner = ex};
    /* the request may be over before the reader is: its arena goes with it */
    ex->read.key_text = arena_copy(&ex->arena, ex->forward.key_text);
    ex->is_reading = true;
    cache_read_start(ex->server->cache, &ex->read);
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

/* The URL's union, and with it the key. False: the disk is asked for it. */
static bool find_key(struct exchange *ex)
{
    struct server *server = ex->server;
    if (!ex->record) {
        ex->flights_left = flights_left(server->flights, &ex->url_key);
        if (cache_find_vary(server->cache, &ex->url_key, &ex->record) == FOUND_UNKNOWN) {
            ask_disk(ex, READ_VARY, &ex->url_key);
            return false;
        }
    }
    union_start_with_learned(server, &ex->decision, &ex->record);
    bool wants_identity = fill_wants_identity(ex->decision.route, ex->record);
    forward_fill(server->policy, ex->request, &ex->decision, &ex->record->names, wants_identity,
                 &ex->forward);
    /* A cold URL has one flight, whatever the key (semantics 3.1). */
    ex->mark_key = key_of(ex->forward.key_text);
    ex->key = ex->record->is_known ? ex->mark_key : ex->url_key;
    return true;
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

static void judge_candidate(struct exchange *ex)
{
    const struct object *object = ex->found.object;
    struct instant now = loop_now(ex->loop);
    const struct grounds by = {.decision = &ex->decision,
                               .client_fields = &ex->request->fields,
                               .wish = &ex->wish,
                               .purged = cache_check_purge(ex->server->cache, ex->found.object),
                               .outdated = outdated_why(ex->server, &ex->decision, object, now),
                               .now = now};
    candidate_judge(&ex->found, &by);
}

/* Answers from the object if it may be used now. */
static enum step use_candidate(struct exchange *ex)
{
    struct given given;
    judge_candidate(ex);
    if (!candidate_is_given(ex->server, &ex->decision, &ex->found, &given))
        return STEP_NONE;
    if (given.is_refreshed)
        refresh_behind(ex);
    return deliver_object(ex, ex->found.object, given.outcome, given.reason);
}

/* Nothing stored will do. */
static enum step miss(struct exchange *ex)
{
    enum reason passed = miss_is_passed(ex->request, &ex->decision, &ex->wish, &ex->found);
    return passed != REASON_NONE ? pass_instead(ex, passed) : STEP_FETCH;
}

enum step step_lookup(struct exchange *ex)
{
    struct server *server = ex->server;
    if (ex->is_reading) /* woken by the flight that it has left for this */
        return STEP_WAIT;
    if (!find_key(ex))
        return STEP_WAIT;
    if (ex->decision.action == ACTION_PASS) { /* a POST: only its URL's union was wanted */
        ex->decision.may_store_post &= !ex->read.is_unreadable;
        return STEP_FETCH;
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
            if (in_memory == FOUND_UNKNOWN) {
                ask_disk(ex, READ_OBJECT, &ex->key);
                return STEP_WAIT;
            }
        }
        ex->found.reason = REASON_VARY_MISMATCH;
        enum step next = ex->found.object ? use_candidate(ex) : STEP_NONE;
        if (next != STEP_NONE)
            return next;
    }
    return miss(ex);
}
