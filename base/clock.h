/*
 * Three kinds of time that do not mix: wall time (what dates say), monotonic time (what timers
 * count; CLOCK_BOOTTIME, so that it goes on while the machine sleeps) and durations. All in
 * milliseconds, all arithmetic saturates, because max-age=99999999999 is input. Any thread. Code
 * that decides takes `now` as a parameter and never calls the clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t ms; /* since 1970-01-01T00:00:00Z */
} wall_time;

typedef struct {
    int64_t ms; /* since boot */
} mono_time;

typedef struct {
    int64_t ms; /* may be negative */
} duration;

#define DURATION_MAX  ((duration){INT64_MAX})
#define DURATION_NONE ((duration){INT64_MIN}) /* "not given", where a field's comment allows it */

struct instant { /* both clocks, read together once per loop turn */
    wall_time wall;
    mono_time mono;
};

struct instant clock_now(void);

/* The id of this boot (/proc/sys/kernel/random/boot_id), hashed; 0 if unreadable. Constant in a
 * process. */
uint64_t clock_boot_id(void);

static inline int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static inline int64_t saturating_sub(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

static inline duration duration_of_seconds(int64_t seconds)
{
    int64_t ms;
    if (__builtin_mul_overflow(seconds, (int64_t)1000, &ms))
        ms = seconds < 0 ? INT64_MIN + 1 : INT64_MAX;
    return (duration){ms};
}

static inline bool duration_is_given(duration d)
{
    return d.ms != INT64_MIN;
}

static inline duration duration_add(duration a, duration b)
{
    return (duration){saturating_add(a.ms, b.ms)};
}

static inline duration duration_min(duration a, duration b)
{
    return a.ms < b.ms ? a : b;
}

static inline duration wall_since(wall_time later, wall_time earlier)
{
    return (duration){saturating_sub(later.ms, earlier.ms)};
}

static inline wall_time wall_after(wall_time t, duration d)
{
    return (wall_time){saturating_add(t.ms, d.ms)};
}

static inline duration mono_since(mono_time later, mono_time earlier)
{
    return (duration){saturating_sub(later.ms, earlier.ms)};
}

static inline mono_time mono_after(mono_time t, duration d)
{
    return (mono_time){saturating_add(t.ms, d.ms)};
}
