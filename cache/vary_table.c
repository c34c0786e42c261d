/*
 * Sharded by URL. An entry owns one reference to its record; changing a record means putting
 * another in its place under the shard's lock, together with what that means for the RAM tier. The
 * changes that wait for the disk are a list per shard, so no lock is common to all.
 */
#include "cache/vary_table.h"

#include "base/arena.h"
#include "base/must.h"
#include "cache/key_map.h"

#include <pthread.h>
#include <stdlib.h>

/* DIRTY_MAX bounds what a dead disk can make pile up. */
enum { SHARDS = 64, DIRTY_MAX = 16384, CLOCK_STEPS = 64 };

struct entry {
    struct key_node in_map;
    struct list node;       /* in the shard's clock */
    struct list dirty_node; /* in the shard's dirty list, while is_dirty */
    struct vary_record *record;
    unsigned queued;  /* objects of this URL on their way to the store */
    bool was_used;    /* CLOCK */
    bool is_dirty;    /* to be written */
    bool is_writing;  /* the writer holds it */
    bool needs_reset; /* what the disk has must go before this one is written */
    bool is_part;     /* made without knowing what the disk has */
};

struct shard {
    pthread_mutex_t mtx;
    /* hold mtx */
    struct key_map map;
    struct list clock, dirty;
    uint64_t changes;
};

struct vary_table {
    struct shard shards[SHARDS];
    struct ram *ram;
    size_t max_bytes;
    unsigned max_variants;
    bool has_store;
    /* shared: atomic */
    _Atomic size_t bytes, dirty;
    _Atomic uint64_t capped;
    /* writer thread only */
    unsigned turn;
};

/* --- the map; hold the shard's lock --- */

static struct shard *shard_of(struct vary_table *table, const struct key *url_key)
{
    return &table->shards[key_word(url_key, 0) % SHARDS];
}

static struct shard *shard_lock(struct vary_table *table, const struct key *url_key)
{
    struct shard *shard = shard_of(table, url_key);
    pthread_mutex_lock(&shard->mtx);
    return shard;
}

static struct entry *find(const struct shard *shard, const struct key *url_key)
{
    struct key_node *node = key_map_find(&shard->map, url_key);
    return node ? container_of(node, struct entry, in_map) : NULL;
}

static void drop_variants(struct vary_table *table, const struct vary_record *record)
{
    for (size_t i = 0; i < record->variant_count; i++)
        ram_remove(table->ram, &record->variants[i].key);
}

/* Takes the reference of `record`. */
static void entry_set(struct vary_table *table, struct entry *entry, struct vary_record *record)
{
    atomic_fetch_add(&table->bytes, vary_record_bytes(record));
    atomic_fetch_sub(&table->bytes, vary_record_bytes(entry->record));
    vary_record_unref(&entry->record);
    entry->record = record;
}

static void entry_free(struct vary_table *table, struct shard *shard, struct entry *entry)
{
    key_map_remove(&shard->map, &entry->in_map);
    list_remove(&entry->node);
    atomic_fetch_sub(&table->bytes, vary_record_bytes(entry->record));
    vary_record_unref(&entry->record);
    free(entry);
}

/* Somebody works with it, or it is not on the disk yet. */
static bool entry_is_pinned(const struct entry *entry)
{
    return entry->is_dirty || entry->is_writing || entry->queued ||
           atomic_load(&entry->record->refs) > 1;
}

