#include "edge/request/outdated.h"

#include <pthread.h>
#include <stdlib.h>

enum { AT_MOST_EACH_MS = 60000 };

/* A mark is a wall time: what was stored before it is of before. */
struct origin_past {
    atomic_bool was_down;
    _Atomic int64_t marked_ms;             /* 0: never */
    _Atomic int64_t next_ms, next_from_ms; /* the next mark, and when it is in force (monotonic);
                                              0: none */
    int64_t last_ms;                       /* when the last one was (monotonic). Hold lock */
};

struct outdated {
    pthread_mutex_t lock;
    size_t count;
    struct origin_past at[];
};

struct outdated *outdated_new(size_t origin_count)
{
    struct outdated *outdated =
        mem_alloc(sizeof(*outdated) + origin_count * sizeof(struct origin_past));
    pthread_mutex_init(&outdated->lock, NULL);
    outdated->count = origin_count;
    return outdated;
}

void outdated_free(struct outdated *outdated)
{
    pthread_mutex_destroy(&outdated->lock);
    free(outdated);
}

void outdated_down(struct outdated *outdated, size_t origin)
{
    atomic_store(&outdated->at[origin].was_down, true);
}

/* Hold lock. What waited for its minute is the mark that readers take already. */
static void take_next(struct origin_past *past, mono_time now)
{
    int64_t next = atomic_load(&past->next_ms), from = atomic_load(&past->next_from_ms);
    if (next == 0 || from > now.ms)
        return;
    atomic_store(&past->marked_ms, next);
    atomic_store(&past->next_ms, 0);
    past->last_ms = from;
}

/* Hold lock. */
static void mark(struct origin_past *past, struct instant now)
{
    take_next(past, now.mono);
    bool is_too_soon = past->last_ms && now.mono.ms - past->last_ms < AT_MOST_EACH_MS;
    if (is_too_soon) {
        atomic_store(&past->next_from_ms, past->last_ms + AT_MOST_EACH_MS);
        atomic_store(&past->next_ms, now.wall.ms);
    } else {
        atomic_store(&past->marked_ms, now.wall.ms);
        past->last_ms = now.mono.ms;
    }
}

void outdated_back(struct outdated *outdated, size_t origin, struct instant now)
{
    struct origin_past *past = &outdated->at[origin];
    if (!atomic_load_explicit(&past->was_down, memory_order_relaxed) ||
        !atomic_exchange(&past->was_down, false))
        return;
    pthread_mutex_lock(&outdated->lock);
    mark(past, now);
    pthread_mutex_unlock(&outdated->lock);
}

bool outdated_is_before(const struct outdated *outdated, size_t origin, wall_time stored,
                        mono_time now)
{
    const struct origin_past *past = &outdated->at[origin];
    int64_t next = atomic_load(&past->next_ms); /* first: where it is gone, marked_ms has it */
    if (next && atomic_load(&past->next_from_ms) <= now.ms)
        return stored.ms < next;
    return stored.ms < atomic_load(&past->marked_ms);
}

/* On both clocks. A millisecond early, since each is cut to milliseconds: the answer that ended the
 * outage is not of before. */
static struct instant instant_of(mono_time when)
{
    struct instant now = clock_now();
    return (struct instant){{now.wall.ms - mono_since(now.mono, when).ms - 1}, when};
}

void outdated_origin_changed(struct outdated *outdated, const struct origin_config *origin,
                             bool is_down, mono_time when)
{
    if (is_down)
        outdated_down(outdated, origin->index);
    else
        outdated_back(outdated, origin->index, instant_of(when));
}

void outdated_note_failure(struct server *server, const struct origin_config *origin)
{
    if (origin_state(server->origins, origin).live_workers == 0)
        outdated_down(server->outdated, origin->index);
}

void outdated_note_answer(struct server *server, const struct origin_config *origin,
                          struct instant now)
{
    outdated_back(server->outdated, origin->index, now);
}

enum reason outdated_why(const struct server *server, const struct decision *decision,
                         const struct object *object, struct instant now)
{
    wall_time stored = object->facts.response_time;
    if (decision->route->is_asset)
        return REASON_NONE;
    if (outdated_is_before(server->outdated, decision->origin->index, stored, now.mono))
        return REASON_REVALIDATING;
    bool is_other_build = decision->build && decision->build->len && object->build.len &&
                          !slice_equal(*decision->build, object->build);
    return is_other_build && wall_since(now.wall, stored).ms >= AT_MOST_EACH_MS
               ? REASON_BUILD_CHANGED
               : REASON_NONE;
}
