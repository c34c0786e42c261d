/* See spawn_rules.h. */
#include "edge/proc/spawn_rules.h"

#include <limits.h>

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
