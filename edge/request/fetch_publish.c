/*
 * Publishing a head, and what happens to the call then: it flows on, is dropped, fails or is made
 * once more.
 */
#include "edge/admin/metrics.h"
#include "edge/request/fetch_parts.h"

/* The flight outlives the fetch: its waiters read the head long after. */
static void *copy_into(struct arena *arena, const void *from, size_t bytes)
{
    return memcpy(arena_alloc(arena, bytes), from, bytes);
}

static void publish(struct fetch *fetch, enum flight_sharing sharing, enum reason not_stored,
                    size_t length, struct object *object)
{
    struct call_timing timing = call_timing(fetch->call);
    bool is_judged = fetch->kind != FETCH_PASS || fetch->is_storing;
    struct flight_head head = {
        .key_text = arena_copy(&fetch->flight->arena, fetch->forward.key_text),
        .status = fetch->status,
        .reason_phrase = fetch->reason_phrase,
        .fields = copy_into(&fetch->flight->arena, &fetch->fields, sizeof(fetch->fields)),
        .length = length,
        .coding = fetch->coding,
        .not_stored = not_stored,
        .replaces_stored = fetch->has_dropped_old,
        .facts = is_judged ? copy_into(&fetch->flight->arena, &fetch->verdict.facts,
                                       sizeof(fetch->verdict.facts))
                           : NULL,
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
    bool has_tags = fetch->is_storing || object || sharing == FLIGHT_SHARED;
    bool is_kept = fetch->is_storing || fetch->does_body_tell;
    flight_publish_head(fetch->flight, &head, sharing, is_kept, fetch->tag_hashes,
                        has_tags ? fetch->verdict.tags.count : 0);
}

void fetch_publish_and_go_on(struct fetch *fetch, enum flight_sharing sharing,
                             enum reason not_stored, size_t length)
{
    publish(fetch, sharing, not_stored, length, NULL);
    fetch_end_if_deserted(fetch);
}

void fetch_publish_and_drop(struct fetch *fetch, enum flight_sharing sharing, enum reason reason,
                            struct object *object)
{
    publish(fetch, sharing, reason, 0, object);
    fetch_leave_call(fetch);
    flight_end(fetch->flight);
    fetch_finish(fetch);
}

void fetch_fail(struct fetch *fetch, enum call_failure failure)
{
    fetch_leave_call(fetch);
    flight_fail(fetch->flight, failure);
    fetch_finish(fetch);
}

void fetch_repeat(struct fetch *fetch)
{
    fetch_leave_call(fetch);
    fetch_send(fetch);
    /* those who come now know the union, and join by it */
    flight_rekey(fetch->flight, &fetch->key, fetch->forward.key_text);
}
