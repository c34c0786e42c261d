/* The body of an answer, its end, and storing what came of it (semantics 3.4, 4.1, 7.8). */
#include "edge/admin/metrics.h"
#include "edge/admin/notes.h"
#include "edge/request/codec.h"
#include "edge/request/fetch_parts.h"
#include "edge/request/outdated.h"

enum { UNREAD_WINDOW_BYTES = 4 << 20, SHORT_WINDOW_BYTES = 64 << 10 }; /* semantics 7.8 */

static bool is_too_large(const struct fetch *fetch, size_t more)
{
    uint64_t received = fetch->flight->received_bytes; /* only this thread writes it */
    return received + more > fetch->server->policy->max_object_bytes;
}

/* It was read for the store alone if all clients have left. */
static void forgo_storing(struct fetch *fetch)
{
    fetch->is_storing = false;
    fetch_drop_old(fetch);
    fetch_mark_uncacheable(fetch, REASON_TOO_LARGE);
    metrics_not_stored(fetch->server->metrics, REASON_TOO_LARGE);
    flight_forgo_storing(fetch->flight);
}

void fetch_on_body(struct call *call, void *owner, slice bytes)
{
    struct fetch *fetch = owner;
    if (fetch->is_storing && is_too_large(fetch, bytes.len)) {
        forgo_storing(fetch);
        if (fetch_end_if_deserted(fetch))
            return;
    }
    /* taken at the renderer's speed, as long as all answers together are within the limit */
    bool is_tight = flights_buffered_bytes() > fetch->server->policy->limits.response_buffers_bytes;
    if (!flight_append(fetch->flight, bytes, is_tight ? SHORT_WINDOW_BYTES : UNREAD_WINDOW_BYTES))
        call_pause(call);
}

static bool must_decode(const struct fetch *fetch, const struct blob *body)
{
    return body && (fetch->coding == CODING_GZIP || fetch->coding == CODING_BR) &&
           (fetch->decision.route->reject_body_count || body->len <= CODED_NOTHING_BYTES);
}

/* What only the whole body shows (semantics 4.1, 4.2): an empty page, a pattern of `reject_body`.
 * It looks at plain bytes. */
static enum reason judge_body(struct fetch *fetch, const struct blob *body)
{
    struct blob *plain = NULL;
    if (must_decode(fetch, body))
        plain = body_decode(fetch->coding, body, fetch->server->policy->max_object_bytes);
    const struct blob *seen = plain ? plain : body;
    slice text = seen ? slice_of(seen->bytes, seen->len) : SLICE_NONE;
    if (text.len == 0) /* not every head says it */
        fetch->verdict.facts.flags |= FACT_NO_BODY;
    enum reason reason = rules_body(&fetch->decision, fetch->status, text);
    blob_unref(&plain);
    return reason;
}

/* Without what is for its own client alone (RFC 9111 §5.2.2.4, §5.2.2.7). */
static struct fields fields_for_everybody(struct fetch *fetch)
{
    struct fields fields;
    fields_init(&fields, &fetch->arena);
    fields_copy(&fields, &fetch->fields);
    fields_remove_limited(&fields, fetch->decision.route);
    return fields;
}

/* Takes the body. */
static struct object *object_of(struct fetch *fetch, struct blob *body)
{
    const struct flight *flight = fetch->flight;
    struct fields stored = fields_for_everybody(fetch);
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
        .build = call_build(fetch->call),
        .reason_phrase = fetch->reason_phrase,
        .variant_text = forward_variant_text(fetch->forward.key_text, &fetch->arena),
        .names = &fetch->record->names,
        .fields = &stored,
        .coding = fetch->coding == CODING_UNKNOWN ? CODING_IDENTITY : fetch->coding,
        .body = body,
    };
    return object_new(&parts);
}

static void store(struct fetch *fetch)
{
    struct blob *body = flight_body(fetch->flight);
    enum reason reason = judge_body(fetch, body);
    if (reason == REASON_NONE && fetch_is_purged(fetch))
        reason = REASON_PURGED;
    if (reason != REASON_NONE) {
        metrics_not_stored(fetch->server->metrics, reason);
        if (reason != REASON_PURGED)
            fetch_mark_uncacheable(fetch, reason);
        blob_unref(&body);
        return;
    }
    struct object *object = object_of(fetch, body);
    enum stored stored = cache_store(fetch->server->cache, object);
    if (stored == STORED_NOT_TOO_LARGE) /* with its head */
        fetch_drop_old(fetch);
    metrics_stored(fetch->server->metrics, &fetch->decision, stored);
    object_unref(&object);
}

void fetch_on_end(struct call *call, void *owner, bool is_clean)
{
    struct fetch *fetch = owner;
    (void)call;
    if (fetch->is_storing && is_clean)
        store(fetch);
    flight_end(fetch->flight);
    fetch_finish(fetch);
}

void fetch_on_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    struct fetch *fetch = owner;
    if (!call_was_refused(failure)) {
        notes_upstream_error(fetch->server, &fetch->request, call_worker_name(call), failure,
                             detail);
        outdated_note_failure(fetch->server, fetch->decision.origin);
    }
    flight_fail(fetch->flight, failure);
    fetch_finish(fetch);
}
