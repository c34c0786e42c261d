/*
 * When a renderer is started anew, and when it is worn out: pure functions of times and counts.
 */
#pragma once

#include "base/clock.h"

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
