/* The cache of a worker process: ties RAM tier, Vary records, store, writer and readers together.
 * What is decided here is only which of them is asked, and in which order. */
#include "base/must.h"
#include "cache/cache_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    VARY_SHARE = 8, /* of the memory goes to Vary records */
    MAILBOX_SHARE = 4,
    DRAINING_SHARE = 16,
    RETRY_MS = 10000,
    TICK_MS = 10000,
    ERROR_BYTES = 256,
};
static const size_t mailbox_bytes_max = (size_t)64 << 20;
static const size_t vary_bytes_min = (size_t)256 << 10;

/* --- opening and closing --- */

static bool open_store(struct cache *cache, char *error)
{
    const struct cache_config *config = &cache->config;
    const struct store_config store = {.path = config->path,
                                       .max_bytes = config->store_bytes,
                                       .max_object_bytes = config->max_object_bytes,
                                       .max_variants = config->max_variants,
                                       .sync = config->sync,
                                       .purges = config->purges,
                                       .in_store = config->in_store};
    cache->store = store_open(&store, error);
    if (!cache->store)
        return false;
    if (config->purges)
        purge_raise(config->purges, store_newest_stamp(cache->store), clock_now().wall);
    return true;
}

static bool start_threads(struct cache *cache)
{
    size_t mailbox = cache->config.memory_bytes / MAILBOX_SHARE;
    const struct writer_config writer = {
        .store = cache->store,
        .vary = cache->vary,
        .max_bytes = mailbox < mailbox_bytes_max ? mailbox : mailbox_bytes_max,
        .retry_ms = RETRY_MS,
        .interval_ms = TICK_MS,
    };
    cache->writer = writer_start(&writer);
    if (!cache->writer)
        return false;
    const struct readers_config readers = {cache->store, cache->ram, cache->vary, cache->writer};
    cache->readers = readers_start(&readers);
    return cache->readers && store_reader_open(cache->store, &cache->admin_reader) == 0;
}

struct cache *cache_open(const struct cache_config *config, char *error)
{
    struct cache *cache = mem_alloc(sizeof(*cache));
    bool has_store = !slice_is_empty(config->path);
    size_t vary = config->memory_bytes / VARY_SHARE;
    cache->config = *config;
    MUST(pthread_mutex_init(&cache->admin_mtx, NULL) == 0);
    cache->ram = ram_new(config->memory_bytes - vary);
    cache->vary = vary_table_new(vary > vary_bytes_min ? vary : vary_bytes_min, has_store,
                                 config->max_variants, cache->ram);
    if (!has_store || (open_store(cache, error) && start_threads(cache)))
        return cache;
    if (cache->store)
        snprintf(error, ERROR_BYTES, "cannot start the store's threads");
    cache_close(cache);
    return NULL;
}

bool cache_close(struct cache *cache)
{
    if (!cache)
        return true;
    readers_stop(cache->readers); /* they post removals to the writer */
    bool is_complete = writer_stop(cache->writer);
    store_reader_close(cache->admin_reader);
    if (store_close(cache->store) != 0)
        is_complete = false;
    vary_table_free(cache->vary);
    ram_free(cache->ram);
    pthread_mutex_destroy(&cache->admin_mtx);
    free(cache);
    return is_complete;
}

void cache_drop_memory(struct cache *cache)
{
    ram_limit(cache->ram, cache->config.memory_bytes / DRAINING_SHARE);
    vary_table_drop(cache->vary);
}

/* --- Vary records --- */

enum found cache_find_vary(struct cache *cache, const struct key *url_key,
                           struct vary_record **record)
{
    struct vary_record *found = vary_table_find(cache->vary, url_key);
    if (!found && cache->store)
        return FOUND_UNKNOWN;
    *record = found ? found : vary_record_cold(url_key);
    return FOUND_YES;
}

