/*
 * What the parts of the table of Vary records share: vary_table.c, vary_table_disk.c, vary_entry.c.
 * A shard holds the entries of the URLs that fall to it; an entry owns one reference to its record.
 * Changing a record means putting another in its place under the shard's lock, together with what
 * that means for the RAM tier. The changes that wait for the disk are a list per shard, so no lock
 * is common to all.
 */
#pragma once

#include "cache/key_map.h"
#include "cache/vary_table.h"

#include <pthread.h>

enum { SHARDS = 64 };

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

/* Of the URLs that fall to it. */
struct shard {
    pthread_mutex_t mtx;
    /* hold mtx */
    struct key_map map;
    struct list clock, dirty;
    struct list readings; /* struct vary_reading: a few, one per reader thread at most */
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

/* --- vary_entry.c; but for the first, hold the shard's lock --- */

/* The shard of the URL, locked. */
struct shard *shard_lock(struct vary_table *table, const struct key *url_key);
struct entry *entry_find(const struct shard *shard, const struct key *url_key);
/* Takes the reference of `record`, as does entry_set(). Makes room, but never fails. */
struct entry *entry_add(struct vary_table *table, struct shard *shard, struct vary_record *record);
void entry_set(struct vary_table *table, struct entry *entry, struct vary_record *record);
void entry_free(struct vary_table *table, struct shard *shard, struct entry *entry);
/* Somebody works with it, or it is not on the disk yet. */
bool entry_is_pinned(const struct entry *entry);
/* Its record is to be written, if there is a store. */
void entry_mark_dirty(struct vary_table *table, struct shard *shard, struct entry *entry);
/* What the disk says of the URL may be outdated from now on. */
void shard_outdate_readings(struct shard *shard, const struct key *url_key);
/* Is there room for one more that waits for the disk? `entry` may be NULL. */
bool entry_may_get_dirty(struct vary_table *table, const struct entry *entry);

/* The variants of the entry's record leave the RAM tier. */
void entry_drop_variants(struct vary_table *table, const struct entry *entry);
/* The union becomes `names`; whatever lies in RAM under a smaller one goes. */
void entry_grow(struct vary_table *table, struct shard *shard, struct entry *entry,
                const struct field_names *names);
/* The disk's union holds in any case: what it has stored was stored under it. */
void entry_widen(struct vary_table *table, struct shard *shard, struct entry *entry,
                 const struct field_names *wider);
/* Was the object made under the record's union, as far as it says? */
bool is_under_union(const struct vary_record *record, const struct object *object);
/* Lists the object as a variant; `out` (NULL: none) gives way to it. */
void entry_list(struct vary_table *table, struct shard *shard, struct entry *entry,
                const struct object *object, const struct key *out);
/* Lists what another way than vary_table_admit() has led to the disk; at the cap the oldest leaves,
 * as it does there. */
void entry_list_stored(struct vary_table *table, struct shard *shard, struct entry *entry,
                       const struct object *object);
