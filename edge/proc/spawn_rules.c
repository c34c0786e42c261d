/* See spawn_rules.h. */
#include "edge/proc/spawn_rules.h"

#include <limits.h>
#include <string.h>

unsigned spawn_failures(unsigned before, bool has_answered, duration lived)
{
    if (has_answered || lived.ms >= SPAWN_LIFE_MS)
        return 0;
    return before < UINT_MAX ? before + 1 : before;
}

mono_time spawn_next_start(unsigned failures, mono_time last_start, mono_time now)
{
    int64_t wait = SPAWN_BACK_OFF_MS;
    for (unsigned i = 1; i < failures && wait < SPAWN_BACK_OFF_MAX_MS; i++)
        wait *= 2;
    if (wait > SPAWN_BACK_OFF_MAX_MS)
        wait = SPAWN_BACK_OFF_MAX_MS;
    mono_time due = mono_after(last_start, (duration){wait});
    return due.ms > now.ms ? due : now;
}

bool spawn_may_recycle(unsigned count, unsigned ready)
{
    return count == 1 || (ready > 0 && 2 * (ready - 1) >= count);
}

void error_window_start(struct error_window *window, uint64_t total)
{
    *window = (struct error_window){.total = total};
}

uint64_t error_window_note(struct error_window *window, duration length, uint64_t total,
                           mono_time now)
{
    int64_t part_ms = length.ms / ERROR_WINDOW_PARTS, part = now.ms / (part_ms > 0 ? part_ms : 1);
    uint64_t sum = 0;
    if (part - window->part >= ERROR_WINDOW_PARTS || part < window->part)
        memset(window->counts, 0, sizeof(window->counts));
    else
        while (window->part < part)
            window->counts[++window->part % ERROR_WINDOW_PARTS] = 0;
    window->part = part;
    window->counts[part % ERROR_WINDOW_PARTS] += total - window->total;
    window->total = total;
    for (size_t i = 0; i < ERROR_WINDOW_PARTS; i++)
        sum += window->counts[i];
    return sum;
}

bool spawn_is_worn(const struct recycle_limits *limits, const struct wear *wear,
                   enum restart_why *why)
{
    duration youth =
        duration_min((duration){limits->errors_within.ms / 2}, (duration){SPAWN_LIFE_MS});
    if (limits->errors && wear->errors >= limits->errors && wear->lived.ms >= youth.ms)
        *why = RESTART_ERRORS;
    else if (limits->memory_bytes && wear->memory_bytes >= limits->memory_bytes)
        *why = RESTART_MEMORY;
    else if (limits->renders && wear->renders >= limits->renders)
        *why = RESTART_RENDERS;
    else
        return false;
    return true;
}
