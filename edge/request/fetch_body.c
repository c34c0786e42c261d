/* The body of an answer, its end, and storing what came of it (semantics 3.4, 4.1, 7.8). */
#include "edge/admin/metrics.h"
#include "edge/admin/notes.h"
#include "edge/request/codec.h"
#include "edge/request/fetch_parts.h"
#include "edge/request/outdated.h"

enum {
    UNREAD_WINDOW_BYTES = 4 << 20, /* semantics 7.8 */
    SHORT_WINDOW_BYTES = 64 << 10,
    JUDGED_ON_LOOP_BYTES = 64 << 10,
};

static bool has_patterns(const struct fetch *fetch)
{
    return fetch->decision.route->reject_body_count > 0;
}

static bool is_too_large(const struct fetch *fetch, size_t more)
{
    uint64_t received = fetch->flight->received_bytes; /* only this thread writes it */
    return fetch_is_too_large(fetch, received + more);
}

static void forgo_storing(struct fetch *fetch)
{
    fetch->is_storing = false;
    fetch_drop_old(fetch);
    fetch_mark_uncacheable(fetch, REASON_TOO_LARGE);
    metrics_not_stored(fetch->server->metrics, REASON_TOO_LARGE);
    flight_forgo_storing(fetch->flight);
}

/* Nothing that may still come can make it an answer that says nothing of what is stored. */
static bool has_told(const struct fetch *fetch, size_t more)
{
    uint64_t received = fetch->flight->received_bytes;
    return has_patterns(fetch) ? is_too_large(fetch, more) : received + more > CODED_NOTHING_BYTES;
}

static void end_telling(struct fetch *fetch)
{
    fetch->does_body_tell = false;
    fetch_drop_old(fetch);
    flight_forgo_storing(fetch->flight);
}

/* Is it, with so many more bytes, no longer wanted for anything but its clients? */
static bool is_done_with(struct fetch *fetch, size_t more)
{
    if (fetch->is_storing && is_too_large(fetch, more))
        forgo_storing(fetch);
    else if (fetch->does_body_tell && has_told(fetch, more))
        end_telling(fetch);
    else
        return false;
    return true;
}

void fetch_on_body(struct call *call, void *owner, slice bytes)
{
    struct fetch *fetch = owner;
    if (is_done_with(fetch, bytes.len) && fetch_end_if_deserted(fetch))
        return;
    /* taken at the renderer's speed, as long as all answers together are within the limit */
    bool is_tight = flights_buffered_bytes() > fetch->server->policy->limits.response_buffers_bytes;
    if (!flight_append(fetch->flight, bytes, is_tight ? SHORT_WINDOW_BYTES : UNREAD_WINDOW_BYTES))
        call_pause(call);
}

/* --- what only the whole body shows (semantics 4.1, 4.2) --- */

static bool is_coded(const struct fetch *fetch)
{
    return fetch->body && fetch->coding != CODING_IDENTITY;
}

/* All of it for patterns; else it is asked only whether there is any, and the first byte says so.
 * NULL: it cannot be read, or need not. */
static struct blob *decoded(const struct fetch *fetch)
{
    if (!is_coded(fetch))
        return NULL;
    if (has_patterns(fetch))
        return body_decode(fetch->coding, fetch->body, fetch->server->policy->max_object_bytes);
    return fetch->body->len <= CODED_NOTHING_BYTES ? body_decode(fetch->coding, fetch->body, 0)
                                                   : NULL;
}

/* An empty page, a pattern of `reject_body`. These look at plain bytes: where there are none to
 * look at, nobody can say that no pattern matches. */
static enum reason judge_body(struct fetch *fetch)
{
    struct blob *plain = decoded(fetch);
    if (is_coded(fetch) && has_patterns(fetch) && !plain)
        return REASON_POLICY;
    const struct blob *seen = plain ? plain : fetch->body;
    slice text = seen ? slice_of(seen->bytes, seen->len) : SLICE_NONE;
    if (text.len == 0) /* not every head says it */
        fetch->verdict.facts.flags |= FACT_NO_BODY;
    enum reason reason = rules_body(&fetch->decision, fetch->status, text);
    blob_unref(&plain);
    return reason;
}

