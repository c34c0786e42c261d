/*
 * A shard is a hash map, two queues and a table of prints of keys that left the small
 * queue (a newer one overwrites: losing one costs an object its head start, no more). What is
 * replaced, removed or evicted is unreferenced outside the lock, because freeing megabytes takes
 * long.
 */
#include "cache/ram.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/must.h"
#include "cache/key_map.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * A lock is held for some 50 ns; 64 of them keep the loops out of each other's way. A small tier
 * has fewer: queues of ten objects could not tell what is asked for from what is not. The limit
 * counts all shards together, because one shard's share would not hold one large object.
 */
enum {
    SHARDS_MAX = 64,
    SHARD_BYTES_MIN = 4 << 20,
    GHOSTS = 1024,
    FREQUENCY_MAX = 3,

    SMALL_SHARE = 10,
    OBJECT_SHARE = 4
};

struct entry {
    struct key_node in_map;
    struct list node; /* in small or main */
    struct object *object;
    size_t bytes;
    uint8_t frequency;
    bool is_main, was_hit;
};

struct shard {
    pthread_mutex_t mtx;
    /* hold mtx */
    struct key_map map;
    struct list small, main; /* oldest first */
    size_t small_bytes, main_bytes;
    uint64_t changes;        /* puts and removals; not evictions, not loads */
    uint32_t ghosts[GHOSTS]; /* prints of keys that left `small`; a newer one overwrites */
};

struct ram {
    struct shard shards[SHARDS_MAX];
    unsigned shard_count;
    /* shared: atomic */
    _Atomic size_t bytes, max_bytes;
    _Atomic uint64_t objects, evictions;
    atomic_uint turn; /* the shard that gives way next */
};

/* Different parts of a key choose shard, bucket (key_map.c) and ghost. */
static struct shard *shard_of(struct ram *ram, const struct key *key)
{
    return &ram->shards[key_word(key, 0) % ram->shard_count];
}

static struct entry *find(const struct shard *shard, const struct key *key)
{
    struct key_node *node = key_map_find(&shard->map, key);
    return node ? container_of(node, struct entry, in_map) : NULL;
}

struct ram *ram_new(size_t max_bytes)
{
    struct ram *ram = mem_alloc(sizeof(*ram));
    atomic_init(&ram->max_bytes, max_bytes);
    size_t shards = max_bytes / SHARD_BYTES_MIN;
    ram->shard_count = shards < 1 ? 1 : shards > SHARDS_MAX ? SHARDS_MAX : (unsigned)shards;
    for (size_t i = 0; i < ram->shard_count; i++) {
        struct shard *shard = &ram->shards[i];
        MUST(pthread_mutex_init(&shard->mtx, NULL) == 0);
        list_init(&shard->small);
        list_init(&shard->main);
        key_map_init(&shard->map);
    }
    return ram;
}

/* --- under the shard's lock --- */

static void entry_link(struct shard *shard, struct entry *entry, bool to_main)
{
    entry->is_main = to_main;
    list_append(to_main ? &shard->main : &shard->small, &entry->node);
    *(to_main ? &shard->main_bytes : &shard->small_bytes) += entry->bytes;
}

static void entry_unlink(struct shard *shard, struct entry *entry)
{
    *(entry->is_main ? &shard->main_bytes : &shard->small_bytes) -= entry->bytes;
    list_remove(&entry->node);
}

/* Takes it out; the object's reference goes to the caller, who drops it without the lock. */
static struct object *entry_drop(struct ram *ram, struct shard *shard, struct entry *entry)
{
    struct object *object = entry->object;
    key_map_remove(&shard->map, &entry->in_map);
    entry_unlink(shard, entry);
    atomic_fetch_sub_explicit(&ram->bytes, entry->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&ram->objects, 1, memory_order_relaxed);
    free(entry);
    return object;
}

static uint32_t *ghost_of(struct shard *shard, const struct key *key)
{
    return &shard->ghosts[key_word(key, 8) % GHOSTS];
}

static uint32_t print_of(const struct key *key)
{
    return (uint32_t)key_word(key, 12);
}

static struct entry *entry_add(struct ram *ram, struct shard *shard, struct object *object)
{
    struct entry *entry = mem_alloc(sizeof(*entry));
    entry->object = object_ref(object);
    entry->bytes = object_bytes(object);
    uint32_t *ghost = ghost_of(shard, &object->key);
    bool was_here = *ghost == print_of(&object->key);
    if (was_here)
        *ghost = 0;
    key_map_add(&shard->map, &entry->in_map, &object->key);
    entry_link(shard, entry, was_here);
    atomic_fetch_add_explicit(&ram->bytes, entry->bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&ram->objects, 1, memory_order_relaxed);
    return entry;
}

