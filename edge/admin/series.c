/*
 * What /metrics and /v1/stats show: the counters of the shared memory, and gauges that are asked
 * for at this moment.
 */
#include "edge/admin/series.h"

#include "edge/admin/metrics.h"
#include "edge/origin/renderer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Length of the UTF-8 sequence that begins with `c`; 1 for what begins none. */
static size_t sequence_bytes(unsigned char c)
{
    return c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
}

slice series_label(char *buffer, size_t size, const char *name, slice value)
{
    size_t used = (size_t)snprintf(buffer, size, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool is_escaped = c == '"' || c == '\\';
        /* behind it: the quote, the end; a sequence comes whole or not at all */
        if (used + is_escaped + sequence_bytes((unsigned char)c) + 2 > size)
            break;
        if (is_escaped)
            buffer[used++] = '\\';
        buffer[used++] = (unsigned char)c >= 0x20 && c != 0x7f ? c : '?';
    }
    buffer[used++] = '"';
    buffer[used] = '\0';
    return slice_of(buffer, used);
}

/* --- one list of samples, from counters and gauges --- */

struct sample {
    char *name;
    double value;
    bool is_counter;
    size_t order; /* within its family: buckets stay in the order of their bounds */
};

struct samples {
    struct sample *at;
    size_t count, capacity;
};

static void add(struct samples *samples, slice name, double value, bool is_counter)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 256;
        samples->at = mem_grow(samples->at, samples->capacity * sizeof(*samples->at));
    }
    samples->at[samples->count] =
        (struct sample){strndup(name.ptr, name.len), value, is_counter, samples->count};
    samples->count++;
}

static void gauge(struct samples *samples, const char *name, double value)
{
    add(samples, slice_of_string(name), value, false);
}

static void add_counter(void *arg, slice name, uint64_t value)
{
    slice family = slice_until(name, slice_find(name, '{', 0));
    bool is_seconds = slice_ends_with(family, SLICE("_seconds_sum"));
    add(arg, name, is_seconds ? (double)value / 1e6 : (double)value, true);
}

static void add_store(struct samples *samples, struct server *server)
{
    struct cache_stats stats = cache_stats(server->cache);
    gauge(samples, "varve_store_bytes", (double)stats.store_bytes);
    gauge(samples, "varve_store_objects", (double)stats.store_objects);
    gauge(samples, "varve_store_state", (double)stats.store_state);
    gauge(samples, "varve_store_commit_seconds", (double)stats.last_commit_us / 1e6);
    gauge(samples, "varve_memory_bytes{what=\"objects\"}", (double)stats.ram_bytes);
    gauge(samples, "varve_memory_objects", (double)stats.ram_objects);
    add(samples, SLICE("varve_store_dropped_total"), (double)stats.dropped, true);
    add(samples, SLICE("varve_store_damaged_total"), (double)stats.damaged, true);
    add(samples, SLICE("varve_evictions_total{why=\"memory\"}"), (double)stats.evictions_ram, true);
    add(samples, SLICE("varve_evictions_total{why=\"store\"}"), (double)stats.evictions_store,
        true);
}

static void add_front(struct samples *samples, struct server *server)
{
    struct front_stats stats = front_stats(server->front);
    gauge(samples, "varve_connections", (double)stats.clients);
    add(samples, SLICE("varve_connections_accepted_total"), (double)stats.accepted, true);
    add(samples, SLICE("varve_connections_refused_total"), (double)stats.refused_full, true);
    add(samples, SLICE("varve_bad_requests_total"), (double)stats.bad_requests, true);
    add(samples, SLICE("varve_client_timeouts_total"), (double)stats.timeouts, true);
    add(samples, SLICE("varve_http2_floods_total"), (double)stats.h2_floods, true);
    int64_t expiry = front_first_expiry(server->front);
    if (expiry != INT64_MAX) /* seconds left; below 0: it has ended */
        gauge(samples, "varve_tls_expiry_seconds", (double)(expiry - clock_now().wall.ms / 1000));
}