/* Would it hold up the loop? Coded bytes do not say how many they stand for. */
static bool is_long_to_judge(const struct fetch *fetch)
{
    return has_patterns(fetch) &&
           (is_coded(fetch) || fetch->flight->received_bytes > JUDGED_ON_LOOP_BYTES);
}

/* --- storing --- */

/* Without what is for its own client alone (RFC 9111 §5.2.2.4, §5.2.2.7). */
static struct fields fields_for_everybody(struct fetch *fetch)
{
    struct fields fields;
    fields_init(&fields, &fetch->arena);
    fields_copy(&fields, &fetch->fields);
    fields_remove_limited(&fields, fetch->decision.route);
    return fields;
}

static struct object *object_of(struct fetch *fetch)
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
        .build = fetch->build,
        .reason_phrase = fetch->reason_phrase,
        .variant_text = forward_variant_text(fetch->forward.key_text, &fetch->arena),
        .names = &fetch->record->names,
        .fields = &stored,
        .coding = fetch->coding == CODING_UNKNOWN ? CODING_IDENTITY : fetch->coding,
        .body = fetch->body ? blob_ref(fetch->body) : NULL,
    };
    return object_new(&parts);
}

static void store(struct fetch *fetch)
{
    enum reason reason = fetch->body_reason;
    if (reason == REASON_NONE && fetch_is_purged(fetch))
        reason = REASON_PURGED;
    if (reason != REASON_NONE) {
        metrics_not_stored(fetch->server->metrics, reason);
        if (reason != REASON_PURGED)
            fetch_mark_uncacheable(fetch, reason);
        return;
    }
    struct object *object = object_of(fetch);
    enum stored stored = cache_store(fetch->server->cache, object);
    if (stored == STORED_NOT_TOO_LARGE) /* with its head */
        fetch_drop_old(fetch);
    metrics_stored(fetch->server->metrics, &fetch->decision, stored);
    object_unref(&object);
}

/* --- the end --- */

static void use_judgement(struct fetch *fetch)
{
    if (fetch->is_storing)
        store(fetch);
    else if (fetch->body_reason == REASON_NONE)
        fetch_drop_old(fetch);
}

static void end(struct fetch *fetch)
{
    flight_end(fetch->flight);
    fetch_finish(fetch);
}

/* In this order: who finds no flight any more must find what it has made. */
static void judge_here(struct fetch *fetch)
{
    fetch->body_reason = judge_body(fetch);
    use_judgement(fetch);
    end(fetch);
}

/* The helper's thread: until it is told, the loop leaves body and verdict alone. */
static void judge_elsewhere(struct chore *chore)
{
    struct fetch *fetch = container_of(chore, struct fetch, judging);
    fetch->body_reason = judge_body(fetch);
    loop_post(fetch->loop, &fetch->judged);
}

void fetch_on_judged(struct loop_message *message)
{
    struct fetch *fetch = container_of(message, struct fetch, judged);
    use_judgement(fetch);
    atomic_fetch_sub(&fetch->server->judgements, 1);
    if (fetch->is_storing)
        end(fetch);
    else
        fetch_finish(fetch);
}

/* The flight of what is to be stored goes on until this is over, and is joined. Others end for
 * their clients, and so does the call. */
static void have_judged(struct fetch *fetch)
{
    atomic_fetch_add(&fetch->server->judgements, 1);
    if (!fetch->is_storing)
        flight_end(fetch->flight);
    call_free(fetch->call);
    fetch->call = NULL;
    fetch->judging.run = judge_elsewhere;
    compressor_run(fetch->server->compressor, &fetch->judging);
}

void fetch_on_end(struct call *call, void *owner, bool is_clean)
{
    struct fetch *fetch = owner;
    fetch->is_storing &= is_clean;
    if (!fetch->is_storing && !fetch->does_body_tell) {
        end(fetch);
        return;
    }
    fetch->body = flight_body(fetch->flight);
    fetch->build = call_build(call);
    if (is_long_to_judge(fetch))
        have_judged(fetch);
    else
        judge_here(fetch);
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
