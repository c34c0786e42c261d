/*
 * What a head leads to, in the order of semantics 3 and 4: failure, 304, kept old, learning under
 * the seal, storable, not storable. Whatever it is, the flight's head is published, and with it
 * what the waiters do.
 */
#include "edge/admin/notes.h"
#include "edge/request/fetch_parts.h"
#include "edge/request/invalidate.h"
#include "edge/request/outdated.h"

#include <sys/random.h>

void fetch_mark_uncacheable(struct fetch *fetch, enum reason why)
{
    struct key key = key_of(fetch->forward.key_text);
    duration ttl = fetch->decision.route->uncacheable_ttl;
    marks_set(fetch->server->marks, &key, mono_after(loop_now(fetch->loop).mono, ttl), why);
}

static void count_tags(struct fetch *fetch)
{
    size_t count = fetch->verdict.tags.count;
    uint64_t *hashes = arena_array(&fetch->flight->arena, uint64_t, count);
    for (size_t i = 0; i < count; i++)
        hashes[i] = purge_tag_hash(fetch->verdict.tags.at[i]);
    fetch->tag_hashes = hashes;
}

/* Could what is stored stand in for an error (semantics 5.1)? */
static bool has_stand_in(const struct fetch *fetch)
{
    const struct object *old = fetch->old;
    const struct decision *decision = &fetch->decision;
    return old && facts_freshness(&old->facts, decision->route, decision->class_config->never_shell,
                                  old->content_type, false, false,
                                  loop_now(fetch->loop)) <= STALE_IF_ERROR;
}

static void take_fields(struct fetch *fetch, const struct response *response)
{
    struct arena *arena = &fetch->flight->arena;
    fields_init(&fetch->fields, arena);
    fields_copy(&fetch->fields, &response->fields);
    fields_remove_hop_by_hop(&fetch->fields);
    if (fetch->kind != FETCH_PASS)
        fields_remove_held_set_cookies(&fetch->fields, fetch->forward.held_cookies);
    fetch->status = response->status;
    fetch->reason_phrase = arena_copy(arena, response->reason);
    fetch->coding = coding_of_response(&fetch->fields);
}

/* Spreads invented lifetimes (semantics 4.3). */
static uint32_t random_seed(const struct fetch *fetch)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
        seed = (uint32_t)loop_now(fetch->loop).wall.ms;
    return seed;
}

static struct object *renewed(struct fetch *fetch, const struct response *response)
{
    struct object *old = fetch->old;
    struct fields stored = fetch_stored_fields(fetch), merged;
    fields_init(&merged, &fetch->arena);
    take_fields(fetch, response); /* without hop-by-hop fields and held-back cookies */
    struct response not_modified = {
        .status = 304, .reason = response->reason, .fields = fetch->fields};
    if (!fields_merge_304(fetch->server->policy, fetch->decision.route, &stored, &not_modified,
                          &fetch->record->names, &merged))
        return NULL;
    struct response as_if = {
        .status = old->facts.status, .reason = old->reason_phrase, .fields = merged};
    rules_response(fetch->server->policy, &fetch->request, &fetch->decision, &fetch->forward,
                   &as_if, fetch->times, random_seed(fetch), &fetch->verdict);
    if (!fetch->verdict.may_store)
        return NULL;
    count_tags(fetch);
    fetch->verdict.facts.flags |=
        old->facts.flags & (FACT_NAVIGATION | FACT_PAGE_TYPE | FACT_NO_BODY);
    const struct object_parts news = {.fields = &merged,
                                      .facts = fetch->verdict.facts,
                                      .stamp = fetch->flight->stamp,
                                      .policy_hash = fetch->decision.route->policy_hash,
                                      .tag_hashes = fetch->tag_hashes,
                                      .tag_count = fetch->verdict.tags.count,
                                      .build = call_build(fetch->call)};
    return object_refreshed(old, &news);
}

static void on_not_modified(struct fetch *fetch, const struct response *response)
{
    if (!fetch->has_validators) {
        fetch_fail(fetch, CALL_MALFORMED); /* nobody asked (semantics 4.6) */
        return;
    }
    struct object *object = renewed(fetch, response);
    if (!object) {
        fetch->is_unconditional = true;
        fetch_repeat(fetch);
        return;
    }
    cache_update(fetch->server->cache, object);
    if (!fetch->verdict.is_shareable)
        fetch_mark_uncacheable(fetch, REASON_NO_CACHE);
    fetch_publish_and_drop(fetch,
                           fetch->verdict.is_shareable ? FLIGHT_REFRESHED : FLIGHT_REFRESHED_ONE,
                           REASON_NONE, object);
}

/* An asset of an earlier build that the new one no longer has. */
static bool is_kept_old(const struct fetch *fetch, unsigned status)
{
    return (status == 404 || status == 410) && fetch_keeps_old(fetch);
}

/* Does this Vary name what the seal held back: would the head differ with it in the union
 * (semantics 2.3)? */
static bool learns(const struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->verdict.vary.count; i++)
        if (forward_holds_back(fetch->server->policy, &fetch->request, &fetch->decision,
                               &fetch->record->names, fetch->verdict.vary.at[i]))
            return true;
    return false;
}

