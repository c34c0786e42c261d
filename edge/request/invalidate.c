/*
 * Marking URLs and cache groups stale after unsafe requests. The later markings of one of them wait
 * for the end of its 10 s in timers of the loop; a drain makes them at once, so that a reload loses
 * none.
 */
#include "edge/request/invalidate.h"

#include "base/log.h"
#include "edge/request/purge_order.h"
#include "policy/reference.h"

#include <stdlib.h>

enum { TOGETHER_MS = 10000, LATE_MAX = 16384 };

/* What a later marking needs: it outlives the request. */
struct late_invalidation {
    struct loop_timer timer;
    struct server *server;
    struct loop *loop;
    struct arena arena;
    struct purge_order order;
};

/* What one unsafe request does. */
struct marking {
    struct server *server;
    struct loop *loop;
    uint64_t newest; /* stamp of the newest record written; 0: none */
};

static void purge(struct marking *m, const struct purge_order *order)
{
    uint64_t stamp = 0;
    int error = purge_add(m->server->purges, order, loop_now(m->loop).wall, &stamp);
    if (error)
        log_error("invalidation not written: it holds until the process ends",
                  {order->kind == PURGE_TAG ? "tag" : "path",
                   order->kind == PURGE_TAG ? order->tag : order->path, 0},
                  {"error", slice_of_string(strerror(error)), 0});
    m->newest = stamp > m->newest ? stamp : m->newest;
}

static void purge_late(struct loop_timer *timer)
{
    struct late_invalidation *late = container_of(timer, struct late_invalidation, timer);
    struct marking marking = {.server = late->server, .loop = late->loop};
    purge(&marking, &late->order);
    atomic_fetch_sub(&late->server->late_invalidations, 1);
    arena_fini(&late->arena);
    free(late);
}

void invalidate_now(struct loop *loop)
{
    loop_timers_fire_early(loop, purge_late);
}

static void purge_later(struct server *server, struct loop *loop, const struct purge_order *order,
                        duration delay)
{
    struct late_invalidation *late = mem_alloc(sizeof(*late));
    late->server = server;
    late->loop = loop;
    arena_init(&late->arena);
    late->order = *order;
    late->order.host = arena_copy(&late->arena, order->host);
    late->order.path = arena_copy(&late->arena, order->path);
    late->order.query = arena_copy(&late->arena, order->query);
    late->order.tag = arena_copy(&late->arena, order->tag);
    late->timer.fire = purge_late;
    atomic_fetch_add(&server->late_invalidations, 1);
    loop_timer_set(loop, &late->timer, delay);
}

/* The key under which a marking is remembered; `stage` keeps "done" and "one more is due" apart.
 * URLs have a path and groups have none. */
static struct key stage_key(const struct purge_order *order, char stage)
{
    struct arena arena;
    arena_init(&arena);
    slice text = arena_concat(&arena,
                              (slice[]){slice_of(&stage, 1), order->host, SLICE("\n"), order->path,
                                        order->has_query ? SLICE("?") : SLICE_NONE, order->query,
                                        SLICE("\n"), order->tag},
                              8);
    struct key key = key_of(text);
    arena_fini(&arena);
    return key;
}

static bool may_wait(struct server *server)
{
    return !atomic_load(&server->is_draining) &&
           atomic_load(&server->late_invalidations) < LATE_MAX;
}

/* Drops at once; marks stale by the rule of the 10 s, which the first of them begins. */
static void invalidate(struct marking *m, const struct purge_order *order)
{
    struct server *server = m->server;
    mono_time now = loop_now(m->loop).mono;
    struct key done = stage_key(order, 'd'), due = stage_key(order, 'l');
    duration left = mono_since(marks_end(server->invalidations, &done, now), now);
    if (!order->is_soft || !may_wait(server)) {
        purge(m, order);
    } else if (left.ms == 0) {
        mono_time end = mono_after(now, (duration){TOGETHER_MS});
        marks_set(server->invalidations, &done, end, REASON_METHOD);
        purge(m, order);
    } else if (!marks_has(server->invalidations, &due, now)) {
        marks_set(server->invalidations, &due, mono_after(now, left), REASON_METHOD);
        purge_later(server, m->loop, order, left);
    }
}

/* The page and the data that its framework asks for at URLs of their own (semantics 6.4). */
static void invalidate_page(struct marking *m, const struct request *request,
                            const struct purge_order *page)
{
    struct purge_order twins;
    invalidate(m, page);
    if (purge_order_of_twins(m->server->policy, page, request->arena, &twins))
        invalidate(m, &twins);
}

/* Location or Content-Location, when it is of this origin; it may be relative (RFC 9111 §4.4). */
static void invalidate_named(struct marking *m, const struct request *request,
                             const struct field *field)
{
    struct purge_order order = {.kind = PURGE_URL};
    struct reference target;
    if (!field || !reference_resolve(request, field->value, &target) ||
        !slice_equal(target.scheme, request->scheme))
        return;
    slice url = arena_concat(request->arena,
                             (slice[]){target.scheme, SLICE("://"), target.host, target.path,
                                       target.has_query ? SLICE("?") : SLICE_NONE, target.query},
                             6);
    if (rules_purge_url(m->server->policy, request->arena, url, request->host, &order.host,
                        &order.path, &order.query, &order.has_query) &&
        slice_equal(order.host, request->host))
        invalidate_page(m, request, &order);
}

/* Of the same origin, whatever else is in them: nothing follows from a group (RFC 9875 §2.2.1). */
static void invalidate_groups(struct marking *m, const struct request *request,
                              const struct response *response, bool is_soft)
{
    struct slices tags;
    if (!rules_invalidated_groups(request, &response->fields, request->arena, &tags))
        log_warn("an answer invalidates too many cache groups: the rest of them is ignored",
                 {"host", request->host, 0}, {"path", request->path, 0});
    for (size_t i = 0; i < tags.count; i++)
        invalidate(m,
                   &(struct purge_order){.kind = PURGE_TAG, .is_soft = is_soft, .tag = tags.at[i]});
}

uint64_t invalidate_after(struct server *server, struct loop *loop, const struct request *request,
                          const struct decision *decision, const struct response *response)
{
    struct marking marking = {.server = server, .loop = loop};
    if (decision->route->invalidate == INVALIDATE_NEVER)
        return 0;
    struct purge_order page = purge_order_of(request, decision);
    page.is_soft = decision->route->invalidate == INVALIDATE_SOFT;
    invalidate_page(&marking, request, &page);
    invalidate_groups(&marking, request, response, page.is_soft);
    if (!page.is_soft) {
        invalidate_named(&marking, request, fields_find_id(&response->fields, FIELD_LOCATION));
        invalidate_named(&marking, request,
                         fields_find_id(&response->fields, FIELD_CONTENT_LOCATION));
    }
    return marking.newest;
}