/* Another object in the same place; the old one's reference goes to the caller. */
static struct object *entry_replace(struct ram *ram, struct shard *shard, struct entry *entry,
                                    struct object *object)
{
    struct object *old = entry->object;
    size_t *queue_bytes = entry->is_main ? &shard->main_bytes : &shard->small_bytes;
    size_t bytes = object_bytes(object);
    *queue_bytes = *queue_bytes - entry->bytes + bytes;
    atomic_fetch_add_explicit(&ram->bytes, bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&ram->bytes, entry->bytes, memory_order_relaxed);
    entry->bytes = bytes;
    entry->object = object_ref(object);
    return old;
}

/* Whose turn it is to leave; those that were asked for go to the main queue's end first. */
static struct entry *shard_victim(struct shard *shard)
{
    for (;;) {
        bool from_small =
            shard->small_bytes * SMALL_SHARE >= shard->small_bytes + shard->main_bytes;
        if (list_is_empty(from_small ? &shard->small : &shard->main))
            from_small = !from_small;
        struct list *queue = from_small ? &shard->small : &shard->main;
        if (list_is_empty(queue))
            return NULL;
        struct entry *entry = list_first_entry(queue, struct entry, node);
        if (entry->frequency == 0)
            return entry;
        entry->frequency--; /* so this ends */
        entry_unlink(shard, entry);
        entry_link(shard, entry, true);
    }
}

static struct object *shard_evict(struct ram *ram, struct shard *shard)
{
    struct entry *entry = shard_victim(shard);
    if (!entry)
        return NULL;
    const struct key *key = &entry->object->key;
    if (!entry->is_main)
        *ghost_of(shard, key) = print_of(key);
    atomic_fetch_add_explicit(&ram->evictions, 1, memory_order_relaxed);
    return entry_drop(ram, shard, entry);
}

/* --- the door --- */

struct object *ram_find(struct ram *ram, const struct key *key, slice key_text)
{
    struct shard *shard = shard_of(ram, key);
    struct object *object = NULL;
    pthread_mutex_lock(&shard->mtx);
    struct entry *entry = find(shard, key);
    if (entry && slice_equal(entry->object->key_text, key_text)) {
        object = object_ref(entry->object);
        entry->was_hit = true;
        if (entry->frequency < FREQUENCY_MAX)
            entry->frequency++;
    }
    pthread_mutex_unlock(&shard->mtx);
    if (object)
        atomic_fetch_add_explicit(&object->hits, 1, memory_order_relaxed);
    return object;
}

struct object *ram_peek(struct ram *ram, const struct key *key)
{
    struct shard *shard = shard_of(ram, key);
    pthread_mutex_lock(&shard->mtx);
    struct entry *entry = find(shard, key);
    struct object *object = entry ? object_ref(entry->object) : NULL;
    pthread_mutex_unlock(&shard->mtx);
    return object;
}

bool ram_was_hit(struct ram *ram, const struct key *key)
{
    struct shard *shard = shard_of(ram, key);
    pthread_mutex_lock(&shard->mtx);
    struct entry *entry = find(shard, key);
    bool was_hit = entry && entry->was_hit;
    pthread_mutex_unlock(&shard->mtx);
    return was_hit;
}

void ram_forget_hit(struct ram *ram, const struct key *key)
{
    struct shard *shard = shard_of(ram, key);
    pthread_mutex_lock(&shard->mtx);
    struct entry *entry = find(shard, key);
    if (entry)
        entry->was_hit = false;
    pthread_mutex_unlock(&shard->mtx);
}

void ram_put(struct ram *ram, struct object *object)
{
    struct shard *shard = shard_of(ram, &object->key);
    struct object *old = NULL;
    pthread_mutex_lock(&shard->mtx);
    shard->changes++;
    struct entry *entry = find(shard, &object->key);
    if (entry)
        old = entry_replace(ram, shard, entry, object);
    else
        entry_add(ram, shard, object);
    pthread_mutex_unlock(&shard->mtx);
    object_unref(&old);
}

