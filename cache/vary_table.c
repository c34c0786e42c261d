/*
 * The table of Vary records as fills and look-ups use it; what readers and the writer do with it is
 * in vary_table_disk.c. See vary_table_parts.h for how it is made.
 */
#include "cache/vary_table_parts.h"

#include "base/arena.h"
#include "base/must.h"

#include <stdlib.h>

struct vary_table *vary_table_new(size_t max_bytes, bool has_store, unsigned max_variants,
                                  struct ram *ram)
{
    struct vary_table *table = mem_alloc(sizeof(*table));
    table->ram = ram;
    table->max_bytes = max_bytes;
    table->has_store = has_store;
    table->max_variants = max_variants ? max_variants : 1;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        MUST(pthread_mutex_init(&shard->mtx, NULL) == 0);
        list_init(&shard->clock);
        list_init(&shard->dirty);
        list_init(&shard->readings);
        key_map_init(&shard->map);
    }
    return table;
}

void vary_table_free(struct vary_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        while (!list_is_empty(&shard->clock))
            entry_free(table, shard, list_first_entry(&shard->clock, struct entry, node));
        pthread_mutex_destroy(&shard->mtx);
        key_map_fini(&shard->map);
    }
    free(table);
}

struct vary_record *vary_table_find(struct vary_table *table, const struct key *url_key)
{
    struct vary_record *record = NULL;
    struct shard *shard = shard_lock(table, url_key);
    struct entry *entry = entry_find(shard, url_key);
    if (entry && !entry->is_part) {
        entry->was_used = true;
        record = vary_record_ref(entry->record);
    }
    pthread_mutex_unlock(&shard->mtx);
    return record;
}

static struct entry *grow(struct vary_table *table, struct shard *shard, const struct key *url_key,
                          const struct field_names *more)
{
    struct field_names names;
    struct entry *entry = entry_find(shard, url_key);
    if (!entry) {
        if (!entry_may_get_dirty(table, NULL))
            return NULL;
        entry = entry_add(table, shard, vary_record_new(url_key, more, true, NULL, 0));
        entry->is_part = table->has_store;
        shard_outdate_readings(shard, url_key);
    } else {
        const struct vary_record *record = entry->record;
        if (!vary_names_merge(&record->names, more, &names))
            return NULL;
        if (record->is_known && field_names_equal(&names, &record->names))
            return entry;
        /* a known URL's growth is never refused: its pages are not for everybody any more */
        if (!record->is_known && !entry_may_get_dirty(table, entry))
            return NULL;
        entry_grow(table, shard, entry, &names);
    }
    entry_mark_dirty(table, shard, entry);
    return entry;
}

bool vary_table_grow(struct vary_table *table, const struct key *url_key,
                     const struct field_names *names, struct vary_record **record)
{
    struct shard *shard = shard_lock(table, url_key);
    struct entry *entry = grow(table, shard, url_key, names);
    if (entry) {
        entry->was_used = true;
        *record = vary_record_ref(entry->record);
    }
    pthread_mutex_unlock(&shard->mtx);
    return entry != NULL;
}

/* Over the bound nothing is reset: a union that is too wide costs renders, never a wrong page. */
void vary_table_reset(struct vary_table *table, const struct key *url_key)
{
    struct shard *shard = shard_lock(table, url_key);
    struct entry *entry = entry_find(shard, url_key);
    if (entry_may_get_dirty(table, entry)) {
        if (entry) {
            entry_drop_variants(table, entry);
            entry_set(table, entry, vary_record_cold(url_key));
        } else {
            entry = entry_add(table, shard, vary_record_cold(url_key));
        }
        entry->needs_reset = table->has_store;
        entry->is_part = false;
        entry_mark_dirty(table, shard, entry);
        shard_outdate_readings(shard, url_key);
    }
    pthread_mutex_unlock(&shard->mtx);
}

/* Semantics 2.5: the least recently stored variant without a hit. What has left the RAM tier has
 * had none lately. When all had one they count anew, so that nobody keeps the places for good who
 * asked for each variant once. */
