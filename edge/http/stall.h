/*
 * Somebody has to move bytes, and does so too slowly: a window of time in which he moved less than
 * so many bytes for each second of it. Who has moved enough for a whole window begins the next one
 * there and then, so that a burst buys nobody more time than one window. Pure.
 */
#pragma once

#include "base/clock.h"

struct stall {
    mono_time since; /* ms 0: nobody waits for him */
    uint64_t moved_before;
};

struct stall_limit {
    duration window; /* a second at least */
    uint64_t bytes_per_second;
};

/* To be asked again and again, about each second. `waits`: somebody waits for him; `moved`: all
 * that he has moved so far. True once for each window in which it was too little. */
bool stall_is_over(struct stall *stall, mono_time now, bool waits, uint64_t moved,
                   const struct stall_limit *limit);