/* Without a store nobody else knows the URL's variants, so they leave with their record. */
static void entry_evict(struct vary_table *table, struct shard *shard, struct entry *entry)
{
    if (!table->has_store)
        drop_variants(table, entry->record);
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

/* Takes the reference of `record`. */
static struct entry *entry_add(struct vary_table *table, struct shard *shard,
                               struct vary_record *record)
{
    shard_shrink(table, shard);

    struct entry *entry = mem_alloc(sizeof(*entry));
    key_map_add(&shard->map, &entry->in_map, &record->url_key);
    entry->record = record;
    list_append(&shard->clock, &entry->node);
    atomic_fetch_add(&table->bytes, vary_record_bytes(record));
    return entry;
}

static void entry_mark_dirty(struct vary_table *table, struct shard *shard, struct entry *entry)
{
    if (!table->has_store || entry->is_dirty)
        return;
    entry->is_dirty = true;
    list_append(&shard->dirty, &entry->dirty_node);
    atomic_fetch_add(&table->dirty, 1);
}

static bool may_get_dirty(struct vary_table *table, const struct entry *entry)
{
    return !table->has_store || (entry && entry->is_dirty) ||
           atomic_load(&table->dirty) < DIRTY_MAX;
}

/* The union becomes `names`; whatever lies in RAM under a smaller one goes. */
static void entry_grow(struct vary_table *table, struct shard *shard, struct entry *entry,
                       const struct field_names *names)
{
    drop_variants(table, entry->record);
    entry_set(table, entry, vary_record_new(&entry->record->url_key, names, true, NULL, 0));
    shard->changes++;
}

/* The disk's union holds in any case: what it has stored was stored under it. */
static void entry_widen(struct vary_table *table, struct shard *shard, struct entry *entry,
                        const struct field_names *wider)
{
    struct field_names names;
    if (!vary_names_merge(wider, &entry->record->names, &names))
        names = *wider;
    if (!field_names_equal(&names, &entry->record->names))
        entry_grow(table, shard, entry, &names);
}

/* --- the door --- */

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
    struct entry *entry = find(shard, url_key);
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
    struct entry *entry = find(shard, url_key);
    if (!entry) {
        if (!may_get_dirty(table, NULL))
            return NULL;
        entry = entry_add(table, shard, vary_record_new(url_key, more, true, NULL, 0));
        entry->is_part = table->has_store;
        shard->changes++;
    } else {
        const struct vary_record *record = entry->record;
        if (!vary_names_merge(&record->names, more, &names))
            return NULL;
        if (record->is_known && field_names_equal(&names, &record->names))
            return entry;
        /* a known URL's growth is never refused: its pages are not for everybody any more */
        if (!record->is_known && !may_get_dirty(table, entry))
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
    struct entry *entry = find(shard, url_key);
    if (may_get_dirty(table, entry)) {
        if (entry) {
            drop_variants(table, entry->record);
            entry_set(table, entry, vary_record_cold(url_key));
        } else {
            entry = entry_add(table, shard, vary_record_cold(url_key));
        }
        entry->needs_reset = table->has_store;
        entry->is_part = false;
        entry_mark_dirty(table, shard, entry);
        shard->changes++;
    }
    pthread_mutex_unlock(&shard->mtx);
}

/* Semantics 2.5: the least recently stored variant without a hit. What has left the RAM tier has
 * had none lately. */
static const struct variant *variant_to_replace(struct vary_table *table,
                                                const struct vary_record *record)
{
    for (size_t i = 0; i < record->variant_count; i++) {
        if (!ram_was_hit(table->ram, &record->variants[i].key))
            return &record->variants[i];
    }
    return NULL;
}

static bool is_under_union(const struct vary_record *record, const struct object *object)
{
    return record->is_known &&
           (object->union_hash == 0 || object->union_hash == union_hash_of(&record->names));
}

static void entry_list(struct vary_table *table, struct shard *shard, struct entry *entry,
                       const struct object *object, const struct key *out)
{
    const struct variant in = {object->key, object->facts.response_time};
    entry_set(table, entry, vary_record_with(entry->record, out, &in));
    shard->changes++;
}

static enum vary_admission admit(struct vary_table *table, struct shard *shard,
                                 struct object *object, bool *has_replaced, struct key *replaced)
{
    struct entry *entry = find(shard, &object->url_key);
    if (!entry)
        return table->has_store ? VARY_DISK_ONLY : VARY_OUTGROWN;
    if (entry->is_part)
        return VARY_DISK_ONLY;
    const struct vary_record *record = entry->record;
    if (!is_under_union(record, object))
        return VARY_OUTGROWN;
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

/* Lists what another way than admit() has led to the disk; at the cap the oldest leaves, as it does
 * there. */
static void list_as_stored(struct vary_table *table, struct shard *shard, struct entry *entry,
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

void vary_table_settle(struct vary_table *table, const struct object *object, bool was_pinned,
                       bool is_stored)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct entry *entry = find(shard, &object->url_key);
    if (was_pinned) {
        MUST(entry && entry->queued > 0);
        entry->queued--;
    }
    /* a pinned one was listed at its admission: should it not be there now, another took its place
     */
    if (is_stored && !was_pinned && entry && !entry->is_part &&
        is_under_union(entry->record, object))
        list_as_stored(table, shard, entry, object);
    pthread_mutex_unlock(&shard->mtx);
}

bool vary_table_is_current(struct vary_table *table, const struct object *object)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct entry *entry = find(shard, &object->url_key);
    bool is_current = !entry || entry->is_part || is_under_union(entry->record, object);
    pthread_mutex_unlock(&shard->mtx);
    return is_current;
}

/* --- reader threads --- */

uint64_t vary_table_changes(struct vary_table *table, const struct key *url_key)
{
    struct shard *shard = shard_lock(table, url_key);
    uint64_t changes = shard->changes;
    pthread_mutex_unlock(&shard->mtx);
    return changes;
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

void vary_table_learn(struct vary_table *table, struct vary_record *record, uint64_t changes,
                      struct vary_record **now)
{
    struct shard *shard = shard_lock(table, &record->url_key);
    struct entry *entry = find(shard, &record->url_key);
    bool may = shard->changes == changes;
    if (!entry && may)
        entry = entry_add(table, shard, vary_record_ref(record));
    else if (entry && entry->is_part && may)
        complete(table, shard, entry, record);
    *now = vary_record_ref(entry && !entry->is_part ? entry->record : record);
    pthread_mutex_unlock(&shard->mtx);
}

bool vary_table_learn_object(struct vary_table *table, struct object *object, bool into_ram,
                             uint64_t ram_changes_before)
{
    struct shard *shard = shard_lock(table, &object->url_key);
    struct entry *entry = find(shard, &object->url_key);
    bool may = !entry || (!entry->is_part && is_under_union(entry->record, object));
    bool has_room = !entry || entry->record->variant_count < table->max_variants ||
                    vary_record_lists(entry->record, &object->key);
    bool is_in_ram =
        may && has_room && into_ram && ram_learn(table->ram, object, ram_changes_before);
    if (is_in_ram && entry)
        list_as_stored(table, shard, entry, object); /* another process stored it */
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
    struct entry *entry = find(shard, &change->record->url_key);
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
    struct entry *entry = find(shard, &change->record->url_key);
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
    struct entry *entry = find(shard, url_key);
    if (entry && entry->record->is_known && may_get_dirty(table, entry))
        entry_mark_dirty(table, shard, entry);
    pthread_mutex_unlock(&shard->mtx);
}

void vary_table_widen(struct vary_table *table, const struct key *url_key,
                      const struct field_names *wider)
{
    struct shard *shard = shard_lock(table, url_key);
    struct entry *entry = find(shard, url_key);
    if (entry && entry->record->is_known && !entry->needs_reset)
        entry_widen(table, shard, entry, wider);
    pthread_mutex_unlock(&shard->mtx);
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
