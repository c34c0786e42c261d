#include "edge/request/candidate.h"

#include "edge/request/mode_meaning.h"

/* --- what it is good for --- */

enum freshness candidate_freshness(const struct object *object, const struct grounds *by,
                                   enum reason *reason)
{
    const struct route *route = by->decision->route;
    bool has_old_policy = object->policy_hash != route->policy_hash;
    enum freshness freshness =
        facts_freshness(&object->facts, route, by->decision->class_config->never_shell,
                        object->content_type, by->purged == PURGE_SOFT, has_old_policy, by->now);
    *reason = freshness == FRESH         ? REASON_FRESH
              : by->purged == PURGE_SOFT ? REASON_PURGED
              : has_old_policy           ? REASON_POLICY
                                         : REASON_EXPIRED;
    if (freshness != FRESH || by->outdated == REASON_NONE)
        return freshness;
    *reason = by->outdated;
    return STALE_WHILE_REVALIDATE;
}

/* A client that asks for more than freshness gets what was validated for it, or nothing
 * (RFC 9111 §5.2.1). */
static void decline_if_wished(struct candidate *found, const struct grounds *by)
{
    const struct object *object = found->object;
    const struct route *route = by->decision->route;
    if (!route->honours_client)
        return;
    duration left = facts_fresh_left(&object->facts, route, object->content_type, by->now);
    if (client_wish_admits(by->wish, facts_age(&object->facts, by->now), left))
        return;
    found->is_declined = found->freshness == FRESH;
    found->freshness = STALE_UNUSABLE;
    found->reason = REASON_NO_CACHE;
}

bool object_is_unreadable(const struct object *object, const struct fields *client_fields)
{
    return object->facts.flags & FACT_NO_TRANSFORM &&
           !coding_is_readable(object->coding, client_fields);
}

void candidate_judge(struct candidate *found, const struct grounds *by)
{
    bool is_odd_type = !facts_may_answer(&found->object->facts, by->decision);
    if (by->purged == PURGE_DEAD || is_odd_type) {
        found->reason = by->purged == PURGE_DEAD ? REASON_PURGED : REASON_TYPE_MISMATCH;
        object_unref(&found->object);
        return;
    }
    found->is_unreadable = object_is_unreadable(found->object, by->client_fields);
    if (found->is_unreadable) {
        found->reason = REASON_VARY_MISMATCH;
        object_unref(&found->object);
        return;
    }
    found->freshness = candidate_freshness(found->object, by, &found->reason);
    decline_if_wished(found, by);
}

/* --- what is given of it --- */

/* May its class cost a render (`renders: false`, semantics 7.4)? */
static bool may_render(const struct decision *decision)
{
    return decision->class_config->renders || !is_render(decision);
}

static bool has_no_free_slot(const struct server *server, const struct decision *decision)
{
    struct origin_state state = origin_state(server->origins, decision->origin);
    return origin_wants_slot(decision->origin, decision->route->is_asset) &&
           state.busy_slots >= state.live_slots;
}

bool candidate_is_given(const struct server *server, const struct decision *decision,
                        const struct candidate *found, struct given *given)
{
    if (!found->object)
        return false;
    if (found->freshness == FRESH) {
        *given = (struct given){OUTCOME_HIT, REASON_FRESH, false};
        return true;
    }
    bool is_busy = found->freshness == STALE_IF_ERROR &&
                   (!may_render(decision) || has_no_free_slot(server, decision));
    if (found->freshness != STALE_WHILE_REVALIDATE && !is_busy)
        return false;
    bool is_stopped = mode_stops_refreshes(mode_now(server->mode), decision);
    *given = (struct given){.outcome = OUTCOME_STALE,
                            .reason = is_busy      ? REASON_STALE_BUSY
                                      : is_stopped ? REASON_POLICY
                                                   : REASON_REVALIDATING,
                            .is_refreshed = may_render(decision) && !is_stopped};
    return true;
}

/* --- where it is not enough --- */

enum reason miss_is_passed(const struct request *request, const struct decision *decision,
                           const struct client_wish *wish, const struct candidate *found)
{
    if (wish->no_store)
        return REASON_NO_STORE;
    if (found->is_unreadable)
        return found->reason;
    /* Nobody who wants a part of a film should wait for all of it; and to the letter of the RFCs a
     * HEAD is a HEAD (semantics 4.1). */
    bool is_part = !found->object && fields_find_id(&request->fields, FIELD_RANGE);
    bool is_head =
        request->method == METHOD_HEAD && decision->route->store_statuses == STATUSES_RFC;
    return is_part || is_head ? REASON_POLICY : REASON_NONE;
}

bool fetch_is_refused(const struct request *request, const struct decision *decision,
                      const struct client_wish *wish, const struct candidate *found,
                      struct refusal *refusal)
{
    if (wish->only_if_cached && method_is_safe(request->method))
        *refusal = (struct refusal){504, OUTCOME_ERROR,
                                    found->reason != REASON_NONE ? found->reason : decision->reason,
                                    SLICE("only-if-cached: nothing stored answers this request")};
    else if (!may_render(decision))
        *refusal = (struct refusal){503, OUTCOME_ERROR, REASON_POLICY,
                                    SLICE("visitors of this class get stored pages only")};
    else
        return false;
    return true;
}

bool query_wants_place(const struct request *request, const struct decision *decision,
                       const struct vary_record *record, struct arena *arena, struct key *path)
{
    if (!decision->route->max_queries || !decision->has_query || record->is_known)
        return false;
    *path = key_of(arena_concat(arena, (slice[]){request->host, request->path}, 2));
    return true;
}
