#include "edge/origin/rebirth.h"

#include <errno.h>

enum { KNOCK_FIRST_MS = 1000, KNOCK_LAST_MS = 5000, KNOCK_PART = 16 };

/* ENOENT: the socket's file is gone. Time-outs and networks without a route say nothing of the
 * process. */
bool rebirth_note_failure(struct rebirth *rebirth, int problem, mono_time now)
{
    bool is_refusal = problem == ECONNREFUSED || problem == ENOENT;
    if (is_refusal)
        atomic_store(&rebirth->refused_ms, now.ms);
    return is_refusal;
}

void rebirth_note_success(struct rebirth *rebirth, mono_time begun)
{
    int64_t refused = atomic_load(&rebirth->refused_ms);
    if (refused > 0 && refused < begun.ms)
        atomic_store(&rebirth->gone_before_ms, refused);
}

bool rebirth_is_gone(const struct rebirth *rebirth, mono_time then)
{
    return then.ms < atomic_load(&rebirth->gone_before_ms);
}

bool rebirth_may_knock(struct rebirth *rebirth, mono_time then, mono_time now)
{
    int64_t next = atomic_load(&rebirth->next_knock_ms);
    int64_t pause = mono_since(now, then).ms / KNOCK_PART;
    pause = pause < KNOCK_FIRST_MS ? KNOCK_FIRST_MS : pause;
    pause = pause > KNOCK_LAST_MS ? KNOCK_LAST_MS : pause;
    return now.ms >= next &&
           atomic_compare_exchange_strong(&rebirth->next_knock_ms, &next, now.ms + pause);
}
