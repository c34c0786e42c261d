#include "edge/admin/notes.h"

#include "base/log.h"
#include "edge/admin/metrics.h"

#include <stdlib.h>

enum { FAILURE_INTERVAL_MS = 1000, TOLD_MAX = 32 };

/* When the log was last told of what a series counts. */
struct told {
    _Atomic(counter *) series; /* NULL: free */
    _Atomic int64_t ms;
};

struct notes {
    const struct policy *policy;
    _Atomic uint64_t *reasons;  /* [route]: bit of each reason that was told */
    atomic_bool *learned;       /* [route] */
    struct told told[TOLD_MAX]; /* of failing renderers; filled from its start */
};
_Static_assert(REASON_COUNT <= 64, "a bit for each reason");

struct notes *notes_new(const struct policy *policy)
{
    struct notes *notes = mem_alloc(sizeof(*notes));
    size_t routes = policy->route_count + 1;
    notes->policy = policy;
    notes->reasons = mem_alloc(routes * sizeof(*notes->reasons));
    notes->learned = mem_alloc(routes * sizeof(*notes->learned));
    return notes;
}

void notes_free(struct notes *notes)
{
    free(notes->reasons);
    free(notes->learned);
    free(notes);
}

/* --- once per route --- */

static const char *advice(enum reason reason)
{
    switch (reason) {
    case REASON_POLICY:
        return "the renderer gives no freshness (add \"ttl:\" to the route to cache it), or its "
               "coding or body is of a kind that is not stored";
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
                      const struct decision *decision, enum reason reason)
{
    uint64_t bit = 1ull << reason;
    size_t route = policy_route_place(notes->policy, decision->route);
    if (reason == REASON_STATUS || atomic_fetch_or(&notes->reasons[route], bit) & bit)
        return;
    log_info("not stored", {"path", request->path, 0}, {"route", decision->route->match, 0},
             {"reason", reason_name(reason), 0}, {"because", slice_of_string(advice(reason)), 0});
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
