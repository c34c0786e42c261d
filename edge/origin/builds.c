/*
 * Which builds an origin's workers are of, and which of them is the newest (semantics 1.1).
 *
 * Values are kept for as long as the pool: whoever has read one may go on using it.
 */
#include "edge/origin/pool.h"

static struct build *find_build(struct pool *pool, slice value)
{
    for (size_t i = 0; i < pool->build_count; i++)
        if (slice_equal(pool->builds[i].value, value))
            return &pool->builds[i];
    if (pool->build_count == POOL_BUILDS_MAX)
        return NULL; /* the newest one known stays */
    struct build *build = &pool->builds[pool->build_count++];
    *build = (struct build){.value = arena_copy(&pool->arena, value)};
    pool->newest_build = build;
    return build;
}

void pool_note_build(struct pool *pool, slice value, mono_time now)
{
    if (value.len == 0 || value.len > BUILD_MAX_BYTES)
        return;
    pthread_mutex_lock(&pool->lock);
    struct build *seen = find_build(pool, value);
    const struct build *newest = pool->newest_build;
    if (seen) {
        /* While a deploy rolls, old and new workers answer in turn. An old value is the newest one
         * again when the other has not been seen for a minute: a deploy that was taken back. */
        if (seen != newest && mono_since(now, newest->last_seen).ms > 60000)
            pool->newest_build = seen;
        seen->last_seen = now;
    }
    pthread_mutex_unlock(&pool->lock);
}