/* Tells the route what a cold URL learned, once per URL. */
static void note_learned(struct fetch *fetch)
{
    const struct route *route = fetch->decision.route;
    struct field_names learned = {.count = 0}, none = {.count = 0};
    if (fetch->record->is_known || route == &fetch->server->policy->route_pass)
        return;
    for (size_t i = 0; i < fetch->verdict.vary.count; i++)
        if (forward_learns(fetch->server->policy, &fetch->request, &fetch->decision, &none,
                           fetch->verdict.vary.at[i]))
            (void)field_names_add(&learned, fetch->verdict.vary.at[i]);
    learned_note(fetch->server->learned, route->index, &learned);
}

static bool grow_union(struct fetch *fetch)
{
    struct key url_key = key_of(fetch->decision.url_text);
    struct vary_record *grown = NULL;
    struct field_names *names = &fetch->verdict.vary;
    bool fits = !fetch->verdict.vary_overflows;
    for (size_t i = 0; i < fetch->record->names.count;
         i++) /* what was sent from the start enters too */
        fits = fits && field_names_add(names, fetch->record->names.at[i]);
    if (!fits || !cache_grow_vary(fetch->server->cache, &url_key, names, &grown))
        return false;
    vary_record_unref(&fetch->record);
    fetch->record = grown;
    return true;
}

static bool is_same_head(const struct forward *a, const struct forward *b)
{
    if (a->fields.count != b->fields.count)
        return false;
    for (size_t i = 0; i < a->fields.count; i++)
        if (!slice_equal(a->fields.at[i].name, b->fields.at[i].name) ||
            !slice_equal(a->fields.at[i].value, b->fields.at[i].value))
            return false;
    return true;
}

/*
 * The key under the union as it is now. On a sealed route the head that was sent must be the one
 * that this key stands for (semantics 1.2): another flight may have taught the URL a field that
 * this one has held back.
 */
static bool take_final_key(struct fetch *fetch)
{
    struct forward rekeyed;
    forward_fill(fetch->server->policy, &fetch->request, &fetch->decision, &fetch->record->names,
                 fetch->wants_identity, &rekeyed);
    if (rekeyed.is_unkeyable ||
        (fetch->decision.is_sealed && !is_same_head(&rekeyed, &fetch->forward)))
        return false;
    fetch->forward.key_text = rekeyed.key_text;
    fetch->key = key_of(rekeyed.key_text);
    flight_rekey(fetch->flight, &fetch->key, fetch->forward.key_text);
    return true;
}

static struct purge_subject subject_of(const struct fetch *fetch)
{
    const struct flight *flight = fetch->flight;
    return (struct purge_subject){.host = flight->host,
                                  .path = flight->path,
                                  .query = flight->query,
                                  .has_query = flight->has_query,
                                  .tag_hashes = fetch->tag_hashes,
                                  .tag_count = fetch->verdict.tags.count,
                                  .stamp = flight->stamp};
}

bool fetch_is_purged(const struct fetch *fetch)
{
    struct purge_subject subject = subject_of(fetch);
    return purge_check(fetch->server->purges, &subject) == PURGE_DEAD;
}

/* Why a storable answer is not stored after all; REASON_NONE: it is. */
static enum reason prepare_storing(struct fetch *fetch, size_t length)
{
    if (fetch_is_too_large(fetch, length))
        return REASON_TOO_LARGE;
    if (!grow_union(fetch) || !take_final_key(fetch))
        return REASON_VARY_DENIED;
    count_tags(fetch);
    if (fetch_is_purged(fetch))
        return REASON_PURGED;
    return REASON_NONE;
}

bool fetch_is_dropped_unread(const struct fetch *fetch)
{
    return fetch->decision.is_sealed && fetch->status < 400 && fetch->kind == FETCH_FILL;
}

/* Its own client's alone; on a sealed route not even that. */
static void go_on_unstored(struct fetch *fetch, enum reason reason, size_t length)
{
    fetch_mark_uncacheable(fetch, reason);
    if (fetch_is_dropped_unread(fetch))
        fetch_publish_and_drop(fetch, FLIGHT_PASS_INSTEAD, reason, NULL);
    else
        fetch_publish_and_go_on(fetch, FLIGHT_LOOK_AGAIN, reason, length);
}

static void on_storable(struct fetch *fetch, size_t length)
{
    enum reason reason = prepare_storing(fetch, length);
    fetch->is_storing = reason == REASON_NONE;
    if (fetch->is_storing && fetch->verdict.is_shareable) {
        struct key mark = key_of(fetch->forward.key_text);
        marks_remove(fetch->server->marks, &mark);
        fetch_publish_and_go_on(fetch, FLIGHT_SHARED, REASON_NONE, length);
    } else if (fetch->is_storing) { /* for bad times, but for nobody who waits */
        fetch_mark_uncacheable(fetch, REASON_NO_CACHE);
        fetch_publish_and_go_on(fetch, FLIGHT_LOOK_AGAIN, REASON_NONE, length);
    } else if (reason == REASON_PURGED) { /* for those who came before the purge (semantics 3.3) */
        fetch_publish_and_go_on(
            fetch, fetch->verdict.is_shareable ? FLIGHT_SHARED : FLIGHT_LOOK_AGAIN, reason, length);
    } else {
        fetch_drop_old_unless_body_objects(fetch, length);
        go_on_unstored(fetch, reason, length);
    }
}