bool cache_grow_vary(struct cache *cache, const struct key *url_key,
                     const struct field_names *names, struct vary_record **record)
{
    bool has_grown = vary_table_grow(cache->vary, url_key, names, record);
    if (has_grown && cache->writer)
        writer_wake(cache->writer);
    return has_grown;
}

void cache_reset_vary(struct cache *cache, const struct key *url_key)
{
    vary_table_reset(cache->vary, url_key);
    if (cache->writer)
        writer_wake(cache->writer);
}

/* --- objects --- */

enum found cache_find_object(struct cache *cache, const struct key *key, slice key_text,
                             struct object **object)
{
    struct object *found = ram_find(cache->ram, key, key_text);
    if (!found)
        return cache->store ? FOUND_UNKNOWN : FOUND_NO;
    if (cache->store)
        store_note_hit(cache->store, key);
    *object = found;
    return FOUND_YES;
}

enum purge_state cache_check_purge(struct cache *cache, struct object *object)
{
    if (!cache->config.purges)
        return PURGE_ALIVE;
    uint64_t now = purge_stamp(cache->config.purges);
    uint64_t checked = atomic_load_explicit(&object->checked_stamp, memory_order_relaxed);
    if (checked == now)
        return PURGE_ALIVE;
    struct purge_subject subject =
        object_subject(object, checked > object->stamp ? checked : object->stamp);
    enum purge_state state = purge_check(cache->config.purges, &subject);
    if (state ==
        PURGE_ALIVE) /* `now` was read first: a record added since is looked at next time */
        atomic_store_explicit(&object->checked_stamp, now, memory_order_relaxed);
    return state;
}

enum purge_state object_purge_state(const struct purge_table *purges, const struct object *object)
{
    struct purge_subject subject = object_subject(object, object->stamp);
    return purge_check(purges, &subject);
}

void cache_read_start(struct cache *cache, struct cache_read *read)
{
    if (cache->readers) {
        readers_post(cache->readers, read);
        return;
    }
    read->vary = NULL;
    read->object = NULL;
    if (read->kind == READ_VARY)
        cache_find_vary(cache, &read->key, &read->vary);
    else
        cache_find_object(cache, &read->key, read->key_text, &read->object);
    read->done(read);
}

static bool fits_store(struct cache *cache, const struct object *object)
{
    return cache->store && object_bytes(object) <= store_max_object(cache->store);
}

static enum stored to_store(struct cache *cache, struct object *object, bool is_pinned,
                            const struct key *replaced)
{
    if (fits_store(cache, object) && writer_put(cache->writer, object, is_pinned, replaced))
        return STORED;
    vary_table_settle(cache->vary, object, is_pinned, false);
    return STORED_RAM_ONLY;
}

enum stored cache_store(struct cache *cache, struct object *object)
{
    struct key replaced;
    bool has_replaced = false, into_ram = ram_fits(cache->ram, object);
    size_t bytes = object_bytes(object);
    if (bytes > cache->config.max_object_bytes || (!fits_store(cache, object) && !into_ram))
        return STORED_NOT_TOO_LARGE;
    enum vary_admission admission =
        vary_table_admit(cache->vary, object, into_ram, &has_replaced, &replaced);
    if (admission == VARY_OUTGROWN)
        return STORED_NOT_OUTGROWN;
    if (admission == VARY_CAPPED)
        return STORED_NOT_CAPPED;
    if (admission == VARY_OLDER)
        return STORED_NOT_NEWEST;
    ram_shrink(cache->ram);
    if (!cache->store)
        return STORED;
    return to_store(cache, object, admission == VARY_ADMITTED, has_replaced ? &replaced : NULL);
}

static bool is_same_body(const struct object *a, const struct object *b)
{
    const struct blob *x = a->bodies[a->coding], *y = b->bodies[b->coding];
    if (a->coding != b->coding || x == y)
        return a->coding == b->coding;
    return x && y && x->len == y->len && memcmp(x->bytes, y->bytes, x->len) == 0;
}

