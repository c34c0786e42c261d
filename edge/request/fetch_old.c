/* What an answer that is not stored makes of the page that is (semantics 4.1, 5.5). */
#include "edge/request/fetch_parts.h"
#include "policy/media_type.h"

bool fetch_keeps_old(const struct fetch *fetch)
{
    const struct object *old = fetch->old;
    duration keep = fetch->decision.route->keep_old;
    return old && old->facts.status == 200 && keep.ms > 0 &&
           facts_age(&old->facts, loop_now(fetch->loop)).ms < keep.ms;
}

bool fetch_is_too_large(const struct fetch *fetch, size_t length)
{
    return length != SIZE_MAX && length > fetch->server->policy->max_object_bytes;
}

static bool replaces_old(const struct fetch *fetch)
{
    bool is_promised = fetch->status != 200 && fetch_keeps_old(fetch);
    return !is_promised && rules_replaces_stored(&fetch->verdict, fetch->status);
}

void fetch_drop_old(struct fetch *fetch)
{
    const struct object answer = {.stamp = fetch->flight->stamp, .facts = fetch->verdict.facts};
    if (!replaces_old(fetch))
        return;
    fetch->has_dropped_old = true;
    if (fetch->old)
        cache_remove_older(fetch->server->cache, &fetch->old->key, &answer);
}

/* An empty page, or one that `reject_body` refuses, says nothing of the old one (semantics 4.1).
 * Of what is dropped unread, a stream of events and what is too large, the head says all. */
static bool may_body_object(const struct fetch *fetch, size_t length)
{
    slice content_type = fields_value(&fetch->fields, FIELD_CONTENT_TYPE);
    return (fetch->status == 200 || fetch->decision.route->reject_body_count > 0) &&
           !fetch_is_dropped_unread(fetch) && !media_type_is_event_stream(content_type) &&
           !fetch_is_too_large(fetch, length);
}

void fetch_drop_old_unless_body_objects(struct fetch *fetch, size_t length)
{
    fetch->does_body_tell = fetch->old && replaces_old(fetch) && may_body_object(fetch, length);
    if (!fetch->does_body_tell)
        fetch_drop_old(fetch);
}
