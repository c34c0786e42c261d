/*
 * When a renderer is started anew, and when it is worn out: pure functions of times and counts.
 */
#pragma once

#include "edge/origin/renderer.h"
#include "policy/config.h"

enum { ERROR_WINDOW_PARTS = 60 };

enum {
    SPAWN_BACK_OFF_MS = 1000,      /* between two starts; doubled with each fruitless one … */
    SPAWN_BACK_OFF_MAX_MS = 30000, /* … up to this */
    SPAWN_LIFE_MS = 10000,         /* a process that lived so long did start */
    SPAWN_LOOP = 3                 /* so many fruitless starts in a row are a crash loop */
};

/*
 * Fruitless starts in a row, now that a process died which had `lived` since it was ready (0: it
 * never was) and had answered, or not.
 */
unsigned spawn_failures(unsigned before, bool has_answered, duration lived);

/* When to try again: never twice within a second, later with each failure. */
mono_time spawn_next_start(unsigned failures, mono_time last_start, mono_time now);

/* May one of `count` processes be taken out although nobody asked for it, when `ready` of them
 * serve? Never below half; one alone may. */
bool spawn_may_recycle(unsigned count, unsigned ready);

/* How many errors there were in the last while, as far as a number that only grows tells. */
struct error_window {
    uint64_t total;
    int64_t part; /* the present one */
    uint64_t counts[ERROR_WINDOW_PARTS];
};

/* Forgets all; from now on errors beyond `total` count. */
void error_window_start(struct error_window *window, uint64_t total);
/* `total` now: how many of them came in the last `length`, to a sixtieth of it. */
uint64_t error_window_note(struct error_window *window, duration length, uint64_t total,
                           mono_time now);

/* What a process has done since it was ready. */
struct wear {
    uint64_t renders, memory_bytes, errors; /* errors: within `errors_within` */
    duration lived;
};

/* Is it worn out, and by what? One that has lived for less than ten seconds, or half the window of
 * its errors, is not replaced for them: the next one would make them, too. */
bool spawn_is_worn(const struct recycle_limits *limits, const struct wear *wear,
                   enum restart_why *why);
