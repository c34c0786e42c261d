/*
 * One fetch: SEND → head → judge → body → end. What a head leads to is in on_head() and below it,
 * in the order of semantics 3 and 4: failure, 304, kept old, learning under the seal, storable, not
 * storable.
 *
 * A fetch is freed when its call is over and no message from a waiter's thread is on its way to it.
 */
#include "edge/request/fetch.h"

#include "base/log.h"
#include "base/must.h"
#include "edge/admin/metrics.h"
#include "edge/request/codec.h"
#include "edge/request/invalidate.h"
#include "edge/request/outdated.h"

#include <stdlib.h>
#include <sys/random.h>

enum { UNREAD_WINDOW_BYTES = 4 << 20, SHORT_WINDOW_BYTES = 64 << 10 }; /* semantics 7.8 */

struct fetch {
    struct server *server;
    struct loop *loop;
    struct arena arena; /* of the copies below */
    enum fetch_kind kind;
    struct request request;
    struct decision decision;
    slice build;
    struct vary_record *record;
    struct object *old;
    struct flight *flight;

    struct forward forward; /* head and key of the fill under way */
    struct fields more;
    struct call *call;
    struct exchange_times times;
    struct verdict verdict;
    struct key key;
    const uint64_t *tag_hashes;
    struct fields fields; /* of the answer, as delivered and stored; in the flight's arena */
    unsigned status;
    slice reason_phrase;
    enum coding coding;
    unsigned repeats;      /* for a field learned under the seal (semantics 2.3) */
    bool is_unconditional; /* a 304 was no use: no validators */
    bool has_validators;
    bool has_head; /* published */
    bool is_storing;
    bool is_over;
    struct loop_message room, deserted;
};

static void send_call(struct fetch *fetch);

/* --- copies: the client's request does not outlive the client --- */

static void copy_request(struct fetch *fetch, const struct request *from)
{
    struct arena *arena = &fetch->arena;
    struct request *to = &fetch->request;
    *to = *from;
    to->arena = arena;
    to->method_text = arena_copy(arena, from->method_text);
    to->scheme = arena_copy(arena, from->scheme);
    to->host = arena_copy(arena, from->host);
    to->host_raw = arena_copy(arena, from->host_raw);
    to->target = arena_copy(arena, from->target);
    to->path = slice_until(to->target, from->path.len);
    to->query = arena_copy(arena, from->query);
    to->body = from->body.len ? arena_copy(arena, from->body) : SLICE_NONE;
    to->id = arena_copy(arena, from->id);
    fields_init(&to->fields, arena);
    fields_copy(&to->fields, &from->fields);
}

static void copy_decision(struct fetch *fetch, const struct decision *from)
{
    struct arena *arena = &fetch->arena;
    struct decision *to = &fetch->decision;
    *to = *from;
    to->query = arena_copy(arena, from->query);
    to->url_text = arena_copy(arena, from->url_text);
    to->tags.at = arena_array(arena, slice, from->tags.count);
    for (size_t i = 0; i < from->tags.count; i++)
        to->tags.at[i] = arena_copy(arena, from->tags.at[i]);
    fetch->build = from->build ? *from->build : SLICE_NONE; /* stays valid: origin_build() */
    to->build = &fetch->build;
}

/* --- life --- */

static void fetch_free(struct fetch *fetch)
{
    if (fetch->kind == FETCH_REFRESH)
        atomic_fetch_sub(&fetch->server->refreshes[fetch->decision.origin->index], 1);
    vary_record_unref(&fetch->record);
    object_unref(&fetch->old);
    flight_unref(&fetch->flight);
    arena_fini(&fetch->arena);
    free(fetch);
}

static void free_if_over(struct fetch *fetch)
{
    if (fetch->is_over && !atomic_load(&fetch->room.is_posted) &&
        !atomic_load(&fetch->deserted.is_posted))
        fetch_free(fetch);
}

/* The flight has ended or failed before this: nobody posts to us any more. */
static void finish(struct fetch *fetch)
{
    if (fetch->call)
        call_free(fetch->call);
    fetch->call = NULL;
    fetch->is_over = true;
    free_if_over(fetch);
}

