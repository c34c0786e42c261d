/*
 * One fetch: SEND → head → body → end. Here its life, what waiters tell it, and sending; what an
 * answer leads to is in fetch_head.c and fetch_body.c.
 *
 * A fetch is freed when its call is over and no message from a waiter's thread is on its way to it.
 */
#include "edge/request/copies.h"
#include "edge/request/fallback.h"
#include "edge/request/fetch_parts.h"
#include "edge/request/mode_meaning.h"
#include "policy/key_text.h"
#include "policy/proxy.h"

#include <stdlib.h>

enum { KEYED_BODY_BYTES = 4096 }; /* of what a pass sends: enough to tell one from another */

/* --- life --- */

static void fetch_free(struct fetch *fetch)
{
    if (fetch->kind == FETCH_REFRESH)
        atomic_fetch_sub(&fetch->server->refreshes[fetch->decision.origin->index], 1);
    vary_record_unref(&fetch->record);
    vary_record_unref(&fetch->sent_under);
    object_unref(&fetch->old);
    blob_unref(&fetch->body);
    flight_unref(&fetch->flight);
    arena_fini(&fetch->arena);
    free(fetch);
}

static void free_if_over(struct fetch *fetch)
{
    if (fetch->is_over && !atomic_load(&fetch->room.is_posted) &&
        !atomic_load(&fetch->deserted.is_posted) && !atomic_load(&fetch->ranked.is_posted))
        fetch_free(fetch);
}

/* The flight has ended or failed before this: nobody posts to us any more. */
void fetch_finish(struct fetch *fetch)
{
    if (fetch->call)
        call_free(fetch->call);
    fetch->call = NULL;
    fetch->is_over = true;
    free_if_over(fetch);
}

/* Nobody wants the answer (any more): the call lives on without us until its slot is free. */
void fetch_leave_call(struct fetch *fetch)
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

