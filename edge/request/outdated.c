#include "edge/request/outdated.h"

enum { AT_MOST_EACH_MS = 60000 };

struct origin_past {
    atomic_bool was_down;
    _Atomic int64_t recovered_ms; /* wall time; 0: never */
};

struct outdated {
    size_t count;
    struct origin_past at[];
};

struct outdated *outdated_new(size_t origin_count)
{
    struct outdated *outdated =
        mem_alloc(sizeof(*outdated) + origin_count * sizeof(struct origin_past));
    outdated->count = origin_count;
    return outdated;
}

void outdated_note_failure(struct server *server, const struct origin_config *origin)
{
    if (origin_state(server->origins, origin).live_workers == 0)
        atomic_store(&server->outdated->at[origin->index].was_down, true);
}

void outdated_note_answer(struct server *server, const struct origin_config *origin, wall_time now)
{
    struct origin_past *past = &server->outdated->at[origin->index];
    if (!atomic_load_explicit(&past->was_down, memory_order_relaxed) ||
        !atomic_exchange(&past->was_down, false))
        return;
    if (now.ms - atomic_load(&past->recovered_ms) < AT_MOST_EACH_MS)
        return;
    atomic_store(&past->recovered_ms, now.ms);
}

enum reason outdated_why(const struct server *server, const struct decision *decision,
                         const struct object *object, wall_time now)
{
    int64_t stored_ms = object->facts.response_time.ms;
    if (decision->route->is_asset)
        return REASON_NONE;
    if (stored_ms <
        atomic_load_explicit(&server->outdated->at[decision->origin->index].recovered_ms,
                             memory_order_relaxed))
        return REASON_REVALIDATING;
    bool is_other_build = decision->build && decision->build->len && object->build.len &&
                          !slice_equal(*decision->build, object->build);
    return is_other_build && now.ms - stored_ms >= AT_MOST_EACH_MS ? REASON_BUILD_CHANGED
                                                                   : REASON_NONE;
}
