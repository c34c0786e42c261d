/*
 * The shared region of counters: a header and an array of series in order of first use.
 *
 *     header: magic, robust mutex, count      series[0]: varve_series_overflow_total
 *                                             series[1] … series[count - 1]
 *
 * Names are written once, before `count` is raised, so reading takes no lock. Making a series holds
 * a robust process-shared mutex: a worker killed half-way leaves an entry that `count` does not
 * show. Each series has cache lines of its own, so that two loops' counters never share one.
 *
 * A histogram's buckets are neighbours and marked: an observation adds to one of them only, and
 * counters_each() sums them up, as Prometheus wants.
 */
#include "base/counters.h"

#include "base/must.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum series_kind { SERIES_PLAIN, SERIES_FIRST_BUCKET, SERIES_NEXT_BUCKET };
enum { CACHE_LINE = 64, BUCKETS = 17 };

struct series {
    _Alignas(CACHE_LINE) counter value;
    uint16_t name_bytes;
    uint8_t kind;
    char name[COUNTER_NAME_BYTES];
};

struct counters {
    uint64_t magic;
    pthread_mutex_t mutex; /* to make series */
    _Atomic uint32_t count;
    struct series series[COUNTER_SERIES_MAX];
};

static const uint64_t counters_magic = 0x7661727665637473u; /* "varvects" */

size_t counters_region_bytes(void)
{
    return sizeof(struct counters);
}

/* Not seen before `count` is raised over it. */
static void fill(struct series *series, slice name, enum series_kind kind)
{
    memcpy(series->name, name.ptr, name.len);
    series->name_bytes = (uint16_t)name.len;
    series->kind = (uint8_t)kind;
}

void counters_region_init(void *region)
{
    struct counters *counters = region;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    MUST(pthread_mutex_init(&counters->mutex, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
    fill(&counters->series[0], SLICE("varve_series_overflow_total"), SERIES_PLAIN);
    atomic_store_explicit(&counters->count, 1, memory_order_release);
    counters->magic = counters_magic;
}

struct counters *counters_attach(void *region)
{
    struct counters *counters = region;
    MUST(counters->magic == counters_magic);
    return counters;
}

static struct series *find(struct counters *counters, slice name)
{
    uint32_t count = atomic_load_explicit(&counters->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct series *series = &counters->series[i];
        if (slice_equal(slice_of(series->name, series->name_bytes), name))
            return series;
    }
    return NULL;
}

static void lock(struct counters *counters)
{
    int error = pthread_mutex_lock(&counters->mutex);
    if (error == EOWNERDEAD) /* nothing to mend: `count` hides what was half-made */
        error = pthread_mutex_consistent(&counters->mutex);
    MUST(error == 0);
}

/* `count` series that stay neighbours: shown together or, if the process dies here, not at all. */
static struct series *make(struct counters *counters, const slice *names, uint32_t count,
                           enum series_kind first_kind)
{
    uint32_t used = atomic_load_explicit(&counters->count, memory_order_relaxed);
    if (COUNTER_SERIES_MAX - used < count)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].len > COUNTER_NAME_BYTES)
            return NULL;
        fill(&counters->series[used + i], names[i], i ? SERIES_NEXT_BUCKET : first_kind);
    }
    atomic_store_explicit(&counters->count, used + count, memory_order_release);
    return &counters->series[used];
}

/* NULL if they do not fit. */
static struct series *find_or_make(struct counters *counters, const slice *names, uint32_t count,
                                   enum series_kind first_kind)
{
    struct series *series = find(counters, names[0]);
    if (!series) {
        lock(counters);
        series = find(counters, names[0]); /* another thread may have been faster */
        if (!series)
            series = make(counters, names, count, first_kind);
        pthread_mutex_unlock(&counters->mutex);
    }
    return series && series->kind == first_kind ? series : NULL;
}

counter *counters_series(struct counters *counters, slice name)
{
    struct series *series = find_or_make(counters, &name, 1, SERIES_PLAIN);
    return series ? &series->value : &counters->series[0].value;
}

void counters_each(struct counters *counters, void (*visit)(void *arg, slice name, uint64_t value),
                   void *arg)
{
    uint32_t count = atomic_load_explicit(&counters->count, memory_order_acquire);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct series *series = &counters->series[i];
        uint64_t value = atomic_load_explicit(&series->value, memory_order_relaxed);
        sum = series->kind == SERIES_NEXT_BUCKET ? sum + value : value;
        if (i > 0 || value > 0) /* no overflow, no series */
            visit(arg, slice_of(series->name, series->name_bytes), sum);
    }
}

static const struct {
    uint64_t microseconds;
    const char *le;
} bounds[BUCKETS] = {
    {500, "0.0005"},  {1000, "0.001"},      {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
    {25000, "0.025"}, {50000, "0.05"},      {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},   {2500000, "2.5"},     {5000000, "5"},   {10000000, "10"}, {30000000, "30"},
    {60000000, "60"}, {UINT64_MAX, "+Inf"},
};

/* What is printed here and does not fit a series goes to the overflow, whole or cut. */
enum { TEXT_BYTES = 256 };

static slice printed(const char *text, int length)
{
    MUST(length >= 0);
    return slice_of(text, length < TEXT_BYTES ? (size_t)length : TEXT_BYTES - 1);
}

static counter *part_series(struct counters *counters, slice name, const char *suffix, slice labels)
{
    char text[TEXT_BYTES];
    const char *open = labels.len ? "{" : "", *close = labels.len ? "}" : "";
    int length = snprintf(text, sizeof(text), "%.*s%s%s%.*s%s", SLICE_ARG(name), suffix, open,
                          SLICE_ARG(labels), close);
    return counters_series(counters, printed(text, length));
}

void histogram_init(struct histogram *histogram, struct counters *counters, slice name,
                    slice labels)
{
    char texts[BUCKETS][TEXT_BYTES];
    slice names[BUCKETS];
    for (size_t i = 0; i < BUCKETS; i++)
        names[i] = printed(texts[i], snprintf(texts[i], TEXT_BYTES, "%.*s_bucket{%.*s%sle=\"%s\"}",
                                              SLICE_ARG(name), SLICE_ARG(labels),
                                              labels.len ? "," : "", bounds[i].le));
    struct series *first = find_or_make(counters, names, BUCKETS, SERIES_FIRST_BUCKET);
    for (size_t i = 0; i < BUCKETS; i++)
        histogram->buckets[i] = first ? &first[i].value : &counters->series[0].value;
    histogram->sum_us = part_series(counters, name, "_sum", labels);
    histogram->count = part_series(counters, name, "_count", labels);
}

void histogram_observe(struct histogram *histogram, uint64_t microseconds)
{
    size_t i = 0;
    while (microseconds > bounds[i].microseconds)
        i++;
    counter_add(histogram->buckets[i], 1);
    counter_add(histogram->sum_us, microseconds);
    counter_add(histogram->count, 1);
}
