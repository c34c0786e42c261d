#include "edge/http/stall.h"

enum { SECOND_MS = 1000 };

static void begin(struct stall *stall, mono_time now, uint64_t moved)
{
    *stall = (struct stall){.since = now, .moved_before = moved};
}

bool stall_is_over(struct stall *stall, mono_time now, bool waits, uint64_t moved,
                   const struct stall_limit *limit)
{
    if (!waits) {
        *stall = (struct stall){0};
        return false;
    }
    if (stall->since.ms == 0) {
        begin(stall, now, moved);
        return false;
    }
    uint64_t enough = (uint64_t)(limit->window.ms / SECOND_MS) * limit->bytes_per_second;
    bool is_enough = moved - stall->moved_before >= enough;
    bool is_end = mono_since(now, stall->since).ms >= limit->window.ms;
    if (is_enough || is_end)
        begin(stall, now, moved);
    return is_end && !is_enough;
}