static void on_not_storable(struct fetch *fetch, const struct response *response, size_t length)
{
    enum reason reason = fetch->verdict.reason;
    notes_not_stored(fetch->server->notes, &fetch->request, &fetch->decision, response, reason);
    fetch_drop_old_unless_body_objects(fetch, length);
    go_on_unstored(fetch, reason, length);
}

/* By RFC 9111 §3 an error that says how long it is good is an answer as any other: where the policy
 * wants it so (semantics 4.1), and nothing better is there. */
static bool is_failure(const struct fetch *fetch, unsigned status)
{
    return status_is_failure(status) && (!fetch->verdict.is_shareable || has_stand_in(fetch));
}

static void on_fill_head(struct fetch *fetch, const struct response *response, size_t length)
{
    rules_response(fetch->server->policy, &fetch->request, &fetch->decision, &fetch->forward,
                   response, fetch->times, random_seed(fetch), &fetch->verdict);
    if (is_failure(fetch, response->status)) {
        take_fields(fetch, response);
        fetch_publish_and_go_on(fetch, FLIGHT_UPSTREAM_ERROR, REASON_UPSTREAM_ERROR, length);
        return;
    }
    if (fetch->decision.is_sealed && fetch->verdict.may_store)
        note_learned(fetch);
    if (fetch->decision.is_sealed && fetch->verdict.may_store && learns(fetch)) {
        if (fetch->repeats++ == 0 && grow_union(fetch)) {
            notes_learned(fetch->server->notes, &fetch->request, &fetch->decision,
                          &fetch->verdict.vary);
            fetch_repeat(fetch);
            return;
        }
        fetch->verdict.may_store = false;
        fetch->verdict.reason = REASON_VARY_DENIED;
    }
    take_fields(fetch, response);
    if (fetch->verdict.may_store)
        on_storable(fetch, length);
    else
        on_not_storable(fetch, response, length);
}

static bool is_unsafe_success(const struct fetch *fetch, unsigned status)
{
    return !method_is_safe(fetch->request.method) && status >= 200 && status < 400;
}

/*
 * `post: rfc`: is this the page of the POST's own URL, for everybody? From here on it is treated as
 * if a fill had asked for it.
 */
static bool becomes_page(struct fetch *fetch, const struct response *response)
{
    const struct policy *policy = fetch->server->policy;
    struct verdict *verdict = &fetch->verdict;
    struct request as_get = fetch->request;
    struct forward fill;
    if (!fetch->decision.may_store_post)
        return false;
    forward_fill(policy, &fetch->request, &fetch->decision, &fetch->record->names, false, &fill);
    if (!rules_post_is_page(&fetch->request, &fetch->forward, &fill, response))
        return false;
    as_get.method = METHOD_GET;
    rules_response(policy, &as_get, &fetch->decision, &fill, response, fetch->times,
                   random_seed(fetch), verdict);
    verdict->may_store &= (verdict->facts.flags & FACT_EXPLICIT) && verdict->is_shareable;
    if (!verdict->may_store)
        return false;
    fetch->sent_under = vary_record_ref(fetch->record);
    fetch->forward = fill;
    fetch->key = key_of(fill.key_text);
    count_tags(fetch);
    return !fetch_is_purged(fetch);
}

static void on_pass_head(struct fetch *fetch, const struct response *response, size_t length)
{
    bool is_page = becomes_page(fetch, response);
    uint64_t stamp = 0;
    if (is_unsafe_success(fetch, response->status))
        stamp = invalidate_after(fetch->server, fetch->loop, &fetch->request, &fetch->decision,
                                 response);
    if (is_page && stamp) /* what it has just invalidated is what was there before it */
        flight_restamp(fetch->flight, stamp);
    take_fields(fetch, response);
    enum reason reason = is_page ? prepare_storing(fetch, length) : fetch->decision.reason;
    fetch->is_storing = is_page && reason == REASON_NONE;
    fetch_publish_and_go_on(fetch, FLIGHT_LOOK_AGAIN, reason, length);
}

void fetch_on_head(struct call *call, void *owner, const struct response *response, size_t length)
{
    struct fetch *fetch = owner;
    (void)call;
    fetch->times.sent = call_timing(fetch->call).sent;
    fetch->times.received = loop_now(fetch->loop);
    outdated_note_answer(fetch->server, fetch->decision.origin, fetch->times.received);
    if (fetch->kind == FETCH_PASS) {
        on_pass_head(fetch, response, length);
    } else if (response->status == 304) {
        on_not_modified(fetch, response);
    } else if (is_kept_old(fetch, response->status)) {
        take_fields(fetch, response);
        fetch_publish_and_drop(fetch, FLIGHT_KEPT_OLD, REASON_KEPT_OLD, NULL);
    } else {
        on_fill_head(fetch, response, length);
    }
}
