/*
 * The Vary records that are in RAM (semantics 2.5): by URL, bounded bytes, CLOCK. A change holds
 * here at once and is written by the writer thread soon: until then its record is pinned, so the
 * union that people are looked up with never shrinks. Any thread. Where a function also touches the
 * RAM tier it does so under the record's lock (order: record, then object), so that no variant of
 * an outgrown union slips in beside its growth.
 */
#pragma once

#include "cache/ram.h"
#include "cache/vary.h"

struct vary_table;

/* `has_store`: records not here may be on the disk. `ram` outlives the table. */
struct vary_table *vary_table_new(size_t max_bytes, bool has_store, unsigned max_variants,
                                  struct ram *ram);
void vary_table_free(struct vary_table *table);

/* A reference, or NULL: not in RAM, or only a part of what the disk knows. */
struct vary_record *vary_table_find(struct vary_table *table, const struct key *url_key);
/* As cache_grow_vary(). */
bool vary_table_grow(struct vary_table *table, const struct key *url_key,
                     const struct field_names *names, struct vary_record **record);
void vary_table_reset(struct vary_table *table, const struct key *url_key);

enum vary_admission {
    VARY_ADMITTED,  /* listed, put into the RAM tier and, with a store, pinned */
    VARY_DISK_ONLY, /* the union is not known for certain: the writer will compare it */
    VARY_OUTGROWN,
    VARY_CAPPED,
    VARY_OLDER /* than what the RAM tier holds under its key: that one stays */
};
/*
 * A new object: lists it as a variant and puts it into the RAM tier, if its union is still in
 * force. At the cap, *replaced is the variant that gave way (and has left the RAM tier).
 */
enum vary_admission vary_table_admit(struct vary_table *table, struct object *object, bool into_ram,
                                     bool *has_replaced, struct key *replaced);
/* The disk holds one that is newer than `object`, of another process or too large for RAM: what the
 * RAM tier has of this one goes. */
void vary_table_outdate(struct vary_table *table, const struct object *object);
/* The way of an object to the store has ended. `is_stored`: it is listed from now on. */
void vary_table_settle(struct vary_table *table, const struct object *object, bool was_pinned,
                       bool is_stored);

/* Is it still under its URL's union, as far as memory knows? */
bool vary_table_is_current(struct vary_table *table, const struct object *object);

/* --- reader threads --- */

/* A look at the disk that is under way, for the record of one URL: the caller's own memory. */
struct vary_reading {
    struct list node; /* in the shard */
    struct key url_key;
    bool is_outdated; /* what the disk said may be older than what memory was told meanwhile */
};
void vary_table_begin_reading(struct vary_table *table, const struct key *url_key,
                              struct vary_reading *reading);
/*
 * Ends the look: `record` is what the disk said; NULL: it could not be read. True: *now is a
 * reference to what holds, which is remembered. False: the URL's record has changed meanwhile, and
 * the disk is to be asked again; or nothing is known.
 */
bool vary_table_end_reading(struct vary_table *table, struct vary_reading *reading,
                            struct vary_record *record, struct vary_record **now);
/* Puts an object that was read into the RAM tier, where its URL's cap has room for it. False: its
 * union has been outgrown. */
bool vary_table_learn_object(struct vary_table *table, struct object *object, bool into_ram,
                             uint64_t ram_changes);

/* --- writer thread --- */

/* A change to be written: the record's union; `is_reset`: what the disk has goes first. */
struct vary_change {
    struct vary_record *record; /* a reference */
    bool is_reset;
};
size_t vary_table_dirty(struct vary_table *table);
/* Takes up to `max` changes, oldest first. */
size_t vary_table_take(struct vary_table *table, struct vary_change *changes, size_t max);
/*
 * Written; `disk` is the row as it is now (NULL: there is none). Its union may hold more names,
 * because another process grew it.
 */
void vary_table_written(struct vary_table *table, struct vary_change *change,
                        struct vary_record *disk);
void vary_table_not_written(struct vary_table *table, struct vary_change *change);
/* The disk has lost the record (swept away): it is written again. */
void vary_table_rewrite(struct vary_table *table, const struct key *url_key);
/* The disk's union of a URL turned out to be another one: memory's is widened by it, and written
 * again if the disk's lacks names (another process has reset it). */
void vary_table_widen(struct vary_table *table, const struct key *url_key,
                      const struct field_names *disk);

/* Forgets what can be read again. */
void vary_table_drop(struct vary_table *table);
size_t vary_table_bytes(struct vary_table *table);
uint64_t vary_table_capped(struct vary_table *table);
