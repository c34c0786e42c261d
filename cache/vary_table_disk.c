/* What the disk tells the table of Vary records (reader threads), and what it is told (writer
 * thread). */
#include "cache/vary_table_parts.h"

#include "base/must.h"

/* --- reader threads --- */

void vary_table_begin_reading(struct vary_table *table, const struct key *url_key,
                              struct vary_reading *reading)
{
    reading->url_key = *url_key;
    reading->is_outdated = false;
    struct shard *shard = shard_lock(table, url_key);
    list_append(&shard->readings, &reading->node);
    pthread_mutex_unlock(&shard->mtx);
}

static void complete(struct vary_table *table, struct shard *shard, struct entry *entry,
                     struct vary_record *record)
{
    entry->is_part = false;
    if (!record->is_known)
        return;
    entry_widen(table, shard, entry, &record->names);
    if (field_names_equal(&entry->record->names, &record->names))
        entry_set(table, entry, vary_record_ref(record)); /* with its variants */
}

bool vary_table_end_reading(struct vary_table *table, struct vary_reading *reading,
                            struct vary_record *record, struct vary_record **now)
{
    struct shard *shard = shard_lock(table, &reading->url_key);
    struct entry *entry = entry_find(shard, &reading->url_key);
    list_remove(&reading->node);
    bool is_answer = record && !reading->is_outdated;
    if (!entry && is_answer)
        entry = entry_add(table, shard, vary_record_ref(record));
    else if (entry && entry->is_part && is_answer)
        complete(table, shard, entry, record);
    bool is_certain = entry && !entry->is_part;
    if (is_certain)
        *now = vary_record_ref(entry->record);
    pthread_mutex_unlock(&shard->mtx);
    return is_certain;
}

bool vary_table_learn_object(struct vary_table *table, struct object *object, bool into_ram,
                             uint64_t ram_changes_before)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct entry *entry = entry_find(shard, &object->url_key);
    bool may = !entry || (!entry->is_part && is_under_union(entry->record, object));
    bool has_room = !entry || entry->record->variant_count < table->max_variants ||
                    vary_record_lists(entry->record, &object->key);
    bool is_in_ram =
        may && has_room && into_ram && ram_learn(table->ram, object, ram_changes_before);
    if (is_in_ram && entry)
        entry_list_stored(table, shard, entry, object); /* another process stored it */
    pthread_mutex_unlock(&shard->mtx);
    return may;
}

/* --- writer thread --- */

size_t vary_table_dirty(struct vary_table *table)
{
    return atomic_load(&table->dirty);
}

static size_t shard_take(struct vary_table *table, struct shard *shard, struct vary_change *changes,
                         size_t max)
{
    size_t count = 0;
    while (count < max && !list_is_empty(&shard->dirty)) {
        struct entry *entry = list_first_entry(&shard->dirty, struct entry, dirty_node);
        list_remove(&entry->dirty_node);
        entry->is_dirty = false;
        entry->is_writing = true;
        changes[count++] = (struct vary_change){vary_record_ref(entry->record), entry->needs_reset};
        entry->needs_reset = false;
        atomic_fetch_sub(&table->dirty, 1);
    }
    return count;
}

size_t vary_table_take(struct vary_table *table, struct vary_change *changes, size_t max)
{
    size_t count = 0;
    for (unsigned i = 0; i < SHARDS && count < max; i++) {
        struct shard *shard = &table->shards[table->turn % SHARDS];
        pthread_mutex_lock(&shard->mtx);
        count += shard_take(table, shard, changes + count, max - count);
        bool is_done = list_is_empty(&shard->dirty);
        pthread_mutex_unlock(&shard->mtx);
        table->turn += is_done;
    }
    return count;
}

void vary_table_written(struct vary_table *table, struct vary_change *change,
                        struct vary_record *disk)
{
    struct shard *shard = shard_lock(table, &change->record->url_key);
    struct entry *entry = entry_find(shard, &change->record->url_key);
    MUST(entry && entry->is_writing); /* it was pinned */
    entry->is_writing = false;
    if (disk && entry->record->is_known && !entry->needs_reset) {
        if (entry->is_part)
            complete(table, shard, entry, disk);
        else
            entry_widen(table, shard, entry, &disk->names);
    }
    pthread_mutex_unlock(&shard->mtx);
    vary_record_unref(&change->record);
}

void vary_table_not_written(struct vary_table *table, struct vary_change *change)
{
    struct shard *shard = shard_lock(table, &change->record->url_key);
    struct entry *entry = entry_find(shard, &change->record->url_key);
    MUST(entry && entry->is_writing);
    entry->is_writing = false;
    entry->needs_reset |= change->is_reset;
    entry_mark_dirty(table, shard, entry);
    pthread_mutex_unlock(&shard->mtx);
    vary_record_unref(&change->record);
}

void vary_table_rewrite(struct vary_table *table, const struct key *url_key)
{
    struct shard *shard = shard_lock(table, url_key);
    struct entry *entry = entry_find(shard, url_key);
    if (entry && entry->record->is_known && entry_may_get_dirty(table, entry))
        entry_mark_dirty(table, shard, entry);
    pthread_mutex_unlock(&shard->mtx);
}

void vary_table_widen(struct vary_table *table, const struct key *url_key,
                      const struct field_names *disk)
{
    struct shard *shard = shard_lock(table, url_key);
    struct entry *entry = entry_find(shard, url_key);
    if (entry && entry->record->is_known && !entry->needs_reset) {
        entry_widen(table, shard, entry, disk);
        if (!field_names_equal(&entry->record->names, disk) && entry_may_get_dirty(table, entry))
            entry_mark_dirty(table, shard, entry);
    }
    pthread_mutex_unlock(&shard->mtx);
}