bool ram_swap(struct ram *ram, const struct object *old, struct object *object)
{
    struct shard *shard = shard_of(ram, &object->key);
    struct object *gone = NULL;
    pthread_mutex_lock(&shard->mtx);
    struct entry *entry = find(shard, &object->key);
    if (entry && entry->object == old) {
        shard->changes++;
        gone = entry_replace(ram, shard, entry, object);
    }
    pthread_mutex_unlock(&shard->mtx);
    bool is_done = gone != NULL;
    object_unref(&gone);
    return is_done;
}

bool ram_remove(struct ram *ram, const struct key *key)
{
    struct shard *shard = shard_of(ram, key);
    struct object *gone = NULL;
    pthread_mutex_lock(&shard->mtx);
    shard->changes++;
    struct entry *entry = find(shard, key);
    if (entry)
        gone = entry_drop(ram, shard, entry);
    pthread_mutex_unlock(&shard->mtx);
    bool was_there = gone != NULL;
    object_unref(&gone);
    return was_there;
}

/* Each round takes an object from one shard and goes on to the next: all grow old alike. */
static void shrink_to(struct ram *ram, size_t max_bytes)
{
    unsigned empty = 0;
    while (atomic_load_explicit(&ram->bytes, memory_order_relaxed) > max_bytes &&
           empty < ram->shard_count) {
        struct shard *shard =
            &ram->shards[atomic_fetch_add_explicit(&ram->turn, 1, memory_order_relaxed) %
                         ram->shard_count];
        pthread_mutex_lock(&shard->mtx);
        struct object *gone = shard_evict(ram, shard);
        pthread_mutex_unlock(&shard->mtx);
        empty = gone ? 0 : empty + 1;
        object_unref(&gone);
    }
}

void ram_shrink(struct ram *ram)
{
    shrink_to(ram, ram_max_bytes(ram));
}

uint64_t ram_changes(struct ram *ram, const struct key *key)
{
    struct shard *shard = shard_of(ram, key);
    pthread_mutex_lock(&shard->mtx);
    uint64_t changes = shard->changes;
    pthread_mutex_unlock(&shard->mtx);
    return changes;
}

bool ram_learn(struct ram *ram, struct object *object, uint64_t changes)
{
    struct shard *shard = shard_of(ram, &object->key);
    pthread_mutex_lock(&shard->mtx);
    bool may = shard->changes == changes && !find(shard, &object->key);
    if (may)
        entry_add(ram, shard, object)->was_hit = true; /* it was loaded because it was asked for */
    pthread_mutex_unlock(&shard->mtx);
    return may;
}

void ram_limit(struct ram *ram, size_t max_bytes)
{
    atomic_store_explicit(&ram->max_bytes, max_bytes, memory_order_relaxed);
    shrink_to(ram, 0);
}

bool ram_fits(const struct ram *ram, const struct object *object)
{
    return object_bytes(object) <= ram_max_bytes(ram) / OBJECT_SHARE;
}

size_t ram_max_bytes(const struct ram *ram)
{
    return atomic_load_explicit(&ram->max_bytes, memory_order_relaxed);
}

static uint64_t queue_oldest(const struct list *queue)
{
    uint64_t oldest = UINT64_MAX;
    list_each(node, queue)
    {
        const struct object *object = container_of(node, struct entry, node)->object;
        uint64_t stamp = atomic_load_explicit(&object->checked_stamp, memory_order_relaxed);
        if (stamp < object->stamp)
            stamp = object->stamp;
        oldest = stamp < oldest ? stamp : oldest;
    }
    return oldest;
}

uint64_t ram_oldest_stamp(struct ram *ram)
{
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < ram->shard_count; i++) {
        struct shard *shard = &ram->shards[i];
        pthread_mutex_lock(&shard->mtx);
        uint64_t small = queue_oldest(&shard->small), large = queue_oldest(&shard->main);
        pthread_mutex_unlock(&shard->mtx);
        oldest = small < oldest ? small : oldest;
        oldest = large < oldest ? large : oldest;
    }
    return oldest;
}

struct ram_stats ram_stats(const struct ram *ram)
{
    return (struct ram_stats){
        .bytes = atomic_load_explicit(&ram->bytes, memory_order_relaxed),
        .objects = atomic_load_explicit(&ram->objects, memory_order_relaxed),
        .evictions = atomic_load_explicit(&ram->evictions, memory_order_relaxed),
    };
}

void ram_free(struct ram *ram)
{
    if (!ram)
        return;
    shrink_to(ram, 0);
    for (size_t i = 0; i < ram->shard_count; i++) {
        key_map_fini(&ram->shards[i].map);
        pthread_mutex_destroy(&ram->shards[i].mtx);
    }
    free(ram);
}
