#include "edge/admin/notes.h"

#include "base/log.h"
#include "edge/admin/metrics.h"
#include "policy/unstored.h"

#include <stdlib.h>

enum { FAILURE_INTERVAL_MS = 1000, TOLD_MAX = 32 };

/* When the log was last told of what a series counts. */
struct told {
    _Atomic(counter *) series; /* NULL: free */
    _Atomic int64_t ms;
};

struct notes {
    const struct policy *policy;
    _Atomic uint64_t *told_of;  /* [route]: bit of each reason, and behind these of each unstored */
    atomic_bool *learned;       /* [route] */
    struct told told[TOLD_MAX]; /* of failing renderers; filled from its start */
};
_Static_assert(REASON_COUNT + UNSTORED_COUNT <= 64, "a bit for each");

struct notes *notes_new(const struct policy *policy)
{
    struct notes *notes = mem_alloc(sizeof(*notes));
    size_t routes = policy->route_count + 1;
    notes->policy = policy;
    notes->told_of = mem_alloc(routes * sizeof(*notes->told_of));
    notes->learned = mem_alloc(routes * sizeof(*notes->learned));
    return notes;
}

void notes_free(struct notes *notes)
{
    free(notes->told_of);
    free(notes->learned);
    free(notes);
}

/* --- once per route --- */

static const char *advice_of_policy(const struct route *route, enum unstored unstored)
{
    switch (unstored) {
    case UNSTORED_STATUS:
        return "the renderer gives no freshness, and \"ttl\" is for 200 and 203 (add its status to "
               "the route's \"status_ttl\" to cache it)";
    case UNSTORED_TYPE:
        return duration_is_given(route->ttl.value)
                   ? "the renderer gives no freshness, and its Content-Type is none of the route's "
                     "\"content_types\" (add it there to cache it)"
                   : "the renderer gives no freshness (add \"ttl:\" to the route, and its "
                     "Content-Type to \"content_types\", to cache it)";
    case UNSTORED_ZERO:
        return "the renderer gives no freshness, and the route a lifetime of 0";
    case UNSTORED_FORCE:
        return "the renderer gives no freshness, and \"force\" is not for 5xx (leave it out of the "
               "route's \"status_ttl\" to cache it)";
    case UNSTORED_CODING:
        return "its Content-Encoding is none that varve knows";
    case UNSTORED_STREAM:
        return "it is a stream of events, which has no end";
    default:
        return "the renderer gives no freshness (add \"ttl:\" to the route to cache it)";
    }
}

static const char *advice(enum reason reason)
{
    switch (reason) {
    case REASON_NO_STORE:
        return "the renderer says no-store (set \"cache: never\")";
    case REASON_SET_COOKIE:
        return "the renderer sets a cookie (set \"cache: never\", or have it set cookies "
               "elsewhere)";
    case REASON_PRIVATE:
        return "the renderer says private (set \"cache: never\")";
    case REASON_VARY_DENIED:
        return "its Vary names *, or too many fields";
    case REASON_NONCE:
        return "its Content-Security-Policy has a nonce";
    case REASON_CORS:
        return "its Access-Control-Allow-Origin depends on who asks, but its Vary does not say so";
    case REASON_NO_CACHE:
        return "the renderer must be asked each time, and gives no validator to ask with";
    case REASON_EXPIRED:
        return "its lifetime is over on arrival";
    case REASON_SELF_REDIRECT:
        return "it redirects to itself";
    case REASON_TOO_LARGE:
        return "it is larger than store.max_object, or has too many tags";
    case REASON_VARIANT_CAP:
        return "its URL has vary.max_variants variants in use";
    default:
        return "see the reason";
    }
}

void notes_not_stored(struct notes *notes, const struct request *request,
                      const struct decision *decision, const struct response *response,
                      enum reason reason)
{
    const struct route *route = decision->route;
    enum unstored unstored = rules_unstored(route, response);
    bool is_policy = reason == REASON_POLICY;
    uint64_t bit = 1ull << (is_policy ? REASON_COUNT + (unsigned)unstored : (unsigned)reason);
    if (reason == REASON_STATUS ||
        atomic_fetch_or(&notes->told_of[policy_route_place(notes->policy, route)], bit) & bit)
        return;
    const char *because = is_policy ? advice_of_policy(route, unstored) : advice(reason);
    log_info("not stored", {"path", request->path, 0}, {"route", route->match, 0},
             {"reason", reason_name(reason), 0}, {"because", slice_of_string(because), 0});
}

void notes_learned(struct notes *notes, const struct request *request,
                   const struct decision *decision, const struct field_names *names)
{
    if (atomic_exchange(&notes->learned[policy_route_place(notes->policy, decision->route)], true))
        return;
    struct arena arena;
    arena_init(&arena);
    slice list = SLICE_NONE;
    for (size_t i = 0; i < names->count; i++)
        list = arena_concat(&arena, (slice[]){list, i ? SLICE(", ") : SLICE_NONE, names->at[i]}, 3);
    log_info("learned from Vary: add it to \"vary:\" to send it from the start",
             {"fields", list, 0}, {"path", request->path, 0}, {"route", decision->route->match, 0});
    arena_fini(&arena);
}

/* --- once a second --- */

/* Is it time for a line about it? Those for which there is no place any more share the last one. */
static bool may_tell(struct notes *notes, counter *series)
{
    struct told *told = notes->told, *last = &notes->told[TOLD_MAX - 1];
    for (counter *of = NULL; told != last; told++, of = NULL)
        if (atomic_compare_exchange_strong(&told->series, &of, series) || of == series)
            break;
    int64_t now = clock_now().mono.ms, before = atomic_load(&told->ms);
    return (before == 0 || now - before >= FAILURE_INTERVAL_MS) &&
           atomic_compare_exchange_strong(&told->ms, &before, now);
}

void notes_upstream_error(struct server *server, const struct request *request, slice worker,
                          enum call_failure failure, slice detail)
{
    counter *series = metrics_upstream_error(server->metrics, worker, failure);
    if (may_tell(server->notes, series))
        log_warn("renderer failed", {"worker", worker, 0}, {"kind", call_failure_name(failure), 0},
                 {"detail", detail, 0}, {"path", request->path, 0});
}
