/*
 * What Cache-Status says of an answer (RFC 9211; the text is made in policy/cache_status.c).
 *
 * A stale page that is given because the origin answered with an error went forward, and says so;
 * one that is given because no answer came, or without asking, is a hit. An answer of varve's own
 * has no Cache-Status (§2), but for those with the debug token, who alone are told `key` and
 * `detail` too (semantics 10.2).
 */
#include "policy/cache_status.h"

#include "edge/admin/api.h"
#include "edge/request/exchange.h"

/* What was looked up, for people. */
static slice key_text(struct exchange *ex)
{
    if (ex->found.reason == REASON_NONE) /* nothing was */
        return SLICE_NONE;
    const struct request *request = ex->request;
    slice variant = forward_variant_text(ex->forward.key_text, &ex->arena);
    const slice parts[] = {request->scheme,
                           SLICE("://"),
                           request->host,
                           request->path,
                           ex->decision.has_query ? SLICE("?") : SLICE_NONE,
                           ex->decision.query,
                           variant.len ? SLICE(" ") : SLICE_NONE,
                           variant};
    return arena_concat(&ex->arena, parts, sizeof(parts) / sizeof(parts[0]));
}

static void add_status(struct exchange *ex, struct fields *fields, struct cache_status *status)
{
    slice before = SLICE_NONE;
    if (api_may_debug(ex->server->api, ex->request)) {
        status->key = key_text(ex);
        status->detail = ex->reason == REASON_NONE ? SLICE_NONE : reason_name(ex->reason);
    }
    (void)fields_join_id(fields, FIELD_CACHE_STATUS, &ex->arena, &before);
    fields_set_id(fields, FIELD_CACHE_STATUS, cache_status_append(before, status, &ex->arena));
}

/* A variant that is listed but could not be had is neither of the two. */
static enum cache_forward vary_miss(const struct exchange *ex)
{
    if (!ex->record) /* it has looked too often */
        return FORWARD_MISS;
    if (ex->record->variant_count == 0)
        return FORWARD_URI_MISS;
    return vary_record_lists(ex->record, &ex->key) ? FORWARD_MISS : FORWARD_VARY_MISS;
}

/* The most specific reason (§2.2): of the look-up, if there was one. */
static enum cache_forward forward_of(const struct exchange *ex)
{
    if (ex->found.is_declined)
        return FORWARD_REQUEST;
    switch (ex->found.reason) {
    case REASON_NONE:
        return ex->decision.reason == REASON_METHOD ? FORWARD_METHOD : FORWARD_BYPASS;
    case REASON_COLD:
        return FORWARD_URI_MISS;
    case REASON_VARY_MISMATCH:
        return vary_miss(ex);
    default:
        return ex->found.object ? FORWARD_STALE : FORWARD_MISS;
    }
}

static enum cache_collapse collapse_of(const struct exchange *ex)
{
    if (ex->waiter.flight && !ex->waiter.is_leader)
        return COLLAPSE_REUSED;
    return ex->rounds > 0 ? COLLAPSE_IN_VAIN : COLLAPSE_NONE;
}

static duration ttl_of(const struct exchange *ex, const struct facts *facts, slice content_type)
{
    duration left = facts_fresh_left(facts, ex->decision.route, content_type, loop_now(ex->loop));
    /* a page may be stale although its time is not over: a purge, another build */
    if (ex->outcome == OUTCOME_STALE && left.ms >= 0)
        left.ms = -1;
    return left;
}

static bool is_hit(const struct exchange *ex)
{
    bool was_answered = ex->reason == REASON_STALE_ERROR || ex->reason == REASON_KEPT_OLD;
    return ex->outcome == OUTCOME_HIT ||
           (ex->outcome == OUTCOME_STALE && !(was_answered && ex->forward_status));
}

void add_object_status(struct exchange *ex, struct fields *fields, const struct object *object)
{
    struct cache_status status = {.ttl = ttl_of(ex, &object->facts, object->content_type)};
    if (!is_hit(ex)) {
        status.forward = forward_of(ex);
        status.forward_status = ex->forward_status;
        status.is_stored = ex->outcome != OUTCOME_STALE; /* by a 304 */
        status.collapse = collapse_of(ex);
    }
    add_status(ex, fields, &status);
}

void add_flight_status(struct exchange *ex, struct fields *fields, const struct flight_head *head)
{
    bool is_stored = head->facts && head->not_stored == REASON_NONE;
    slice content_type = fields_value(head->fields, FIELD_CONTENT_TYPE);
    struct cache_status status = {.forward = forward_of(ex),
                                  .forward_status = head->status,
                                  .is_stored = is_stored,
                                  .collapse = collapse_of(ex),
                                  .ttl = is_stored ? ttl_of(ex, head->facts, content_type)
                                                   : DURATION_NONE};
    add_status(ex, fields, &status);
}

void add_own_status(struct exchange *ex, struct fields *fields)
{
    struct cache_status status = {.is_generated = true, .ttl = DURATION_NONE};
    if (api_may_debug(ex->server->api, ex->request))
        add_status(ex, fields, &status);
}
