/*
 * How long a stored response is fresh and how stale it may be served: computed at each lookup from
 * stored facts and the policy in force, so that a reload undoes a `ttl` typed by mistake (semantics
 * 4.3, 5.1, 5.3).
 */
#include "policy/facts.h"
#include "policy/media_type.h"

static const duration zero = {0};
static const duration future_tolerance = {5000};     /* semantics 5.3 */
static const duration default_if_error = {86400000}; /* semantics 5.1 */

static duration at_least_zero(duration d)
{
    return d.ms > 0 ? d : zero;
}

/* --- age --- */

static bool is_of_this_boot(const struct facts *facts)
{
    uint64_t boot = clock_boot_id();
    return boot != 0 && facts->boot_id == boot;
}

static duration resident_time(const struct facts *facts, struct instant now)
{
    duration resident = is_of_this_boot(facts) ? mono_since(now.mono, facts->response_mono)
                                               : wall_since(now.wall, facts->response_time);
    return at_least_zero(resident);
}

/* Of another boot and from after `now`: a clock was set, and nobody knows how old this is. */
static bool is_from_the_future(const struct facts *facts, struct instant now)
{
    return !is_of_this_boot(facts) &&
           wall_since(facts->response_time, now.wall).ms > future_tolerance.ms;
}

duration facts_age(const struct facts *facts, struct instant now)
{
    return at_least_zero(duration_add(facts->initial_age, resident_time(facts, now)));
}

/* --- lifetime --- */

const struct lifetime_rule *route_status_rule(const struct route *route, unsigned status)
{
    for (size_t i = 0; i < route->status_ttl_count; i++)
        if (route->status_ttl[i].status == status &&
            duration_is_given(route->status_ttl[i].rule.value))
            return &route->status_ttl[i].rule;
    return NULL;
}

static bool ttl_covers(const struct facts *facts, const struct route *route, slice content_type)
{
    return duration_is_given(route->ttl.value) && (facts->status == 200 || facts->status == 203) &&
           media_type_is_in(content_type, route->content_types);
}

bool status_may_be_forced(unsigned status)
{
    return status < 500 && status != 206;
}

/* RFC 9111 §4.2.2: a tenth of the time since the last change. */
static duration heuristic_lifetime(const struct facts *facts, const struct route *route)
{
    bool is_cacheable = status_is_heuristic(facts->status) || facts->flags & FACT_PUBLIC;
    if (!is_cacheable || facts->flags & FACT_TARGETED || !(facts->flags & FACT_LAST_MODIFIED))
        return zero;
    duration since = at_least_zero(wall_since(facts->date, facts->last_modified));
    duration tenth = {since.ms / 10};
    return duration_is_given(route->heuristic_max) ? duration_min(tenth, route->heuristic_max)
                                                   : tenth;
}

/* The policy's own lifetimes; they need a sealed fill (semantics 2.1). */
static bool policy_lifetime(const struct facts *facts, const struct route *route,
                            slice content_type, bool forced, duration *lifetime,
                            enum lifetime_source *source)
{
    const struct lifetime_rule *by_status = route_status_rule(route, facts->status);
    if (!(facts->flags & FACT_SEALED) || (forced && !status_may_be_forced(facts->status)))
        return false;
    if (by_status && by_status->is_forced == forced) {
        *lifetime = by_status->value;
        *source = forced ? LIFETIME_FORCED : LIFETIME_STATUS_TTL;
        return true;
    }
    if (route->ttl.is_forced == forced && ttl_covers(facts, route, content_type)) {
        *lifetime = route->ttl.value;
        *source = forced ? LIFETIME_FORCED : LIFETIME_TTL;
        return true;
    }
    return false;
}

static duration chosen_lifetime(const struct facts *facts, const struct route *route,
                                slice content_type, enum lifetime_source *source)
{
    duration lifetime;
    if (policy_lifetime(facts, route, content_type, true, &lifetime, source))
        return lifetime;
    if (facts->flags & FACT_EXPLICIT) {
        *source = LIFETIME_EXPLICIT;
        bool is_usable = !(facts->flags & (FACT_NO_STORE | FACT_PRIVATE | FACT_NO_CACHE));
        return is_usable ? at_least_zero(facts->explicit_lifetime) : zero;
    }
    if (policy_lifetime(facts, route, content_type, false, &lifetime, source))
        return lifetime;
    *source = LIFETIME_NONE;
    lifetime = duration_is_given(route->ttl.value) ? zero : heuristic_lifetime(facts, route);
    if (lifetime.ms > 0)
        *source = LIFETIME_HEURISTIC;
    return lifetime;
}