/* The newer head with the codings of both. A reference. */
static struct object *join(struct object *a, struct object *b)
{
    bool a_is_newer = !object_is_older(a, b);
    struct object *joined = object_ref(a_is_newer ? a : b), *other = a_is_newer ? b : a;
    for (enum coding i = 0; i < CODING_COUNT; i++) {
        if (joined->bodies[i] || !other->bodies[i])
            continue;
        struct object *more = object_with_coding(joined, i, blob_ref(other->bodies[i]));
        object_unref(&joined);
        joined = more;
    }
    return joined;
}

/* Puts the update into the RAM tier's place of the object that it was made from. The object to be
 * written, a reference; NULL if another body lies there. */
static struct object *update_ram(struct cache *cache, struct object *object)
{
    for (;;) {
        struct object *now = ram_peek(cache->ram, &object->key);
        if (!now)
            return object_ref(object); /* evicted: perhaps it is still in the store */
        struct object *joined = is_same_body(now, object) ? join(object, now) : NULL;
        bool is_done = !joined || ram_swap(cache->ram, now, joined);
        object_unref(&now);
        if (is_done)
            return joined;
        object_unref(&joined); /* somebody was faster: look again */
    }
}

void cache_update(struct cache *cache, struct object *object)
{
    struct object *joined = update_ram(cache, object);
    if (!joined)
        return;
    ram_shrink(cache->ram);
    if (fits_store(cache, joined))
        writer_update(cache->writer, joined);
    object_unref(&joined);
}

void cache_remove(struct cache *cache, const struct key *key)
{
    /* in this order: what a reader puts into RAM before it sees the removal is then removed */
    if (cache->writer)
        writer_remove(cache->writer, key);
    ram_remove(cache->ram, key);
}

void cache_remove_older(struct cache *cache, const struct key *key, const struct object *answer)
{
    struct object *now = ram_peek(cache->ram, key);
    bool is_later = now && object_is_older(answer, now);
    object_unref(&now);
    if (!is_later)
        cache_remove(cache, key);
}

/* --- its state --- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/*
 * An object that goes from one place to another while this looks may be seen in neither. None is
 * under way from one call to the next, so the answer is the lower of this and the last one.
 */
uint64_t cache_oldest_stamp(struct cache *cache)
{
    uint64_t now = cache->config.purges ? purge_stamp(cache->config.purges) : 0, store = now;
    uint64_t oldest = least(now, ram_oldest_stamp(cache->ram));
    if (cache->writer)
        oldest = least(oldest, writer_oldest_stamp(cache->writer));
    if (cache->store && store_oldest_stamp(cache->store, &store) != 0)
        store = 0;
    oldest = least(oldest, store);
    return least(oldest, atomic_exchange(&cache->oldest_before, oldest));
}

void cache_flush(struct cache *cache)
{
    if (cache->writer)
        writer_flush(cache->writer);
}

struct cache_stats cache_stats(struct cache *cache)
{
    struct ram_stats ram = ram_stats(cache->ram);
    struct cache_stats stats = {
        .ram_bytes = ram.bytes + vary_table_bytes(cache->vary),
        .ram_objects = ram.objects,
        .evictions_ram = ram.evictions,
        .variants_capped = vary_table_capped(cache->vary),
        .store_state = STORE_OFF,
    };
    if (!cache->store)
        return stats;
    struct store_stats store = store_stats(cache->store);
    struct writer_stats writer = writer_stats(cache->writer);
    stats.store_bytes = store.bytes;
    stats.store_objects = store.objects;
    stats.evictions_store = store.evictions;
    stats.dropped = writer.dropped;
    stats.commits = writer.commits;
    stats.last_commit_us = writer.last_commit_us;
    stats.damaged = readers_damaged(cache->readers);
    stats.store_state = writer.is_failing ? STORE_FAILING : STORE_OK;
    return stats;
}
