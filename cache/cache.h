/*
 * The cache of one worker process: RAM tier, LMDB store with its writer and reader threads, Vary
 * records. Functions may be called from any thread and never block on the disk; what needs the disk
 * is a `cache_read` that answers later.
 */
#pragma once

#include "base/list.h"
#include "cache/object.h"
#include "cache/purge.h"

struct cache;

struct cache_config {
    slice path; /* directory of the store; empty: RAM only */
    uint64_t store_bytes, memory_bytes, max_object_bytes;
    unsigned max_variants;
    bool sync;
    struct purge_table *purges; /* outlives the cache */
    atomic_int *in_store; /* raised while a thread is inside LMDB (semantics 9.3); may be NULL */
};

/*
 * The LMDB environment lies in PATH/f1; whoever holds PATH's lock (the master) has checked
 * store_file_is_whole() before. A store smaller than 16 MiB counts as 16 MiB. Raises the purge
 * table's stamp to the newest that the store has seen (semantics 6.3). NULL with a line in `error`
 * (>= 256 bytes) when the store cannot be opened. At most two processes may have one store open.
 */
struct cache *cache_open(const struct cache_config *config, char *error);
/*
 * Stops the threads after answering and writing what is queued; syncs. True if everything that was
 * queued reached the store. No other call may be running.
 */
bool cache_close(struct cache *cache);
/* A draining worker gives its memory back early. */
void cache_drop_memory(struct cache *cache);

/* --- Vary records (semantics 2.5): one per URL, immutable snapshots --- */

struct variant {
    struct key key;
    wall_time stored;
};

struct vary_record {
    atomic_uint refs;
    struct key url_key;
    struct field_names names; /* the union */
    bool is_known;            /* false: nothing was ever stored: a cold URL */
    size_t variant_count;
    struct variant *variants;
};

struct vary_record *vary_record_ref(struct vary_record *record);
void vary_record_unref(struct vary_record **record);
/* A cold record whose fills send `names` from the start (semantics 2.3); they are copied. */
struct vary_record *vary_record_with_names(const struct vary_record *cold,
                                           const struct field_names *names);

/*
 * May this variant be stored? False is certain, so a miss on a known URL needs no disk. True is
 * not: the object may have been evicted.
 */
bool vary_record_lists(const struct vary_record *record, const struct key *key);

enum found { FOUND_YES, FOUND_NO, FOUND_UNKNOWN /* ask the disk: cache_read_start() */ };

/*
 * The URL's record if memory knows it; a reference in *record on FOUND_YES (it may be !is_known).
 * Never FOUND_NO. Keep the reference until the object that is made under it has been stored: it
 * holds the record in memory, and cache_grow_vary() then knows what it grows.
 */
enum found cache_find_vary(struct cache *cache, const struct key *url_key,
                           struct vary_record **record);
/*
 * Grows the union of a URL by `names` (in memory at once, in the store soon) and drops the variants
 * of the smaller one. The grown record comes back in *record. False: more than UNION_MAX_NAMES
 * names: do not store.
 */
bool cache_grow_vary(struct cache *cache, const struct key *url_key,
                     const struct field_names *names, struct vary_record **record);
/* Forgets the union and all variants of a URL (hard purge). */
void cache_reset_vary(struct cache *cache, const struct key *url_key);

/* --- objects --- */

/*
 * The object under this key if it is in RAM; key_text is compared. FOUND_NO: memory knows that the
 * store has none. Counts a hit for the replacement policy. Purges are the caller's
 * (cache_check_purge).
 */
enum found cache_find_object(struct cache *cache, const struct key *key, slice key_text,
                             struct object **object);
/* Is the object dead or soft-purged? One load when it was checked at the present stamp. */
enum purge_state cache_check_purge(struct cache *cache, struct object *object);
/* The same for an object that is only looked at. */
enum purge_state object_purge_state(const struct purge_table *purges, const struct object *object);

/*
 * A question to the disk. Memory belongs to the caller and stays until `done` was called, on a
 * reader thread or, without a store, by cache_read_start() itself: it should only post.
 */
struct cache_read {
    enum cache_read_kind { READ_VARY, READ_OBJECT } kind;
    struct key key;
    slice key_text; /* of an object: compared */
    void (*done)(struct cache_read *read);
    void *owner;
    /* the answer, references for the caller; NULL object: not there (or damaged: dropped and
     * counted) */
    struct vary_record *vary; /* never NULL after READ_VARY */
    bool is_unreadable;       /* READ_VARY: the disk could not say; `vary` is cold and no answer */
    struct object *object;
    struct list node; /* reader only */
};
void cache_read_start(struct cache *cache, struct cache_read *read);

enum stored {
    STORED,
    STORED_RAM_ONLY /* writer's mailbox full or disk failing */,
    STORED_NOT_TOO_LARGE,
    STORED_NOT_CAPPED,
    STORED_NOT_NEWEST,  /* there is one that its origin was asked for later (3.3) */
    STORED_NOT_OUTGROWN /* the URL's union has grown (or was reset) since the key was made */
};

/*
 * Stores an object: its URL's record must exist already (cache_grow_vary, perhaps with no names).
 * Replaces an older one of the same key. Takes no reference of the caller's.
 */
enum stored cache_store(struct cache *cache, struct object *object);
/*
 * A 304 or a new coding: replaces in RAM, rewrites the index row (and the coding's body) in the
 * store. Does nothing to an object of another body that has been stored under the key meanwhile;
 * two updates of one object are joined: the newer fields, all codings.
 */
void cache_update(struct cache *cache, struct object *object);
void cache_remove(struct cache *cache, const struct key *key);
/* The same, but what was asked for later than `answer` stays, as far as memory knows of it
 * (semantics 3.3). Of `answer` only stamp and facts are read. */
void cache_remove_older(struct cache *cache, const struct key *key, const struct object *answer);

/* --- for the admin socket: on any thread but an event loop --- */

/*
 * What is stored under this key, for looking at: no hit, and nothing comes into RAM. A reference,
 * or NULL; key_text is compared. Bodies are NULL if only the store has them: whether they are whole
 * is not looked at.
 */
struct object *cache_look(struct cache *cache, const struct key *key, slice key_text);

struct cache_variant {
    const struct object *object; /* valid during the visit; bodies are NULL if only the store has
                                    them */
    uint64_t body_bytes[CODING_COUNT];
    bool is_in_ram;
};
/* Visits each stored variant of a URL, oldest first; returns their number. Reads heads from the
 * disk. */
size_t cache_variants(struct cache *cache, const struct key *url_key,
                      void (*visit)(void *arg, const struct cache_variant *variant), void *arg);
/*
 * No object of this process's RAM, mailbox or of the store was last known to be alive before this
 * stamp: for purge_forget(), together with the oldest flight's stamp, and not while another worker
 * process lives. Slow; at least some seconds between two calls. The first one answers 0.
 */
uint64_t cache_oldest_stamp(struct cache *cache);
/* Returns when what was queued before has been written or given up. */
void cache_flush(struct cache *cache);

struct cache_stats {
    uint64_t ram_bytes, ram_objects, store_bytes, store_objects;
    uint64_t evictions_ram, evictions_store, dropped, damaged, commits, variants_capped;
    uint64_t last_commit_us; /* duration of the last commit, microseconds */
    enum { STORE_OK, STORE_OFF, STORE_FAILING } store_state;
};
struct cache_stats cache_stats(struct cache *cache);
