/* What all requests of a worker process share. Made by edge_serve() before the loops run, freed
 * after they have ended. */
#pragma once

#include "cache/admission.h"
#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/learned.h"
#include "cache/marks.h"
#include "edge/http/front.h"
#include "edge/loop.h"
#include "edge/origin/origin.h"
#include "edge/proc/shared.h"

struct worker_setup;
struct metrics;
struct notes;
struct shell;
struct compressor;
struct error_pages;
struct outdated;
struct api;

struct server {
    const struct policy *policy;
    struct shared *shared;
    struct mode_word *mode;           /* in the shared memory */
    const struct worker_setup *setup; /* for worker_ask_reload() */
    struct counters *counters;
    struct metrics *metrics;
    struct notes *notes;
    struct purge_table *purges;
    struct cache *cache;
    struct flights *flights;
    struct marks *marks;            /* keys that are not storable for now (semantics 3.1) */
    struct admission *admission;    /* semantics 1.5, 1.6 */
    struct learned *learned;        /* what routes learned from Vary (semantics 2.3) */
    struct marks *invalidations;    /* what was marked stale within the last 10 s (semantics 6.1) */
    atomic_uint late_invalidations; /* markings that wait for the end of their 10 s */
    struct origins *origins;
    struct outdated *outdated; /* origins that came back (semantics 5.4) */
    struct shell *shell;       /* the file; NULL: none configured */
    atomic_uint shell_asks;    /* light answers under way: of `shell.slots` */
    _Atomic int64_t shell_warned_ms;
    struct error_pages *error_pages;
    struct compressor *compressor;
    struct front *front;
    struct api *api;
    struct loop *loops;
    size_t loop_count;
    atomic_uint judgements; /* of bodies, under way on the compressor's thread */
    atomic_uint *refreshes; /* background renders under way, by origin index */
    atomic_bool is_ready, is_draining;
    atomic_bool is_closed; /* draining, and what comes now comes to the next process */
    struct instant started;
};