/* Nobody wants the answer (any more): the call lives on without us until its slot is free. */
static void leave_call(struct fetch *fetch)
{
    call_abandon(fetch->call);
    fetch->call = NULL;
}

/* --- what waiters tell us, on their threads --- */

static void post_room(struct flight *flight)
{
    struct fetch *fetch = flight->fetch;
    loop_post(fetch->loop, &fetch->room);
}

static void post_deserted(struct flight *flight)
{
    struct fetch *fetch = flight->fetch;
    loop_post(fetch->loop, &fetch->deserted);
}

static void on_room(struct loop_message *message)
{
    struct fetch *fetch = container_of(message, struct fetch, room);
    if (fetch->call)
        call_resume(fetch->call);
    else
        free_if_over(fetch);
}

static bool is_sent(const struct fetch *fetch)
{
    return call_timing(fetch->call).sent.mono.ms != 0;
}

/* A storable render that has started is worth finishing; a queued one, and what is not stored, is
 * not (semantics 3.4). */
static bool is_worth_finishing(const struct fetch *fetch)
{
    if (fetch->kind == FETCH_REFRESH || fetch->is_storing)
        return true;
    return fetch->kind == FETCH_FILL && !fetch->has_head && is_sent(fetch);
}

static void on_deserted(struct loop_message *message)
{
    struct fetch *fetch = container_of(message, struct fetch, deserted);
    if (!fetch->call) {
        free_if_over(fetch);
        return;
    }
    if (is_worth_finishing(fetch) || !flight_hide_if_deserted(fetch->flight))
        return;
    leave_call(fetch);
    flight_fail(fetch->flight, CALL_CLOSED);
    finish(fetch);
}

/* --- publishing --- */

static void mark_uncacheable(struct fetch *fetch, enum reason why)
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

/* The flight outlives the fetch: its waiters read the head long after. */
static void *copy_into(struct arena *arena, const void *from, size_t bytes)
{
    return memcpy(arena_alloc(arena, bytes), from, bytes);
}

static void publish(struct fetch *fetch, enum flight_sharing sharing, enum reason not_stored,
                    size_t length, struct object *object)
{
    struct call_timing timing = call_timing(fetch->call);
    struct flight_head head = {
        .key = fetch->key,
        .status = fetch->status,
        .reason_phrase = fetch->reason_phrase,
        .fields = copy_into(&fetch->flight->arena, &fetch->fields, sizeof(fetch->fields)),
        .length = length,
        .coding = fetch->coding,
        .not_stored = not_stored,
        .facts = fetch->kind == FETCH_PASS ? NULL
                                           : copy_into(&fetch->flight->arena, &fetch->verdict.facts,
                                                       sizeof(fetch->verdict.facts)),
        .object = object,
        .worker = arena_copy(&fetch->flight->arena, call_worker_name(fetch->call)),
        .queued = mono_since(timing.sent.mono, timing.asked.mono),
        .rendered = mono_since(timing.head.mono, timing.sent.mono)};
    if (!fetch->is_storing)
        flight_hide(fetch->flight);
    metrics_render(fetch->server->metrics, &fetch->decision, &head);
    if (not_stored != REASON_NONE && fetch->kind != FETCH_PASS)
        metrics_not_stored(fetch->server->metrics, not_stored);
    fetch->has_head = true;
    bool has_tags = fetch->is_storing || object;
    flight_publish_head(fetch->flight, &head, sharing, fetch->is_storing, fetch->tag_hashes,
                        has_tags ? fetch->verdict.tags.count : 0);
}

/* An answer that flows on; unless it is stored, only as long as somebody waits for it
 * (semantics 3.4). */
static void publish_and_go_on(struct fetch *fetch, enum flight_sharing sharing,
                              enum reason not_stored, size_t length)
{
    publish(fetch, sharing, not_stored, length, NULL);
    if (fetch->is_storing || !flight_hide_if_deserted(fetch->flight))
        return;
    leave_call(fetch);
    flight_fail(fetch->flight, CALL_CLOSED);
    finish(fetch);
}

/* The answer is dropped: what the waiters do is all that remains of it. */
static void publish_and_drop(struct fetch *fetch, enum flight_sharing sharing, enum reason reason,
                             struct object *object)
{
    publish(fetch, sharing, reason, 0, object);
    leave_call(fetch);
    flight_end(fetch->flight, true);
    finish(fetch);
}

