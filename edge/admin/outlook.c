#include "edge/admin/outlook.h"

#include "edge/request/fallback.h"
#include "edge/request/fetch.h"
#include "edge/request/mode_meaning.h"
#include "edge/request/outdated.h"
#include "edge/request/union.h"

static void ends(struct outlook *look, const char *would, enum reason reason)
{
    look->would = would;
    look->reason = reason;
}

static void ends_with_error(struct outlook *look, unsigned status, enum reason reason, slice detail)
{
    ends(look, "error", reason);
    look->status = status;
    look->detail = detail;
}

/* --- the origin is wanted --- */

static bool falls_back(struct outlook *look, enum reason stale_reason, enum reason reason)
{
    const struct route *route = look->decision.route;
    for (size_t i = 0; i < route->on_failure_count; i++) {
        enum fallback fallback = route->on_failure[i];
        if (!fallback_may_be(fallback, look->mode, &look->decision, &look->found))
            continue;
        if (fallback == FALLBACK_STALE)
            ends(look, "stale", stale_reason);
        else
            ends(look, "shell", reason);
        return true;
    }
    return false;
}

static void fails(struct outlook *look, enum reason stale_reason, enum reason reason)
{
    if (!falls_back(look, stale_reason, reason))
        ends_with_error(look, fallback_error_status(&look->found), reason,
                        fallback_error_detail(reason));
}

static bool has_place_for_query(struct outlook *look)
{
    struct key path;
    return !query_wants_place(look->request, &look->decision, look->record, look->arena, &path) ||
           admission_would_query(look->server->admission, &path, &look->url_key,
                                 look->decision.route->max_queries, look->now.mono);
}

/* As a pass, after all. */
static void pass_instead(struct outlook *look, enum reason reason)
{
    look->decision.action = ACTION_PASS;
    look->decision.reason = reason;
}

/* A pass that kills is known by more than is known here. */
static bool is_deadly(struct outlook *look)
{
    return look->decision.action == ACTION_LOOKUP && !look->decision.route->is_asset &&
           origins_is_deadly(look->server->origins, &look->key, look->now.mono);
}

static void asks_origin(struct outlook *look)
{
    const struct decision *decision = &look->decision;
    struct refusal refusal;
    if (fetch_is_refused(look->request, decision, &look->wish, &look->found, &refusal)) {
        ends_with_error(look, refusal.status, refusal.reason, refusal.detail);
        return;
    }
    if (mode_orders_fallback(look->mode, decision) &&
        falls_back(look, REASON_POLICY, REASON_POLICY))
        return;
    if (decision->action == ACTION_LOOKUP && !has_place_for_query(look))
        pass_instead(look, REASON_POLICY);
    else if (decision->action == ACTION_LOOKUP && look->marked != REASON_NONE &&
             decision->is_sealed)
        pass_instead(look, look->marked);
    if (is_deadly(look))
        fails(look, REASON_DEADLY, REASON_DEADLY);
    else if (origin_state(look->server->origins, decision->origin).is_hopeless)
        fails(look, REASON_STALE_ERROR, REASON_ALL_DOWN);
    else if (decision->action == ACTION_PASS)
        ends(look, "pass", decision->reason);
    else
        ends(look, "render", look->found.reason);
}

/* --- the look-up --- */

static void look_up(struct outlook *look)
{
    struct server *server = look->server;
    const struct decision *decision = &look->decision;
    look->url_key = key_of(decision->url_text);
    look->record = find_record(server->cache, &look->url_key, &look->is_unreadable);
    union_start_with_learned(server, decision, &look->record);
    forward_fill(server->policy, look->request, decision, &look->record->names,
                 fill_wants_identity(decision->route, look->record), &look->forward);
    look->key = key_of(look->forward.key_text);
    (void)marks_find(server->marks, &look->key, look->now.mono, &look->marked);
    if (!look->record->is_known || look->forward.is_unkeyable ||
        !vary_record_lists(look->record, &look->key))
        return;
    look->object = cache_look(server->cache, &look->key, look->forward.key_text);
}

static void judge(struct outlook *look)
{
    const struct grounds by = {
        .decision = &look->decision,
        .client_fields = &look->request->fields,
        .wish = &look->wish,
        .purged = object_purge_state(look->server->purges, look->object),
        .outdated = outdated_why(look->server, &look->decision, look->object, look->now),
        .now = look->now};
    look->found.object = object_ref(look->object);
    candidate_judge(&look->found, &by);
}

/* What is stored, or what takes its place. */
static void uses_stored(struct outlook *look)
{
    struct given given;
    look->found.reason = look->record->is_known ? REASON_VARY_MISMATCH : REASON_COLD;
    if (look->object)
        judge(look);
    if (candidate_is_given(look->server, &look->decision, &look->found, &given)) {
        ends(look,
             given.outcome == OUTCOME_HIT ? "hit"
             : given.is_refreshed         ? "stale now, refreshed behind"
                                          : "stale",
             given.reason);
        return;
    }
    enum reason passed = miss_is_passed(look->request, &look->decision, &look->wish, &look->found);
    if (passed != REASON_NONE)
        pass_instead(look, passed);
    asks_origin(look);
}

/* Without `hosts`, only so many are stored at a time (semantics 1.5). */
static bool has_place_for_host(const struct outlook *look)
{
    return look->server->policy->hosts.count > 0 ||
           admission_has_place(look->server->admission, look->request->host, look->now.mono);
}

static void goes_to_lookup(struct outlook *look)
{
    look_up(look);
    if (!has_place_for_host(look))
        pass_instead(look, REASON_POLICY);
    else if (look->is_unreadable)
        pass_instead(look, REASON_COLD);
    else if (look->forward.is_unkeyable)
        pass_instead(look, REASON_VARY_DENIED);
    if (look->decision.action == ACTION_LOOKUP)
        uses_stored(look);
    else
        asks_origin(look);
}

/* --- the whole way --- */

static void goes(struct outlook *look)
{
    const struct decision *decision = &look->decision;
    switch (decision->action) {
    case ACTION_REJECT:
        ends(look, "reject", decision->reason);
        look->status = decision->status;
        look->detail = decision->detail;
        break;
    case ACTION_REDIRECT:
        ends(look, "redirect", REASON_ROUTE);
        look->status = 308;
        look->location = decision->location;
        break;
    case ACTION_SHELL:
        if (decision->may_give_shell) {
            ends(look, "shell", REASON_LOGGED_IN);
            break;
        }
        look->decision.action = ACTION_PASS;
        asks_origin(look);
        break;
    case ACTION_LOOKUP:
        goes_to_lookup(look);
        break;
    case ACTION_PASS:
        asks_origin(look);
        break;
    }
}

void outlook_take(struct outlook *look)
{
    look->now = clock_now();
    look->mode = mode_now(look->server->mode);
    client_wish_of(look->request, look->decision.route, &look->wish);
    goes(look);
}

void outlook_fini(struct outlook *look)
{
    object_unref(&look->found.object);
    object_unref(&look->object);
    vary_record_unref(&look->record);
}
