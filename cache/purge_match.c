/*
 * Matching a subject against the shared region, without a lock (purge_table.h), and walking what is
 * in force. Records that are found while they are being written were not acknowledged yet: seeing
 * them or not is both right.
 */
#include "cache/key.h"
#include "cache/purge_table.h"

static uint64_t load(const _Atomic uint64_t *place)
{
    return atomic_load_explicit(place, memory_order_acquire);
}

static enum purge_state judge(uint64_t hard, uint64_t soft, uint64_t stamp)
{
    return hard > stamp ? PURGE_DEAD : soft > stamp ? PURGE_SOFT : PURGE_ALIVE;
}

static enum purge_state worse(enum purge_state a, enum purge_state b)
{
    return a > b ? a : b;
}
_Static_assert(PURGE_ALIVE < PURGE_SOFT && PURGE_SOFT < PURGE_DEAD, "worse() compares them");

static enum purge_state match_key(const struct purge_buffer *buffer, uint64_t key, uint64_t stamp)
{
    /* Both masks: a reader that was overtaken by two rebuilds may see any capacity. */
    uint64_t capacity = load(&buffer->capacity);
    uint64_t mask = (capacity - 1) & (PURGE_SLOTS_MAX - 1);
    for (uint64_t i = key & mask, seen = 0; seen < capacity; i = (i + 1) & mask, seen++) {
        const struct purge_slot *slot = &buffer->slots[i];
        uint64_t found = load(&slot->key);
        if (found == 0)
            break;
        if (found == key)
            return judge(load(&slot->hard), load(&slot->soft), stamp);
    }
    return PURGE_ALIVE;
}

static enum purge_state match_prefix(const struct purge_prefix *prefix, uint64_t host,
                                     const struct purge_subject *subject)
{
    uint64_t bytes = load(&prefix->path_bytes);
    enum purge_state state = judge(load(&prefix->hard), load(&prefix->soft), subject->stamp);
    if (state == PURGE_ALIVE || load(&prefix->host) != host || bytes > subject->path.len)
        return PURGE_ALIVE;
    bool is_equal = load(&prefix->path) == hash_of(slice_until(subject->path, (size_t)bytes));
    return is_equal ? state : PURGE_ALIVE;
}

static enum purge_state match_prefixes(const struct purge_buffer *buffer, uint64_t host,
                                       const struct purge_subject *subject)
{
    enum purge_state state = PURGE_ALIVE;
    uint64_t count = load(&buffer->prefix_count);
    for (uint64_t i = 0; i < count && i < PURGE_PREFIXES_MAX; i++)
        state = worse(state, match_prefix(&buffer->prefixes[i], host, subject));
    return state;
}

static enum purge_state match_tags(const struct purge_buffer *buffer,
                                   const struct purge_subject *subject)
{
    enum purge_state state = PURGE_ALIVE;
    for (size_t i = 0; i < subject->tag_count; i++)
        state =
            worse(state, match_key(buffer, purge_key_tag(subject->tag_hashes[i]), subject->stamp));
    return state;
}

static enum purge_state match_buffer(const struct purge_buffer *buffer,
                                     const struct purge_subject *subject, unsigned kinds)
{
    enum purge_state state = PURGE_ALIVE;
    uint64_t stamp = subject->stamp, host = purge_key_host(subject->host);
    if (kinds & 1u << PURGE_URL) {
        uint64_t key =
            purge_key_url(subject->host, subject->path, subject->has_query, subject->query);
        state = worse(state, match_key(buffer, key, stamp));
    }
    if (kinds & 1u << PURGE_HOST)
        state = worse(state, match_key(buffer, host, stamp));
    if (kinds & 1u << PURGE_PREFIX)
        state = worse(state, match_prefixes(buffer, host, subject));
    if (kinds & 1u << PURGE_TAG)
        state = worse(state, match_tags(buffer, subject));
    return state;
}

enum purge_state purge_region_check(const struct purge_region *region,
                                    const struct purge_subject *subject, unsigned kinds)
{
    enum purge_state state;
    uint64_t generation;
    if (subject->stamp >= load(&region->stamp))
        return PURGE_ALIVE;
    do { /* a rebuild comes once in thousands of purges: this ends */
        generation = load(&region->generation);
        state = match_buffer(&region->buffers[generation % 2], subject, kinds);
    } while (load(&region->generation) != generation);
    if (kinds & 1u << PURGE_ALL)
        state =
            worse(state, judge(load(&region->all_hard), load(&region->all_soft), subject->stamp));
    /* After the tables: whoever misses a dropped record sees the floor that stands for it. */
    return worse(state, judge(load(&region->floor), load(&region->soft_floor), subject->stamp));
}

struct walk {
    int (*visit)(void *arg, const struct purge_record *record);
    void *arg;
};

/* One record for the hard stamp, one for the soft, where they say something. */
static int visit_both(const struct walk *walk, struct purge_record record, uint64_t hard,
                      uint64_t soft)
{
    int error = 0;
    record.is_soft = false;
    record.stamp = hard;
    if (hard)
        error = walk->visit(walk->arg, &record);
    record.is_soft = true;
    record.stamp = soft;
    if (!error && soft > hard) /* an older soft one is covered by the hard one */
        error = walk->visit(walk->arg, &record);
    return error;
}

static int visit_slots(const struct walk *walk, const struct purge_buffer *buffer)
{
    int error = 0;
    for (uint64_t i = 0; i < load(&buffer->capacity) && !error; i++) {
        const struct purge_slot *slot = &buffer->slots[i];
        struct purge_record record = {.kind = RECORD_VALUE, .value = load(&slot->key)};
        if (record.value)
            error = visit_both(walk, record, load(&slot->hard), load(&slot->soft));
    }
    return error;
}

static int visit_prefixes(const struct walk *walk, const struct purge_buffer *buffer)
{
    int error = 0;
    for (uint64_t i = 0; i < load(&buffer->prefix_count) && !error; i++) {
        const struct purge_prefix *prefix = &buffer->prefixes[i];
        struct purge_record record = {.kind = RECORD_PREFIX,
                                      .prefix_bytes = (uint32_t)load(&prefix->path_bytes),
                                      .value = load(&prefix->path),
                                      .host = load(&prefix->host)};
        error = visit_both(walk, record, load(&prefix->hard), load(&prefix->soft));
    }
    return error;
}

int purge_region_each(const struct purge_region *region,
                      int (*visit)(void *arg, const struct purge_record *record), void *arg)
{
    struct walk walk = {visit, arg};
    const struct purge_buffer *buffer = &region->buffers[load(&region->generation) % 2];
    int error = visit_both(&walk, (struct purge_record){.kind = RECORD_FLOOR}, load(&region->floor),
                           load(&region->soft_floor));
    if (!error)
        error = visit_both(&walk, (struct purge_record){.kind = RECORD_ALL},
                           load(&region->all_hard), load(&region->all_soft));
    if (!error)
        error = visit_prefixes(&walk, buffer);
    return error ? error : visit_slots(&walk, buffer);
}
