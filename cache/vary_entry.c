/* Entries of the table of Vary records, and the bounds of their number: see vary_table_parts.h. */
#include "cache/vary_table_parts.h"

#include "base/arena.h"

#include <stdlib.h>

/* DIRTY_MAX bounds what a dead disk can make pile up. */
enum { DIRTY_MAX = 16384, CLOCK_STEPS = 64 };

static struct shard *shard_of(struct vary_table *table, const struct key *url_key)
{
    return &table->shards[key_word(url_key, 0) % SHARDS];
}

struct shard *shard_lock(struct vary_table *table, const struct key *url_key)
{
    struct shard *shard = shard_of(table, url_key);
    pthread_mutex_lock(&shard->mtx);
    return shard;
}

struct entry *entry_find(const struct shard *shard, const struct key *url_key)
{
    struct key_node *node = key_map_find(&shard->map, url_key);
    return node ? container_of(node, struct entry, in_map) : NULL;
}

/* --- life --- */

void entry_drop_variants(struct vary_table *table, const struct entry *entry)
{
    for (size_t i = 0; i < entry->record->variant_count; i++)
        ram_remove(table->ram, &entry->record->variants[i].key);
}

void entry_set(struct vary_table *table, struct entry *entry, struct vary_record *record)
{
    atomic_fetch_add(&table->bytes, vary_record_bytes(record));
    atomic_fetch_sub(&table->bytes, vary_record_bytes(entry->record));
    vary_record_unref(&entry->record);
    entry->record = record;
}

void entry_free(struct vary_table *table, struct shard *shard, struct entry *entry)
{
    key_map_remove(&shard->map, &entry->in_map);
    list_remove(&entry->node);
    atomic_fetch_sub(&table->bytes, vary_record_bytes(entry->record));
    vary_record_unref(&entry->record);
    free(entry);
}

bool entry_is_pinned(const struct entry *entry)
{
    return entry->is_dirty || entry->is_writing || entry->queued ||
           atomic_load(&entry->record->refs) > 1;
}

/* Without a store nobody else knows the URL's variants, so they leave with their record. */
static void entry_evict(struct vary_table *table, struct shard *shard, struct entry *entry)
{
    if (!table->has_store)
        entry_drop_variants(table, entry);
    entry_free(table, shard, entry);
}

static void shard_shrink(struct vary_table *table, struct shard *shard)
{
    for (unsigned i = 0; i < CLOCK_STEPS && atomic_load(&table->bytes) > table->max_bytes; i++) {
        if (list_is_empty(&shard->clock))
            return;
        struct entry *entry = list_first_entry(&shard->clock, struct entry, node);
        if (!entry->was_used && !entry_is_pinned(entry)) {
            entry_evict(table, shard, entry);
            continue;
        }
        entry->was_used = false;
        list_remove(&entry->node);
        list_append(&shard->clock, &entry->node);
    }
}

struct entry *entry_add(struct vary_table *table, struct shard *shard, struct vary_record *record)
{
    shard_shrink(table, shard);

    struct entry *entry = mem_alloc(sizeof(*entry));
    key_map_add(&shard->map, &entry->in_map, &record->url_key);
    entry->record = record;
    list_append(&shard->clock, &entry->node);
    atomic_fetch_add(&table->bytes, vary_record_bytes(record));
    return entry;
}

void entry_mark_dirty(struct vary_table *table, struct shard *shard, struct entry *entry)
{
    if (!table->has_store || entry->is_dirty)
        return;
    entry->is_dirty = true;
    list_append(&shard->dirty, &entry->dirty_node);
    atomic_fetch_add(&table->dirty, 1);
}

void shard_outdate_readings(struct shard *shard, const struct key *url_key)
{
    list_each(node, &shard->readings)
    {
        struct vary_reading *reading = container_of(node, struct vary_reading, node);
        reading->is_outdated |= key_equal(&reading->url_key, url_key);
    }
}

bool entry_may_get_dirty(struct vary_table *table, const struct entry *entry)
{
    return !table->has_store || (entry && entry->is_dirty) ||
           atomic_load(&table->dirty) < DIRTY_MAX;
}

/* --- the union and the variants --- */

void entry_grow(struct vary_table *table, struct shard *shard, struct entry *entry,
                const struct field_names *names)
{
    entry_drop_variants(table, entry);
    entry_set(table, entry, vary_record_new(&entry->record->url_key, names, true, NULL, 0));
    shard_outdate_readings(shard, &entry->record->url_key);
}

void entry_widen(struct vary_table *table, struct shard *shard, struct entry *entry,
                 const struct field_names *wider)
{
    struct field_names names;
    if (!vary_names_merge(wider, &entry->record->names, &names))
        names = *wider;
    if (!field_names_equal(&names, &entry->record->names))
        entry_grow(table, shard, entry, &names);
}

bool is_under_union(const struct vary_record *record, const struct object *object)
{
    return record->is_known &&
           (object->union_hash == 0 || object->union_hash == union_hash_of(&record->names));
}

void entry_list(struct vary_table *table, struct shard *shard, struct entry *entry,
                const struct object *object, const struct key *out)
{
    const struct variant in = {object->key, object->facts.response_time};
    entry_set(table, entry, vary_record_with(entry->record, out, &in));
    shard_outdate_readings(shard, &entry->record->url_key);
}

void entry_list_stored(struct vary_table *table, struct shard *shard, struct entry *entry,
                       const struct object *object)
{
    const struct vary_record *record = entry->record;
    struct key oldest;
    if (vary_record_lists(record, &object->key))
        return;
    bool is_full = record->variant_count >= table->max_variants;
    if (is_full) {
        oldest = record->variants[0].key;
        ram_remove(table->ram, &oldest);
    }
    entry_list(table, shard, entry, object, is_full ? &oldest : NULL);
}