static void fail(struct fetch *fetch, enum call_failure failure)
{
    leave_call(fetch);
    flight_fail(fetch->flight, failure);
    finish(fetch);
}

/* The same once more: after a field was learned, or without validators. */
static void repeat(struct fetch *fetch)
{
    leave_call(fetch);
    send_call(fetch);
    flight_rekey(fetch->flight,
                 &fetch->key); /* those who come now know the union, and join by it */
}

/* --- judging a head --- */

static bool is_failure_status(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

static void take_fields(struct fetch *fetch, const struct response *response)
{
    struct arena *arena = &fetch->flight->arena;
    fields_init(&fetch->fields, arena);
    fields_copy(&fetch->fields, &response->fields);
    fields_remove_hop_by_hop(&fetch->fields);
    if (fetch->kind != FETCH_PASS)
        fields_remove_held_set_cookies(&fetch->fields, fetch->forward.held_cookies);
    if (fetch->kind != FETCH_PASS && fetch->verdict.may_store)
        fields_remove_limited(&fetch->fields, fetch->decision.route);
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

static struct fields stored_fields(struct fetch *fetch)
{
    struct object *old = fetch->old;
    struct fields none = {.arena = &fetch->arena};
    return old ? (struct fields){.arena = &fetch->arena,
                                 .at = (struct field *)old->fields,
                                 .count = old->field_count}
               : none;
}

static struct object *renewed(struct fetch *fetch, const struct response *response)
{
    struct object *old = fetch->old;
    struct fields stored = stored_fields(fetch), merged;
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
    fetch->verdict.facts.flags |= old->facts.flags & (FACT_NAVIGATION | FACT_PAGE_TYPE);
    return object_refreshed(old, &merged, &fetch->verdict.facts, fetch->flight->stamp,
                            fetch->decision.route->policy_hash, fetch->tag_hashes,
                            fetch->verdict.tags.count);
}

static void on_not_modified(struct fetch *fetch, const struct response *response)
{
    if (!fetch->has_validators) {
        fail(fetch, CALL_MALFORMED); /* nobody asked (semantics 4.6) */
        return;
    }
    struct object *object = renewed(fetch, response);
    if (!object) {
        fetch->is_unconditional = true;
        repeat(fetch);
        return;
    }
    cache_update(fetch->server->cache, object);
    fetch->key = object->key;
    if (!fetch->verdict.is_shareable)
        mark_uncacheable(fetch, REASON_NO_CACHE);
    publish_and_drop(fetch, fetch->verdict.is_shareable ? FLIGHT_REFRESHED : FLIGHT_REFRESHED_ONE,
                     REASON_NONE, object);
}

/* An asset of an earlier build that the new one no longer has (semantics 5.5). */
static bool is_kept_old(const struct fetch *fetch, unsigned status)
{
    const struct object *old = fetch->old;
    duration keep = fetch->decision.route->keep_old;
    return (status == 404 || status == 410) && old && old->facts.status == 200 && keep.ms > 0 &&
           facts_age(&old->facts, loop_now(fetch->loop)).ms < keep.ms;
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

/* The key under the union as it is now. The head that was sent stays as it is: what the union added
 * was sent or absent. */
static bool take_final_key(struct fetch *fetch)
{
    struct forward rekeyed;
    forward_fill(fetch->server->policy, &fetch->request, &fetch->decision, &fetch->record->names,
                 true, &rekeyed);
    if (rekeyed.is_unkeyable)
        return false;
    fetch->forward.key_text = rekeyed.key_text;
    fetch->key = key_of(rekeyed.key_text);
    flight_rekey(fetch->flight, &fetch->key);
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

static bool is_purged_meanwhile(const struct fetch *fetch)
{
    struct purge_subject subject = subject_of(fetch);
    return purge_check(fetch->server->purges, &subject) == PURGE_DEAD;
}

/* Why a storable answer is not stored after all; REASON_NONE: it is. */
static enum reason prepare_storing(struct fetch *fetch, size_t length)
{
    if (length != SIZE_MAX && length > fetch->server->policy->max_object_bytes)
        return REASON_TOO_LARGE;
    if (fetch->coding == CODING_UNKNOWN && fetch->decision.route->store_statuses != STATUSES_RFC)
        return REASON_POLICY; /* unknown codings pass (semantics 4.7) */
    if (!grow_union(fetch) || !take_final_key(fetch))
        return REASON_VARY_DENIED;
    count_tags(fetch);
    if (is_purged_meanwhile(fetch))
        return REASON_PURGED;
    return REASON_NONE;
}

static void on_storable(struct fetch *fetch, size_t length)
{
    enum reason reason = prepare_storing(fetch, length);
    fetch->is_storing = reason == REASON_NONE;
    if (fetch->is_storing && fetch->verdict.is_shareable) {
        struct key mark = key_of(fetch->forward.key_text);
        marks_remove(fetch->server->marks, &mark);
        publish_and_go_on(fetch, FLIGHT_SHARED, REASON_NONE, length);
        return;
    }
    /* stored, but for nobody who waits; or too large, or purged while it was rendered */
    if (reason != REASON_PURGED)
        mark_uncacheable(fetch, reason == REASON_NONE ? REASON_NO_CACHE : reason);
    publish_and_go_on(fetch, FLIGHT_LOOK_AGAIN, reason, length);
}

static void on_not_storable(struct fetch *fetch, size_t length)
{
    enum reason reason = fetch->verdict.reason;
    mark_uncacheable(fetch, reason);
    metrics_note_not_stored(fetch->server->metrics, &fetch->request, &fetch->decision, reason);
    if (fetch->old && reason != REASON_STATUS)
        cache_remove(fetch->server->cache,
                     &fetch->old->key); /* it has been replaced by something not for everybody */
    if (fetch->decision.is_sealed && fetch->status < 400 && fetch->kind == FETCH_FILL) {
        publish_and_drop(fetch, FLIGHT_PASS_INSTEAD, reason, NULL); /* semantics 2.9 */
        return;
    }
    publish_and_go_on(fetch, FLIGHT_LOOK_AGAIN, reason, length);
}

static void on_fill_head(struct fetch *fetch, const struct response *response, size_t length)
{
    rules_response(fetch->server->policy, &fetch->request, &fetch->decision, &fetch->forward,
                   response, fetch->times, random_seed(fetch), &fetch->verdict);
    if (fetch->decision.is_sealed && fetch->verdict.may_store)
        note_learned(fetch);
    if (fetch->decision.is_sealed && fetch->verdict.may_store && learns(fetch)) {
        if (fetch->repeats++ == 0 && grow_union(fetch)) {
            metrics_note_learned(fetch->server->metrics, &fetch->request, &fetch->decision,
                                 &fetch->verdict.vary);
            repeat(fetch);
            return;
        }
        fetch->verdict.may_store = false;
        fetch->verdict.reason = REASON_VARY_DENIED;
    }
    take_fields(fetch, response);
    if (fetch->verdict.may_store)
        on_storable(fetch, length);
    else
        on_not_storable(fetch, length);
}

static bool is_unsafe_success(const struct fetch *fetch, unsigned status)
{
    return !method_is_safe(fetch->request.method) && status >= 200 && status < 400;
}

static void on_head(struct call *call, void *owner, const struct response *response, size_t length)
{
    struct fetch *fetch = owner;
    (void)call;
    fetch->times.sent = call_timing(fetch->call).sent;
    fetch->times.received = loop_now(fetch->loop);
    outdated_note_answer(fetch->server, fetch->decision.origin, fetch->times.received.wall);
    if (fetch->kind == FETCH_PASS) {
        if (is_unsafe_success(fetch, response->status))
            invalidate_after(fetch->server, fetch->loop, &fetch->request, &fetch->decision,
                             response);
        take_fields(fetch, response);
        publish_and_go_on(fetch, FLIGHT_LOOK_AGAIN, fetch->decision.reason, length);
    } else if (response->status == 304) {
        on_not_modified(fetch, response);
    } else if (is_kept_old(fetch, response->status)) {
        take_fields(fetch, response);
        publish_and_drop(fetch, FLIGHT_KEPT_OLD, REASON_KEPT_OLD, NULL);
    } else if (is_failure_status(response->status)) {
        take_fields(fetch, response);
        publish_and_go_on(fetch, FLIGHT_UPSTREAM_ERROR, REASON_UPSTREAM_ERROR, length);
    } else {
        on_fill_head(fetch, response, length);
    }
}

/* --- body and end --- */

static void on_body(struct call *call, void *owner, slice bytes)
{
    struct fetch *fetch = owner;
    uint64_t received = fetch->flight->received_bytes; /* only this thread writes it */
    if (fetch->is_storing && received + bytes.len > fetch->server->policy->max_object_bytes) {
        fetch->is_storing = false;
        mark_uncacheable(fetch, REASON_TOO_LARGE);
        metrics_not_stored(fetch->server->metrics, REASON_TOO_LARGE);
        flight_forgo_storing(fetch->flight);
    }
    /* taken at the renderer's speed, as long as all answers together are within the limit */
    bool is_tight = flights_buffered_bytes() > fetch->server->policy->limits.response_buffers_bytes;
    if (!flight_append(fetch->flight, bytes, is_tight ? SHORT_WINDOW_BYTES : UNREAD_WINDOW_BYTES))
        call_pause(call);
}

/* What only the whole body shows (semantics 4.1, 4.2): an empty page, a pattern of `reject_body`.
 * It looks at plain bytes. */
static enum reason judge_body(const struct fetch *fetch, const struct blob *body)
{
    struct blob *plain = NULL;
    if (body && (fetch->coding == CODING_GZIP || fetch->coding == CODING_BR) &&
        fetch->decision.route->reject_body_count)
        plain = body_decode(fetch->coding, body, fetch->server->policy->max_object_bytes);
    const struct blob *seen = plain ? plain : body;
    slice text = seen ? slice_of(seen->bytes, seen->len) : SLICE_NONE;
    enum reason reason = rules_body(&fetch->decision, fetch->status, text);
    blob_unref(&plain);
    return reason;
}

static void store(struct fetch *fetch)
{
    const struct flight *flight = fetch->flight;
    struct blob *body = flight_body(fetch->flight);
    enum reason reason = judge_body(fetch, body);
    if (reason == REASON_NONE && is_purged_meanwhile(fetch))
        reason = REASON_PURGED;
    if (reason != REASON_NONE) {
        metrics_not_stored(fetch->server->metrics, reason);
        if (reason != REASON_PURGED)
            mark_uncacheable(fetch, reason);
        blob_unref(&body);
        return;
    }
    slice build_header = fetch->decision.origin->build_header;
    const struct field *build = build_header.len ? fields_find(&fetch->fields, build_header) : NULL;
    const struct object_parts parts = {
        .key_text = fetch->forward.key_text,
        .url_text = fetch->decision.url_text,
        .scheme = fetch->request.scheme,
        .host = flight->host,
        .path = flight->path,
        .query = flight->query,
        .has_query = flight->has_query,
        .facts = fetch->verdict.facts,
        .stamp = flight->stamp,
        .policy_hash = fetch->decision.route->policy_hash,
        .tag_hashes = fetch->tag_hashes,
        .tag_count = fetch->verdict.tags.count,
        .build = build ? build->value : SLICE_NONE,
        .reason_phrase = fetch->reason_phrase,
        .variant_text = forward_variant_text(fetch->forward.key_text, &fetch->arena),
        .names = &fetch->record->names,
        .fields = &fetch->fields,
        .coding = fetch->coding == CODING_UNKNOWN ? CODING_IDENTITY : fetch->coding,
        .body = body,
    };
    struct object *object = object_new(&parts);
    metrics_stored(fetch->server->metrics, &fetch->decision,
                   cache_store(fetch->server->cache, object));
    object_unref(&object);
}

static void on_end(struct call *call, void *owner, bool is_clean)
{
    struct fetch *fetch = owner;
    (void)call;
    if (fetch->is_storing && is_clean)
        store(fetch);
    flight_end(fetch->flight, is_clean);
    finish(fetch);
}

static void on_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    struct fetch *fetch = owner;
    metrics_upstream_error(fetch->server->metrics, &fetch->request, call_worker_name(call), failure,
                           detail);
    outdated_note_failure(fetch->server, fetch->decision.origin);
    flight_fail(fetch->flight, failure);
    finish(fetch);
}

static const struct call_events call_events = {
    .head = on_head, .body = on_body, .end = on_end, .fail = on_fail};

/* --- sending --- */

static slice host_header(const struct fetch *fetch)
{
    const struct origin_config *origin = fetch->decision.origin;
    switch (origin->host) {
    case ORIGIN_HOST_NAME:
        return origin->host_name;
    case ORIGIN_HOST_ORIGIN:
        return SLICE_NONE; /* the worker's own */
    case ORIGIN_HOST_CLIENT:
        break;
    }
    /* a fill carries what is in the key */
    return fetch->kind == FETCH_PASS ? fetch->request.host_raw : fetch->request.host;
}

static void make_head(struct fetch *fetch)
{
    const struct policy *policy = fetch->server->policy;
    const struct route *route = fetch->decision.route;
    fields_init(&fetch->more, &fetch->arena);
    fetch->has_validators = false;
    if (fetch->kind == FETCH_PASS) {
        forward_pass(policy, &fetch->request, &fetch->decision, &fetch->forward);
        return;
    }
    bool wants_identity = duration_is_given(route->ttl.value) || fetch->record->is_known;
    forward_fill(policy, &fetch->request, &fetch->decision, &fetch->record->names, wants_identity,
                 &fetch->forward);
    fetch->key = key_of(fetch->forward.key_text);
    struct fields stored = stored_fields(fetch);
    bool may_ask = fetch->old && !fetch->is_unconditional &&
                   key_equal(&fetch->old->key, &fetch->key) &&
                   fetch->old->policy_hash == route->policy_hash;
    if (may_ask)
        fetch->has_validators =
            fields_add_validators(&stored, loop_now(fetch->loop).wall, &fetch->more);
}

static void send_call(struct fetch *fetch)
{
    make_head(fetch);
    struct call_request request = {.origin = fetch->decision.origin,
                                   .forward = &fetch->forward,
                                   .more_fields = &fetch->more,
                                   .body = fetch->request.body,
                                   .has_body = fetch->request.has_body && fetch->kind == FETCH_PASS,
                                   .is_asset = fetch->decision.route->is_asset,
                                   .is_retryable = fetch->request.method == METHOD_GET ||
                                                   fetch->request.method == METHOD_HEAD,
                                   .host_header = host_header(fetch)};
    fetch->call = call_new(fetch->server->origins, fetch->loop, &request, &call_events, fetch);
}

static void listen_to_waiters(struct fetch *fetch)
{
    struct flight *flight = fetch->flight;
    pthread_mutex_lock(&flight->lock);
    flight->fetch = fetch;
    flight->on_room = post_room;
    flight->on_deserted = post_deserted;
    flight->max_stored_bytes = fetch->server->policy->max_object_bytes;
    pthread_mutex_unlock(&flight->lock);
}

void fetch_start(struct server *server, struct loop *loop, enum fetch_kind kind,
                 const struct request *request, const struct decision *decision,
                 const struct vary_record *record, struct object *old, struct flight *flight)
{
    struct fetch *fetch = mem_alloc(sizeof(*fetch));
    fetch->server = server;
    fetch->loop = loop;
    fetch->kind = kind;
    fetch->room.deliver = on_room;
    fetch->deserted.deliver = on_deserted;
    arena_init(&fetch->arena);
    copy_request(fetch, request);
    copy_decision(fetch, decision);
    if (kind != FETCH_PASS)
        fetch->record = vary_record_ref((struct vary_record *)record);
    fetch->old = old && kind != FETCH_PASS ? object_ref(old) : NULL;
    fetch->flight = kind == FETCH_REFRESH ? flight : flight_ref(flight);
    if (kind == FETCH_REFRESH)
        atomic_fetch_add(&server->refreshes[decision->origin->index], 1);
    if (kind != FETCH_PASS && request->method == METHOD_HEAD) {
        fetch->request.method = METHOD_GET; /* a HEAD that misses is a GET fill (semantics 4.1) */
        fetch->request.method_text = SLICE("GET");
    }
    listen_to_waiters(fetch);
    send_call(fetch);
}