static const struct variant *variant_to_replace(struct vary_table *table,
                                                const struct vary_record *record)
{
    for (size_t i = 0; i < record->variant_count; i++) {
        if (!ram_was_hit(table->ram, &record->variants[i].key))
            return &record->variants[i];
    }
    for (size_t i = 0; i < record->variant_count; i++)
        ram_forget_hit(table->ram, &record->variants[i].key);
    return NULL;
}

/* A render that took long may end after one that was begun later, behind a purge or beside it. */
static bool is_newest(struct vary_table *table, const struct object *object)
{
    struct object *now = ram_peek(table->ram, &object->key);
    bool is =
        !now || !slice_equal(now->key_text, object->key_text) || !object_is_older(object, now);
    object_unref(&now);
    return is;
}

static enum vary_admission admit(struct vary_table *table, struct shard *shard,
                                 struct object *object, bool *has_replaced, struct key *replaced)
{
    struct entry *entry = entry_find(shard, &object->url_key);
    bool is_whole = entry && !entry->is_part;
    if (!entry && !table->has_store)
        return VARY_OUTGROWN;
    if (is_whole && !is_under_union(entry->record, object))
        return VARY_OUTGROWN;
    if (!is_newest(table, object))
        return VARY_OLDER;
    if (!is_whole)
        return VARY_DISK_ONLY;
    const struct vary_record *record = entry->record;
    *has_replaced = false;
    if (!vary_record_lists(record, &object->key) && record->variant_count >= table->max_variants) {
        const struct variant *victim = variant_to_replace(table, record);
        if (!victim)
            return VARY_CAPPED;
        *has_replaced = true;
        *replaced = victim->key;
        ram_remove(table->ram, replaced);
    }
    entry_list(table, shard, entry, object, *has_replaced ? replaced : NULL);
    entry->queued += table->has_store;
    return VARY_ADMITTED;
}

enum vary_admission vary_table_admit(struct vary_table *table, struct object *object, bool into_ram,
                                     bool *has_replaced, struct key *replaced)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    enum vary_admission admission = admit(table, shard, object, has_replaced, replaced);
    if (admission == VARY_ADMITTED && into_ram)
        ram_put(table->ram, object);
    else if (admission == VARY_ADMITTED || admission == VARY_DISK_ONLY)
        ram_remove(table->ram, &object->key); /* an older one */
    pthread_mutex_unlock(&shard->mtx);
    if (admission == VARY_CAPPED)
        atomic_fetch_add(&table->capped, 1);
    return admission;
}

void vary_table_outdate(struct vary_table *table, const struct object *object)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct object *now = ram_peek(table->ram, &object->key);
    if (now && !object_is_older(object, now))
        ram_remove(table->ram, &object->key);
    object_unref(&now);
    pthread_mutex_unlock(&shard->mtx);
}

void vary_table_settle(struct vary_table *table, const struct object *object, bool was_pinned,
                       bool is_stored)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct entry *entry = entry_find(shard, &object->url_key);
    if (was_pinned) {
        MUST(entry && entry->queued > 0);
        entry->queued--;
    }
    /* a pinned one was listed at its admission: should it not be there now, another took its place
     */
    if (is_stored && !was_pinned && entry && !entry->is_part &&
        is_under_union(entry->record, object))
        entry_list_stored(table, shard, entry, object);
    pthread_mutex_unlock(&shard->mtx);
}

bool vary_table_is_current(struct vary_table *table, const struct object *object)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct entry *entry = entry_find(shard, &object->url_key);
    bool is_current = !entry || entry->is_part || is_under_union(entry->record, object);
    pthread_mutex_unlock(&shard->mtx);
    return is_current;
}

/* --- the whole --- */

void vary_table_drop(struct vary_table *table)
{
    for (size_t i = 0; i < SHARDS && table->has_store; i++) {
        struct shard *shard = &table->shards[i];
        pthread_mutex_lock(&shard->mtx);
        for (struct list *node = shard->clock.next, *next; node != &shard->clock; node = next) {
            struct entry *entry = container_of(node, struct entry, node);
            next = node->next;
            if (!entry_is_pinned(entry))
                entry_free(table, shard, entry);
        }
        pthread_mutex_unlock(&shard->mtx);
    }
}

size_t vary_table_bytes(struct vary_table *table)
{
    return atomic_load(&table->bytes);
}

uint64_t vary_table_capped(struct vary_table *table)
{
    return atomic_load(&table->capped);
}
