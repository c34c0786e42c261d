/*
 * Counters and gauges in shared memory: they survive reloads and respawns. A series is a Prometheus
 * series text
 * (`varve_requests_total{route="...",outcome="hit"}`); looking one up is slow and done once, adding
 * to it is one relaxed atomic add. At most COUNTER_SERIES_MAX series: beyond it everything goes to
 * a series `varve_series_overflow_total`.
 */
#pragma once

#include "base/slice.h"

#include <stdatomic.h>

enum { COUNTER_SERIES_MAX = 4096, COUNTER_NAME_BYTES = 184 };

typedef _Atomic uint64_t counter; /* a place in the region */

struct counters;

size_t counters_region_bytes(void);
void counters_region_init(void *region);        /* zeroed memory; once */
struct counters *counters_attach(void *region); /* each process */
/* Finds or makes the series. Any thread and process. Never NULL. Stays valid while the region is
 * mapped. */
counter *counters_series(struct counters *counters, slice name);

static inline void counter_add(counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline void counter_set(counter *c, uint64_t value)
{
    atomic_store_explicit(c, value, memory_order_relaxed);
}

/* Each series in the order of its name's first use: for /metrics and stats. */
void counters_each(struct counters *counters, void (*visit)(void *arg, slice name, uint64_t value),
                   void *arg);

/* A histogram: `_bucket{le=…}`, `_sum` (microseconds, shown as seconds) and `_count`. Fixed
 * buckets, 0.5 ms to 60 s. */
struct histogram {
    counter *buckets[17];
    counter *sum_us, *count;
};
/* `name` without braces; `labels` like `route="..."` or empty. */
void histogram_init(struct histogram *histogram, struct counters *counters, slice name,
                    slice labels);
void histogram_observe(struct histogram *histogram, uint64_t microseconds);