/* Pages made in the same second need not all expire in the same second. */
static duration less_jitter(duration lifetime, uint32_t per_mille)
{
    int64_t tenth = lifetime.ms / 10, part = per_mille <= 1000 ? per_mille : 1000;
    int64_t cut = tenth > INT64_MAX / 1000 ? tenth / 1000 * part : tenth * part / 1000;
    return (duration){lifetime.ms - cut};
}

duration facts_lifetime_from(const struct facts *facts, const struct route *route,
                             slice content_type, enum lifetime_source *source)
{
    duration lifetime = chosen_lifetime(facts, route, content_type, source);
    bool is_error = facts->status >= 400 && facts->status < 500;
    if (is_error && duration_is_given(route->error_max) && !route_status_rule(route, facts->status))
        lifetime = duration_min(lifetime, route->error_max);
    return *source == LIFETIME_EXPLICIT ? lifetime : less_jitter(lifetime, facts->jitter);
}

duration facts_lifetime(const struct facts *facts, const struct route *route, slice content_type)
{
    enum lifetime_source source;
    return facts_lifetime_from(facts, route, content_type, &source);
}

/* --- stale --- */

struct windows { /* how long after the lifetime; zero: never */
    duration while_revalidate, if_error;
};

/* One of the two windows: semantics 5.1's "else … else …". A route whose own word is `response`
 * leaves it to the response, which is silent here. */
static duration window(duration of_response, const struct facts *facts, const struct route *route,
                       duration of_route, duration built_in)
{
    if (duration_is_given(of_response))
        return duration_is_given(route->stale_max) ? duration_min(of_response, route->stale_max)
                                                   : of_response;
    if (route->stale.is_set)
        return duration_is_given(of_route) ? of_route : zero;
    return facts->flags & FACT_S_MAXAGE ? zero : built_in;
}

static struct windows stale_windows(const struct facts *facts, const struct route *route)
{
    bool is_forbidden = facts->flags & (FACT_MUST_REVALIDATE | FACT_NO_CACHE);
    if (is_forbidden && !(route->stale.is_set && route->stale.is_forced))
        return (struct windows){zero, zero};
    return (struct windows){
        window(facts->stale_while_revalidate, facts, route, route->stale.while_revalidate, zero),
        window(facts->stale_if_error, facts, route, route->stale.if_error, default_if_error)};
}

bool facts_have_stale_window(const struct facts *facts, const struct route *route)
{
    struct windows w = stale_windows(facts, route);
    return w.while_revalidate.ms > 0 || w.if_error.ms > 0;
}

static duration fresh_left(const struct facts *facts, const struct route *route, duration lifetime,
                           struct instant now)
{
    duration left = {saturating_sub(lifetime.ms, facts_age(facts, now).ms)};
    if (duration_is_given(route->document_max) && !route->is_asset) {
        duration resident = resident_time(facts, now);
        duration here = {saturating_sub(route->document_max.ms, resident.ms)};
        left = duration_min(left, here);
    }
    return is_from_the_future(facts, now) ? duration_min(left, zero) : left;
}

duration facts_fresh_left(const struct facts *facts, const struct route *route, slice content_type,
                          struct instant now)
{
    return fresh_left(facts, route, facts_lifetime(facts, route, content_type), now);
}

static enum freshness staleness_of(struct windows w, duration staleness, bool has_old_policy)
{
    if (!has_old_policy && staleness.ms < w.while_revalidate.ms)
        return STALE_WHILE_REVALIDATE;
    return staleness.ms < w.if_error.ms ? STALE_IF_ERROR : STALE_UNUSABLE;
}

enum freshness facts_freshness(const struct facts *facts, const struct route *route,
                               bool never_shell_class, slice content_type, bool is_soft_purged,
                               bool has_old_policy, struct instant now)
{
    enum lifetime_source source;
    duration lifetime = facts_lifetime_from(facts, route, content_type, &source);
    if (facts->flags & (FACT_NO_STORE | FACT_PRIVATE) && source != LIFETIME_FORCED)
        return STALE_UNUSABLE; /* stored under a `force` that is no more */
    duration left = fresh_left(facts, route, lifetime, now);
    if (left.ms > 0 && !is_soft_purged && !has_old_policy)
        return FRESH;
    struct windows w = stale_windows(facts, route);
    if (never_shell_class && w.if_error.ms > 0)
        w.if_error = DURATION_MAX;
    return staleness_of(w, at_least_zero((duration){saturating_sub(0, left.ms)}), has_old_policy);
}
