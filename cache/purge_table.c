/*
 * Writing the shared region and matching against it: see purge_table.h for how readers need no
 * lock. A process may be killed at any point here. The order of stores makes that harmless: an
 * entry is complete before its key or the count shows it, a rebuilt buffer before its generation,
 * and a floor is raised before the records that it stands for are dropped.
 */
#include "cache/purge_table.h"

#include "base/arena.h"
#include "base/must.h"

#include <errno.h>
#include <stdlib.h>

enum { SLOTS_MIN = 1024 };

static const uint64_t region_magic = 0x7661727665707267u; /* "varveprg" */

static uint64_t load(const _Atomic uint64_t *place)
{
    return atomic_load_explicit(place, memory_order_acquire);
}

static void store(_Atomic uint64_t *place, uint64_t value)
{
    atomic_store_explicit(place, value, memory_order_release);
}

/* One writer at a time. */
static void raise_to(_Atomic uint64_t *place, uint64_t value)
{
    if (load(place) < value)
        store(place, value);
}

/* --- the region --- */

static struct purge_buffer *active(struct purge_region *region)
{
    return &region->buffers[load(&region->generation) % 2];
}

size_t purge_table_bytes(void)
{
    return sizeof(struct purge_region);
}

void purge_table_init(void *memory)
{
    struct purge_region *region = memory;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    MUST(pthread_mutex_init(&region->mutex, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
    store(&region->buffers[0].capacity, SLOTS_MIN);
    region->magic = region_magic;
}

bool purge_region_is_formatted(const struct purge_region *region)
{
    return region->magic == region_magic;
}

uint64_t purge_region_prefix_count(const struct purge_region *region)
{
    return load(&region->buffers[load(&region->generation) % 2].prefix_count);
}

uint64_t purge_region_count(const struct purge_region *region)
{
    const struct purge_buffer *buffer = &region->buffers[load(&region->generation) % 2];
    return load(&buffer->count) + purge_region_prefix_count(region);
}

uint64_t purge_region_next_stamp(const struct purge_region *region, wall_time now)
{
    int64_t most = (int64_t)(PURGE_STAMP_MAX >> 16) - 1;
    int64_t ms = now.ms < 0 ? 0 : now.ms < most ? now.ms : most;
    uint64_t wall = (uint64_t)ms << 16, newest = load(&region->stamp);
    return wall > newest ? wall : newest + 1;
}

void purge_region_raise_stamp(struct purge_region *region, uint64_t stamp)
{
    raise_to(&region->stamp, stamp);
}

/* --- entries, and building them anew --- */

static bool is_live(const struct purge_slot *slot)
{
    return load(&slot->key) != 0;
}

/* The key's slot, or the empty one where it belongs. */
static struct purge_slot *slot_find(struct purge_buffer *buffer, uint64_t key)
{
    uint64_t mask = (load(&buffer->capacity) - 1) & (PURGE_SLOTS_MAX - 1);
    for (uint64_t i = key & mask;; i = (i + 1) & mask) {
        uint64_t found = load(&buffer->slots[i].key);
        if (found == key || found == 0)
            return &buffer->slots[i];
    }
}

static void slot_fill(struct purge_buffer *buffer, struct purge_slot *slot, uint64_t key,
                      uint64_t hard, uint64_t soft)
{
    store(&slot->hard, hard);
    store(&slot->soft, soft);
    store(&slot->key, key);
    store(&buffer->count, load(&buffer->count) + 1);
}

static void prefix_fill(struct purge_buffer *buffer, const uint64_t identity[3], uint64_t hard,
                        uint64_t soft)
{
    uint64_t count = load(&buffer->prefix_count);
    struct purge_prefix *prefix = &buffer->prefixes[count];
    store(&prefix->host, identity[0]);
    store(&prefix->path, identity[1]);
    store(&prefix->path_bytes, identity[2]);
    store(&prefix->hard, hard);
    store(&prefix->soft, soft);
    store(&buffer->prefix_count, count + 1);
}

static struct purge_prefix *prefix_find(struct purge_buffer *buffer,
                                        const struct purge_record *record)
{
    for (uint64_t i = 0; i < load(&buffer->prefix_count); i++) {
        struct purge_prefix *prefix = &buffer->prefixes[i];
        if (load(&prefix->host) == record->host && load(&prefix->path) == record->value &&
            load(&prefix->path_bytes) == record->prefix_bytes)
            return prefix;
    }
    return NULL;
}

static uint64_t newer(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void buffer_clear(struct purge_buffer *buffer, uint64_t capacity)
{
    store(&buffer->count, 0);
    store(&buffer->prefix_count, 0);
    store(&buffer->capacity, capacity);
    for (uint64_t i = 0; i < capacity; i++)
        store(&buffer->slots[i].key, 0);
}

/* The stamps of an entry that no floor stands for; 0: it stands for this one. */
struct stamps {
    uint64_t hard, soft;
};

static struct stamps above_floors(const struct purge_region *region, const _Atomic uint64_t *hard,
                                  const _Atomic uint64_t *soft)
{
    struct stamps left = {load(hard), load(soft)};
    uint64_t floor = load(&region->floor);
    if (left.hard <= floor)
        left.hard = 0;
    if (left.soft <= newer(floor, load(&region->soft_floor)))
        left.soft = 0;
    return left;
}

static void copy_slots(const struct purge_region *region, struct purge_buffer *into,
                       struct purge_buffer *from)
{
    for (uint64_t i = 0; i < load(&from->capacity); i++) {
        struct purge_slot *slot = &from->slots[i];
        struct stamps left = above_floors(region, &slot->hard, &slot->soft);
        uint64_t key = load(&slot->key);
        if (is_live(slot) && (left.hard || left.soft))
            slot_fill(into, slot_find(into, key), key, left.hard, left.soft);
    }
}

static void copy_prefixes(const struct purge_region *region, struct purge_buffer *into,
                          struct purge_buffer *from)
{
    for (uint64_t i = 0; i < load(&from->prefix_count); i++) {
        struct purge_prefix *prefix = &from->prefixes[i];
        struct stamps left = above_floors(region, &prefix->hard, &prefix->soft);
        uint64_t identity[3] = {load(&prefix->host), load(&prefix->path),
                                load(&prefix->path_bytes)};
        if (left.hard || left.soft)
            prefix_fill(into, identity, left.hard, left.soft);
    }
}

static uint64_t count_left(const struct purge_region *region, struct purge_buffer *buffer)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < load(&buffer->capacity); i++) {
        struct purge_slot *slot = &buffer->slots[i];
        struct stamps left = above_floors(region, &slot->hard, &slot->soft);
        count += is_live(slot) && (left.hard || left.soft);
    }
    return count;
}

/* Builds the other buffer from what is newer than the floors, with room to double. */
static void rebuild(struct purge_region *region)
{
    uint64_t generation = load(&region->generation);
    struct purge_buffer *from = &region->buffers[generation % 2];
    struct purge_buffer *into = &region->buffers[(generation + 1) % 2];
    uint64_t capacity = SLOTS_MIN, live = count_left(region, from);
    while (capacity < PURGE_SLOTS_MAX && capacity < live * 4)
        capacity *= 2;
    buffer_clear(into, capacity);
    copy_slots(region, into, from);
    copy_prefixes(region, into, from);
    store(&region->generation, generation + 1);
}

/* --- the mutex --- */

/* A writer died: its entry may be in the table and not in the count, its record not in the file;
 * and it may have raised a floor and dropped nothing, which nobody who needs room could do then. */
static void mend(struct purge_region *region)
{
    rebuild(region);
    region->file_is_behind = true;
}

void purge_region_lock(struct purge_region *region)
{
    int error = pthread_mutex_lock(&region->mutex);
    if (error == EOWNERDEAD) {
        mend(region);
        error = pthread_mutex_consistent(&region->mutex);
    }
    MUST(error == 0);
}

void purge_region_unlock(struct purge_region *region)
{
    MUST(pthread_mutex_unlock(&region->mutex) == 0);
}

/* --- adding --- */

static void raise_one(struct purge_region *region, _Atomic uint64_t *which, uint64_t floor)
{
    if (floor <= load(which))
        return;
    store(which, floor);
    rebuild(region);
}

void purge_region_raise_floor(struct purge_region *region, uint64_t floor)
{
    raise_one(region, &region->floor, floor);
}

static int compare_stamps(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Stamps of a kind of entries: of those that are soft alone the soft one, else the hard one. */
struct stamp_list {
    bool is_of_soft;
    size_t count;
    uint64_t *at;
};

static void list_stamp(struct stamp_list *list, const _Atomic uint64_t *hard,
                       const _Atomic uint64_t *soft)
{
    bool is_soft = load(hard) == 0;
    if (is_soft == list->is_of_soft)
        list->at[list->count++] = load(is_soft ? soft : hard);
}

static struct stamp_list stamps_of(struct purge_buffer *buffer, bool is_of_soft)
{
    size_t most = PURGE_RECORDS_MAX + PURGE_PREFIXES_MAX + 1;
    struct stamp_list list = {is_of_soft, 0, mem_alloc(sizeof(*list.at) * most)};
    for (uint64_t i = 0; i < load(&buffer->capacity); i++)
        if (is_live(&buffer->slots[i]))
            list_stamp(&list, &buffer->slots[i].hard, &buffer->slots[i].soft);
    for (uint64_t i = 0; i < load(&buffer->prefix_count); i++)
        list_stamp(&list, &buffer->prefixes[i].hard, &buffer->prefixes[i].soft);
    return list;
}

static uint64_t median(struct stamp_list *list)
{
    MUST(list->count > 0);
    qsort(list->at, list->count, sizeof(*list->at), compare_stamps);
    return list->at[(list->count - 1) / 2];
}

static uint64_t count_all(struct purge_buffer *buffer)
{
    return load(&buffer->count) + load(&buffer->prefix_count);
}

/*
 * The older half of the soft records gives way, where they are as many as the hard ones, and else
 * the older half of those. Soft ones are what strangers can have written (semantics 6.1), and what
 * stands for them must not do more than they did.
 */
static void halve(struct purge_region *region)
{
    struct purge_buffer *buffer = active(region);
    struct stamp_list list = stamps_of(buffer, true);
    bool is_mostly_soft = list.count * 2 >= count_all(buffer);
    if (!is_mostly_soft) {
        free(list.at);
        list = stamps_of(buffer, false);
    }
    raise_one(region, is_mostly_soft ? &region->soft_floor : &region->floor, median(&list));
    free(list.at);
}

/* Room for one more. True: older records became a floor (semantics 6.3). */
static bool make_room(struct purge_region *region)
{
    if (count_all(active(region)) >= PURGE_RECORDS_MAX) {
        atomic_fetch_add(&region->overflows, 1);
        while (count_all(active(region)) >= PURGE_RECORDS_MAX)
            halve(region); /* again where hard records were soft ones too */
        return true;
    }
    if ((load(&active(region)->count) + 1) * 2 > load(&active(region)->capacity))
        rebuild(region);
    return false;
}

static bool add_value(struct purge_region *region, const struct purge_record *record)
{
    struct purge_slot *slot = slot_find(active(region), record->value);
    if (is_live(slot)) {
        raise_to(record->is_soft ? &slot->soft : &slot->hard, record->stamp);
        return false;
    }
    bool is_floor_raised = make_room(region);
    slot = slot_find(active(region), record->value); /* perhaps in another buffer now */
    slot_fill(active(region), slot, record->value, record->is_soft ? 0 : record->stamp,
              record->is_soft ? record->stamp : 0);
    return is_floor_raised;
}

/* False: no room. */
static bool add_prefix(struct purge_region *region, const struct purge_record *record,
                       bool *is_floor_raised)
{
    struct purge_prefix *prefix = prefix_find(active(region), record);
    if (prefix) {
        raise_to(record->is_soft ? &prefix->soft : &prefix->hard, record->stamp);
        return true;
    }
    *is_floor_raised = make_room(region);
    if (load(&active(region)->prefix_count) == PURGE_PREFIXES_MAX)
        return false;
    prefix_fill(active(region), (uint64_t[]){record->host, record->value, record->prefix_bytes},
                record->is_soft ? 0 : record->stamp, record->is_soft ? record->stamp : 0);
    return true;
}

bool purge_region_apply(struct purge_region *region, struct purge_record *record)
{
    bool is_floor_raised = false;
    uint64_t floor = load(&region->floor);
    if (record->stamp <= (record->is_soft ? newer(floor, load(&region->soft_floor)) : floor))
        return false;
    switch (record->kind) {
    case RECORD_FLOOR:
        raise_one(region, record->is_soft ? &region->soft_floor : &region->floor, record->stamp);
        return true;
    case RECORD_ALL:
        raise_to(record->is_soft ? &region->all_soft : &region->all_hard, record->stamp);
        return false;
    case RECORD_PREFIX:
        if (add_prefix(region, record, &is_floor_raised))
            return is_floor_raised;
        atomic_fetch_add(&region->overflows, 1);
        *record = (struct purge_record){.kind = RECORD_VALUE,
                                        .is_soft = record->is_soft,
                                        .value = record->host,
                                        .stamp = record->stamp};
        return add_value(region, record) || is_floor_raised;
    default:
        return add_value(region, record);
    }
}
