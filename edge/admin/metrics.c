/*
 * Counting. Series whose labels come from the configuration are found on first use and remembered
 * in tables of atomic pointers: a request adds to its counters without a lock or a look-up.
 */
#include "edge/admin/metrics.h"

#include "edge/admin/series.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES_BYTES = COUNTER_NAME_BYTES + 1, STATUS_MAX = 599 };

typedef _Atomic(counter *) lazy_counter;

struct metrics {
    struct counters *counters;
    const struct policy *policy;
    lazy_counter *requests; /* [route][class][outcome]; the last route is "no route matched" */
    lazy_counter not_stored[REASON_COUNT], shell[REASON_COUNT];
    lazy_counter identified_cookie, identified_header;
    lazy_counter *capped; /* [route] */
    lazy_counter *shed;   /* [class] */
    lazy_counter refused[STATUS_MAX + 1];
    lazy_counter purges[PURGE_KIND_COUNT];
    lazy_counter hits_ram, hits_disk;
    lazy_counter interim_taken, interim_dropped;
    struct histogram duration[OUTCOME_COUNT];
    struct histogram *render;     /* [route] */
    struct histogram *queue_wait; /* [class] */
};

static counter *find(struct metrics *metrics, lazy_counter *lazy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static counter *find(struct metrics *metrics, lazy_counter *lazy, const char *format, ...)
{
    counter *known = atomic_load_explicit(lazy, memory_order_acquire);
    if (known)
        return known;
    char name[SERIES_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    size_t used = (size_t)length < sizeof(name) ? (size_t)length : sizeof(name) - 1;
    known = counters_series(metrics->counters, slice_of(name, used));
    atomic_store_explicit(lazy, known, memory_order_release);
    return known;
}

/* --- making --- */

static size_t class_index(const struct metrics *metrics, const struct class_config *class_config)
{
    return class_config ? (size_t)(class_config - metrics->policy->classes) : 0;
}

struct metrics *metrics_new(struct counters *counters, const struct policy *policy)
{
    struct metrics *metrics = mem_alloc(sizeof(*metrics));
    size_t routes = policy->route_count + 1, classes = policy->class_count;
    metrics->counters = counters;
    metrics->policy = policy;
    metrics->requests = mem_alloc(routes * classes * OUTCOME_COUNT * sizeof(*metrics->requests));
    metrics->render = mem_alloc(routes * sizeof(*metrics->render));
    metrics->queue_wait = mem_alloc(classes * sizeof(*metrics->queue_wait));
    metrics->capped = mem_alloc(routes * sizeof(*metrics->capped));
    metrics->shed = mem_alloc(classes * sizeof(*metrics->shed));
    char labels[SERIES_LABEL_BYTES];
    for (size_t i = 0; i < OUTCOME_COUNT; i++)
        histogram_init(
            &metrics->duration[i], counters, SLICE("varve_request_duration_seconds"),
            series_label(labels, sizeof(labels), "outcome", outcome_name((enum outcome)i)));
    for (size_t i = 0; i < routes; i++) {
        slice match = i < policy->route_count ? policy->routes[i].match : SLICE("-");
        histogram_init(&metrics->render[i], counters, SLICE("varve_render_seconds"),
                       series_label(labels, sizeof(labels), "route", match));
    }
    for (size_t i = 0; i < classes; i++)
        histogram_init(&metrics->queue_wait[i], counters, SLICE("varve_queue_wait_seconds"),
                       series_label(labels, sizeof(labels), "class", policy->classes[i].name));
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    free(metrics->requests);
    free(metrics->render);
    free(metrics->queue_wait);
    free(metrics->capped);
    free(metrics->shed);
    free(metrics);
}

/* --- requests --- */

/* "-" where no route matched. */
static slice route_text(const struct metrics *metrics, const struct route *route)
{
    return route && route != &metrics->policy->route_pass ? route->match : SLICE("-");
}

static counter *capped_counter(struct metrics *metrics, const struct route *route)
{
    char label[SERIES_LABEL_BYTES];
    series_label(label, sizeof(label), "route", route_text(metrics, route));
    return find(metrics, &metrics->capped[policy_route_place(metrics->policy, route)],
                "varve_variants_capped_total{%s}", label);
}

static counter *shed_counter(struct metrics *metrics, const struct class_config *class_config)
{
    char label[SERIES_LABEL_BYTES];
    size_t class = class_index(metrics, class_config);
    series_label(label, sizeof(label), "class", metrics->policy->classes[class].name);
    return find(metrics, &metrics->shed[class], "varve_shed_total{%s}", label);
}

static counter *request_counter(struct metrics *metrics, const struct decision *decision,
                                enum outcome outcome)
{
    size_t route = policy_route_place(metrics->policy, decision->route),
           class = class_index(metrics, decision->class_config);
    size_t place = (route * metrics->policy->class_count + class) * OUTCOME_COUNT + outcome;
    char match[SERIES_LABEL_BYTES], name[SERIES_LABEL_BYTES];
    if (atomic_load_explicit(&metrics->requests[place], memory_order_acquire))
        return metrics->requests[place];
    series_label(match, sizeof(match), "route", route_text(metrics, decision->route));
    series_label(name, sizeof(name), "class", metrics->policy->classes[class].name);
    return find(metrics, &metrics->requests[place], "varve_requests_total{%s,%s,outcome=\"%.*s\"}",
                match, name, SLICE_ARG(outcome_name(outcome)));
}

static void count_identified(struct metrics *metrics, const struct decision *decision)
{
    bool is_cookie = slice_starts_with(decision->identified_by, SLICE("cookie:"));
    lazy_counter *lazy = is_cookie ? &metrics->identified_cookie : &metrics->identified_header;
    counter_add(
        find(metrics, lazy, "varve_identified_total{why=\"%s\"}", is_cookie ? "cookie" : "header"),
        1);
}

void metrics_request(struct metrics *metrics, const struct exchange *ex, duration took)
{
    counter_add(request_counter(metrics, &ex->decision, ex->outcome), 1);
    histogram_observe(&metrics->duration[ex->outcome], took.ms > 0 ? (uint64_t)took.ms * 1000 : 0);
    if (ex->decision.is_logged_in)
        count_identified(metrics, &ex->decision);
    if (ex->outcome == OUTCOME_HIT)
        counter_add(ex->was_read
                        ? find(metrics, &metrics->hits_disk, "varve_hits_total{tier=\"disk\"}")
                        : find(metrics, &metrics->hits_ram, "varve_hits_total{tier=\"memory\"}"),
                    1);
    if (ex->outcome == OUTCOME_SHELL)
        counter_add(find(metrics, &metrics->shell[ex->reason], "varve_shell_total{reason=\"%.*s\"}",
                         SLICE_ARG(reason_name(ex->reason))),
                    1);
    if (ex->outcome == OUTCOME_SHED)
        counter_add(shed_counter(metrics, ex->decision.class_config), 1);
}

void metrics_refused(struct metrics *metrics, unsigned status)
{
    status = status <= STATUS_MAX ? status : 0;
    counter_add(find(metrics, &metrics->refused[status],
                     "varve_refused_requests_total{status=\"%u\"}", status),
                1);
}

void metrics_render(struct metrics *metrics, const struct decision *decision,
                    const struct flight_head *head)
{
    histogram_observe(&metrics->render[policy_route_place(metrics->policy, decision->route)],
                      (uint64_t)head->rendered.ms * 1000);
    histogram_observe(&metrics->queue_wait[class_index(metrics, decision->class_config)],
                      (uint64_t)head->queued.ms * 1000);
}

void metrics_interim(struct metrics *metrics, bool is_dropped)
{
    lazy_counter *lazy = is_dropped ? &metrics->interim_dropped : &metrics->interim_taken;
    counter_add(find(metrics, lazy, "varve_interim_responses_total{result=\"%s\"}",
                     is_dropped ? "dropped" : "taken"),
                1);
}

void metrics_not_stored(struct metrics *metrics, enum reason reason)
{
    counter_add(find(metrics, &metrics->not_stored[reason],
                     "varve_not_stored_total{reason=\"%.*s\"}", SLICE_ARG(reason_name(reason))),
                1);
}

void metrics_stored(struct metrics *metrics, const struct decision *decision, enum stored stored)
{
    if (stored == STORED_NOT_CAPPED) {
        counter_add(capped_counter(metrics, decision->route), 1);
        metrics_not_stored(metrics, REASON_VARIANT_CAP);
    } else if (stored == STORED_NOT_TOO_LARGE) {
        metrics_not_stored(metrics, REASON_TOO_LARGE);
    }
}

void metrics_purge(struct metrics *metrics, enum purge_kind kind, uint64_t count)
{
    static const char *const kinds[PURGE_KIND_COUNT] = {"url", "prefix", "tag", "host", "all"};
    counter_add(
        find(metrics, &metrics->purges[kind], "varve_purges_total{kind=\"%s\"}", kinds[kind]),
        count);
}

/* Too rare for a table. */
static void count_change(struct metrics *metrics, const char *family, slice label, const char *to)
{
    char name[SERIES_BYTES];
    int length = snprintf(name, sizeof(name), "%s{%" SLICE_FMT "%sto=\"%s\"}", family,
                          SLICE_ARG(label), label.len ? "," : "", to);
    counter_add(counters_series(metrics->counters, slice_of(name, (size_t)length)), 1);
}

void metrics_mode(struct metrics *metrics, enum mode to)
{
    count_change(metrics, "varve_mode_changes_total", SLICE_NONE, mode_name(to).ptr);
}

void metrics_count_origins(struct metrics *metrics, struct origins *origins)
{
    struct origin_counts counts = {
        .retries = counters_series(metrics->counters, SLICE("varve_retries_total"))};
    for (size_t i = 0; i < metrics->policy->origin_count; i++) {
        const struct origin_config *origin = &metrics->policy->origins[i];
        char label[SERIES_LABEL_BYTES], name[SERIES_BYTES];
        series_label(label, sizeof(label), "origin", origin->name);
        int length = snprintf(name, sizeof(name), "varve_over_share_total{%s}", label);
        counts.over_share = counters_series(metrics->counters, slice_of(name, (size_t)length));
        origins_count_at(origins, origin, counts);
    }
}

void metrics_origin_changed(struct metrics *metrics, slice origin, bool is_down)
{
    char label[SERIES_LABEL_BYTES];
    count_change(metrics, "varve_origin_changes_total",
                 series_label(label, sizeof(label), "origin", origin), is_down ? "down" : "up");
}

counter *metrics_upstream_error(struct metrics *metrics, slice worker, enum call_failure failure)
{
    char name[SERIES_BYTES], label[SERIES_LABEL_BYTES];
    series_label(label, sizeof(label), "worker", worker.len ? worker : SLICE("-"));
    int length =
        snprintf(name, sizeof(name), "varve_upstream_errors_total{%s,kind=\"%" SLICE_FMT "\"}",
                 label, SLICE_ARG(call_failure_name(failure)));
    counter *series = counters_series(metrics->counters, slice_of(name, (size_t)length));
    counter_add(series, 1);
    return series;
}