static void add_worker(void *arg, const struct worker_view *worker)
{
    struct samples *samples = arg;
    char label[SERIES_LABEL_BYTES], text[256];
    slice state = worker->state;
    series_label(label, sizeof(label), "worker", worker->name);
    unsigned busy = worker->busy, free_slots = worker->slots > busy ? worker->slots - busy : 0;
    int length = snprintf(text, sizeof(text), "varve_slots{%s,state=\"busy\"}", label);
    add(samples, slice_of(text, (size_t)length), busy, false);
    length = snprintf(text, sizeof(text), "varve_slots{%s,state=\"free\"}", label);
    add(samples, slice_of(text, (size_t)length), free_slots, false);
    length = snprintf(text, sizeof(text), "varve_worker_up{%s}", label);
    bool is_up = slice_equal(state, SLICE("live")) || slice_equal(state, SLICE("starting")) ||
                 slice_equal(state, SLICE("quarantined"));
    add(samples, slice_of(text, (size_t)length), is_up, false);
}

/* Renderers under `spawn`. Reasons that never happened are left out. */
static void add_renderer(void *arg, slice worker, struct renderer *renderer)
{
    struct samples *samples = arg;
    char label[SERIES_LABEL_BYTES], text[256];
    series_label(label, sizeof(label), "worker", worker);
    int length = snprintf(text, sizeof(text), "varve_renderer_memory_bytes{%s}", label);
    add(samples, slice_of(text, (size_t)length), (double)atomic_load(&renderer->memory_bytes),
        false);
    for (unsigned why = 0; why < RESTART_WHY_COUNT; why++) {
        uint64_t count = atomic_load(&renderer->restarts[why]);
        length = snprintf(text, sizeof(text), "varve_renderer_restarts_total{%s,why=\"%s\"}", label,
                          restart_why_name((enum restart_why)why));
        if (count > 0)
            add(samples, slice_of(text, (size_t)length), (double)count, true);
    }
}

static void add_changes(void *arg, slice worker, const struct worker_counters *counters)
{
    char label[SERIES_LABEL_BYTES], text[256];
    series_label(label, sizeof(label), "worker", worker);
    int length = snprintf(text, sizeof(text), "varve_worker_changes_total{%s,to=\"up\"}", label);
    add(arg, slice_of(text, (size_t)length), (double)atomic_load(&counters->ups), true);
    length = snprintf(text, sizeof(text), "varve_worker_changes_total{%s,to=\"down\"}", label);
    add(arg, slice_of(text, (size_t)length), (double)atomic_load(&counters->downs), true);
    uint64_t unclear = atomic_load(&counters->unclear_builds);
    length = snprintf(text, sizeof(text), "varve_worker_build_unclear_total{%s}", label);
    if (unclear > 0)
        add(arg, slice_of(text, (size_t)length), (double)unclear, true);
}

static void add_mode(struct samples *samples, const struct mode_word *word)
{
    for (enum mode mode = MODE_AUTO; mode < MODE_COUNT; mode++) {
        char text[64];
        int length = snprintf(text, sizeof(text), "varve_mode{mode=\"%s\"}", mode_name(mode).ptr);
        add(samples, slice_of(text, (size_t)length), mode_now(word) == mode, false);
    }
}

struct queue_depths {
    unsigned of_rank[QUEUE_RANKS + 1];
};

static void note_waiting(void *arg, unsigned rank, unsigned waiting, mono_time oldest)
{
    struct queue_depths *depths = arg;
    (void)oldest;
    depths->of_rank[rank] = waiting;
}

static void add_depth(struct samples *samples, slice origin, slice class_name, unsigned waiting)
{
    char label[SERIES_LABEL_BYTES], class_label[SERIES_LABEL_BYTES], text[256];
    series_label(label, sizeof(label), "origin", origin);
    series_label(class_label, sizeof(class_label), "class", class_name);
    int length = snprintf(text, sizeof(text), "varve_queue_depth{%s,%s}", label, class_label);
    add(samples, slice_of(text, (size_t)length), waiting, false);
}

/* By the class as which they wait: one that is known by its User-Agent alone waits as the last. */
static void add_queue(struct samples *samples, struct server *server,
                      const struct origin_config *origin)
{
    const struct policy *policy = server->policy;
    struct queue_depths depths = {{0}};
    origins_each_waiting(server->origins, origin, note_waiting, &depths);
    for (size_t i = 0; i < policy->class_count; i++)
        add_depth(samples, origin->name, policy->classes[i].name, depths.of_rank[i]);
    add_depth(samples, origin->name, SLICE("(background)"), depths.of_rank[QUEUE_BACKGROUND]);
}