static void post_rank(struct flight *flight)
{
    struct fetch *fetch = flight->fetch;
    loop_post(fetch->loop, &fetch->ranked);
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

/* A storable render that has started is worth finishing, and a refresh, which nobody waits for from
 * the start; a queued one, and what is not stored, is not (semantics 3.4), once it has shown
 * whether what is stored goes. */
static bool is_worth_finishing(const struct fetch *fetch)
{
    if (fetch->has_head)
        return fetch->is_storing || fetch->does_body_tell;
    return fetch->kind == FETCH_REFRESH || (fetch->kind == FETCH_FILL && is_sent(fetch));
}

bool fetch_end_if_deserted(struct fetch *fetch)
{
    if (is_worth_finishing(fetch) || !flight_hide_if_deserted(fetch->flight))
        return false;
    fetch_fail(fetch, CALL_CLOSED);
    return true;
}

static void on_deserted(struct loop_message *message)
{
    struct fetch *fetch = container_of(message, struct fetch, deserted);
    if (fetch->call)
        fetch_end_if_deserted(fetch);
    else
        free_if_over(fetch);
}

/* Somebody better waits now, or no longer does: the render moves in the queue (semantics 7.4). */
static void on_ranked(struct loop_message *message)
{
    struct fetch *fetch = container_of(message, struct fetch, ranked);
    unsigned rank = flight_rank(fetch->flight);
    if (!fetch->call)
        free_if_over(fetch);
    else if (rank < FLIGHT_RANKS)
        call_set_rank(fetch->call, rank);
}

/* --- sending --- */

static const struct call_events call_events = {.interim = fetch_on_interim,
                                               .head = fetch_on_head,
                                               .body = fetch_on_body,
                                               .end = fetch_on_end,
                                               .fail = fetch_on_fail};

struct fields fetch_stored_fields(struct fetch *fetch)
{
    struct object *old = fetch->old;
    struct fields none = {.arena = &fetch->arena};
    return old ? (struct fields){.arena = &fetch->arena,
                                 .at = (struct field *)old->fields,
                                 .count = old->field_count}
               : none;
}

slice origin_host_header(const struct origin_config *origin, slice asked)
{
    switch (origin->host) {
    case ORIGIN_HOST_NAME:
        return origin->host_name;
    case ORIGIN_HOST_ORIGIN:
        return SLICE_NONE; /* the worker's own */
    case ORIGIN_HOST_CLIENT:
        break;
    }
    return asked;
}

/* A fill carries what is in the key. */
static slice host_header(const struct fetch *fetch)
{
    return origin_host_header(fetch->decision.origin, fetch->kind == FETCH_PASS
                                                          ? fetch->request.host_raw
                                                          : fetch->request.host);
}

/* Whose share of slots and queue this render counts against: that of who began it, unless it is
 * one that many come through, or nobody waits for it (semantics 7.3). */
static const struct ip_address *charged_client(const struct fetch *fetch)
{
    const struct ip_address *client = &fetch->request.client;
    bool is_anybodys =
        fetch->kind == FETCH_REFRESH || proxy_is_trusted(fetch->server->policy, client);
    return is_anybodys ? NULL : client;
}

/* A 304 makes what is stored an answer to this very head. What was made of more than a sealed head
 * says, before a reload gave its route a `ttl`, is none, whatever the renderer takes for the same
 * (semantics 2.1). */
static bool may_validate(const struct fetch *fetch)
{
    const struct object *old = fetch->old;
    return old && !fetch->is_unconditional && slice_equal(old->key_text, fetch->forward.key_text) &&
           old->policy_hash == fetch->decision.route->policy_hash &&
           (!fetch->decision.is_sealed || old->facts.flags & FACT_SEALED);
}

static void make_head(struct fetch *fetch)
{
    const struct policy *policy = fetch->server->policy;
    fields_init(&fetch->more, &fetch->arena);
    fetch->has_validators = false;
    if (fetch->kind == FETCH_PASS) {
        forward_pass(policy, &fetch->request, &fetch->decision, &fetch->forward);
        return;
    }
    vary_record_unref(&fetch->sent_under);
    fetch->sent_under = vary_record_ref(fetch->record);
    fetch->wants_identity = fill_wants_identity(fetch->decision.route, fetch->record);
    forward_fill(policy, &fetch->request, &fetch->decision, &fetch->record->names,
                 fetch->wants_identity, &fetch->forward);
    fetch->key = key_of(fetch->forward.key_text);
    struct fields stored = fetch_stored_fields(fetch);
    if (may_validate(fetch))
        fetch->has_validators =
            fields_add_validators(&stored, loop_now(fetch->loop).wall, &fetch->more);
}

/* Of the best who waits; a repeat may have got another since the first try. */
static unsigned rank_of(const struct fetch *fetch)
{
    unsigned rank = flight_rank(fetch->flight);
    return rank < FLIGHT_RANKS ? rank : call_rank(fetch->server->policy, NULL);
}

static bool has_shell(const struct fetch *fetch)
{
    return fallback_is_named(fetch->decision.route, FALLBACK_SHELL) &&
           mode_allows_shell(mode_now(fetch->server->mode), &fetch->decision);
}

/*
 * What a render is known by, should it kill its worker (semantics 7.7): a fill by its key, a pass
 * by what was asked, and by whom: one user's broken account page is not everybody's.
 */
static struct key render_key(struct fetch *fetch)
{
    const struct request *request = &fetch->request;
    if (fetch->kind != FETCH_PASS)
        return fetch->key;
    const slice parts[] = {fetch->forward.method,
                           request->scheme,
                           request->host,
                           request->target,
                           fields_value(&fetch->forward.fields, FIELD_COOKIE),
                           fields_value(&fetch->forward.fields, FIELD_AUTHORIZATION),
                           slice_until(request->body, KEYED_BODY_BYTES)};
    struct text text = {.arena = &fetch->arena};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        key_text_add(&text, KEY_HOST, parts[i]);
    return key_of(text_view(&text));
}

void fetch_send(struct fetch *fetch)
{
    make_head(fetch);
    struct key key = render_key(fetch);
    struct call_request request = {
        .origin = fetch->decision.origin,
        .forward = &fetch->forward,
        .more_fields = &fetch->more,
        .body = fetch->request.body,
        .has_body = fetch->request.has_body && fetch->kind == FETCH_PASS,
        .is_asset = fetch->decision.route->is_asset,
        .is_retryable = fetch->request.method == METHOD_GET || fetch->request.method == METHOD_HEAD,
        .rank = rank_of(fetch),
        .path = fetch->request.path,
        .has_shell = has_shell(fetch),
        .client = charged_client(fetch),
        .host_header = host_header(fetch),
        .render_key = &key,
        .about =
            arena_concat(&fetch->arena, (slice[]){fetch->request.host, fetch->request.path}, 2)};
    fetch->call = call_new(fetch->server->origins, fetch->loop, &request, &call_events, fetch);
}

static void listen_to_waiters(struct fetch *fetch)
{
    struct flight *flight = fetch->flight;
    pthread_mutex_lock(&flight->lock);
    flight->fetch = fetch;
    flight->on_room = post_room;
    flight->on_deserted = post_deserted;
    flight->on_rank = post_rank;
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
    fetch->ranked.deliver = on_ranked;
    fetch->judged.deliver = fetch_on_judged;
    arena_init(&fetch->arena);
    request_copy(&fetch->arena, request, &fetch->request);
    decision_copy(&fetch->arena, decision, &fetch->decision);
    if (record)
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
    fetch_send(fetch);
}
