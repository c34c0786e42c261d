/* A look at a renderer that serves, now and then: is it stuck, or worn out? */
#include "edge/proc/spawn_parts.h"

#include "base/log.h"
#include "edge/proc/spawn_rules.h"

/* A slot is stuck when a render outlived slot_max. Where the process that waited for it has died, a
 * look at the worker follows, and with it an answer or none. */
static bool is_stuck(const struct spawned *spawned, mono_time now)
{
    int64_t late = duration_add(spawned->plan->slot_max, spawned->plan->grace).ms + SPAWN_LATE_MS;
    for (unsigned i = 0; i < slots_used(spawned->slots); i++) {
        struct slot_view view = slot_view(spawned->slots, i);
        bool is_orphan = view.state == SLOT_OWNER_DEAD || view.state == SLOT_PROBING;
        if (view.state == SLOT_STUCK || (is_orphan && mono_since(now, view.since).ms > late))
            return true;
    }
    return false;
}

/* It goes on until its turn comes (spawn.c). */
static void look_for_wear(struct spawned *spawned, mono_time now)
{
    const struct recycle_limits *limits = &spawned->plan->recycle;
    const struct renderer *shared = spawned->shared;
    struct wear wear = {
        .renders = atomic_load(&shared->renders) - spawned->renders_before,
        .memory_bytes = atomic_load(&shared->memory_bytes),
        .errors = error_window_note(&spawned->errors, limits->errors_within,
                                    atomic_load(&shared->errors), now),
        .lived = mono_since(now, spawned->since),
    };
    if (!spawned->wants_restart && spawn_is_worn(limits, &wear, &spawned->why))
        spawned->wants_restart = true;
}

void spawned_look(struct spawned *spawned, mono_time now)
{
    atomic_store(&spawned->shared->memory_bytes, process_memory_bytes(spawned->pid));
    look_for_wear(spawned, now);
    if (!is_stuck(spawned, now))
        return;
    log_error("renderer is stuck: a render outlived slot_max", {"worker", spawned->plan->name},
              {"pid", LOG_NUMBER(spawned->pid)});
    spawned->why = RESTART_STUCK;
    spawned_restart(spawned, now);
}