static void add_origin(struct samples *samples, struct server *server,
                       const struct origin_config *origin)
{
    char label[SERIES_LABEL_BYTES], text[256];
    bool is_up = !origin_state(server->origins, origin).is_down;
    series_label(label, sizeof(label), "origin", origin->name);
    int length = snprintf(text, sizeof(text), "varve_origin_up{%s}", label);
    add(samples, slice_of(text, (size_t)length), is_up, false);
    add_queue(samples, server, origin);
}

static void add_server(struct samples *samples, struct server *server)
{
    duration lag = {0};
    for (size_t i = 0; i < server->loop_count; i++) {
        duration one = loop_take_lag(&server->loops[i]);
        lag = one.ms > lag.ms ? one : lag;
    }
    gauge(samples, "varve_loop_lag_seconds", (double)lag.ms / 1000);
    gauge(samples, "varve_flights", (double)flights_count(server->flights));
    struct purge_stats purges = purge_stats(server->purges);
    gauge(samples, "varve_purge_records", (double)purges.records);
    add(samples, SLICE("varve_purge_overflows_total"), (double)purges.overflows, true);
    origins_each_counters(server->origins, add_changes, samples);
    gauge(samples, "varve_build_info{version=\"" VARVE_VERSION "\"}", 1);
    for (size_t i = 0; i < server->policy->origin_count; i++)
        add_origin(samples, server, &server->policy->origins[i]);
    add_mode(samples, server->mode);
    origins_each_worker(server->origins, add_worker, samples);
    origins_each_renderer(server->origins, NULL, add_renderer, samples);
}

/* The family of a sample: its name without labels and, for histograms, without _bucket, _sum,
 * _count. */
static slice family_of(const char *name, bool *is_histogram)
{
    slice text = slice_of_string(name);
    slice family = slice_until(text, slice_find(text, '{', 0));
    static const slice parts[] = {
        {"_seconds_bucket", 15}, {"_seconds_sum", 12}, {"_seconds_count", 14}};
    *is_histogram = false;
    for (size_t i = 0; i < 3; i++)
        if (slice_ends_with(family, parts[i])) {
            *is_histogram = true;
            return slice_until(family, family.len - parts[i].len + sizeof("_seconds") - 1);
        }
    return family;
}

static int by_family(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    bool ignored;
    int order = slice_compare(family_of(x->name, &ignored), family_of(y->name, &ignored));
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static struct samples collect(struct server *server)
{
    struct samples samples = {0};
    counters_each(server->counters, add_counter, &samples);
    add_store(&samples, server);
    add_front(&samples, server);
    add_server(&samples, server);
    qsort(samples.at, samples.count, sizeof(*samples.at), by_family);
    return samples;
}

static void samples_fini(struct samples *samples)
{
    for (size_t i = 0; i < samples->count; i++)
        free(samples->at[i].name);
    free(samples->at);
}

/* --- Prometheus text --- */

char *metrics_prometheus(struct server *server)
{
    struct samples samples = collect(server);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    slice last = SLICE_NONE;
    for (size_t i = 0; out && i < samples.count; i++) {
        bool is_histogram;
        slice family = family_of(samples.at[i].name, &is_histogram);
        if (!slice_equal(family, last))
            fprintf(out, "# TYPE %" SLICE_FMT " %s\n", SLICE_ARG(family),
                    is_histogram               ? "histogram"
                    : samples.at[i].is_counter ? "counter"
                                               : "gauge");
        last = family;
        fprintf(out, "%s %.15g\n", samples.at[i].name, samples.at[i].value);
    }
    if (out)
        fclose(out);
    samples_fini(&samples);
    return text;
}

/* --- JSON: the same samples by name --- */

static bool is_bucket(const char *name)
{
    slice text = slice_of_string(name);
    return slice_ends_with(slice_until(text, slice_find(text, '{', 0)), SLICE("_bucket"));
}

char *metrics_json(struct server *server)
{
    struct samples samples = collect(server);
    json_t *stats = json_object();
    for (size_t i = 0; i < samples.count; i++)
        if (!is_bucket(samples.at[i].name))
            json_object_set_new(stats, samples.at[i].name, json_real(samples.at[i].value));
    char *text = json_dumps(stats, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    json_decref(stats);
    samples_fini(&samples);
    return text;
}
