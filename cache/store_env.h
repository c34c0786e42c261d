/* What the store*.c files share: they are the only ones that include lmdb.h. */
#pragma once

#include "base/list.h"
#include "cache/store.h"

#include <pthread.h>

typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;
typedef struct MDB_cursor MDB_cursor;

enum { ERAS_MAX = 32 };

/* Objects with this or a higher sequence were alive at `stamp` or later (semantics 6.3). */
struct era {
    uint64_t sequence, stamp;
};

/* The one row of `meta`: read at the start of each write transaction, written at its end. */
struct store_meta {
    uint64_t format;
    uint64_t next_sequence; /* from 1 */
    uint64_t newest_stamp;
    uint64_t era_count;
    struct era eras[ERAS_MAX];
};

/*
 * A row of `index`: this, then the object's head.
 *
 *     0  u64  XXH3-64 of all that follows
 *     8  u64  sequence of its row in `order`
 *    16  u64  purge stamp at which it was last known to be alive
 *    24  16   key of its URL's Vary record
 *    40  u32  magic "vix1"
 *    44  u32  how often it was re-inserted
 *    48  per coding: u64 sequence in `body`, u64 length, u64 XXH3-64 of the body; sequence 0: none
 */
struct stored_body {
    uint64_t sequence, len, checksum;
};
struct index_row {
    uint64_t checksum, sequence, alive_stamp;
    struct key url_key;
    uint32_t magic, reinserted;
    struct stored_body bodies[CODING_COUNT];
};
enum { INDEX_MAGIC = 0x31786976 };

_Static_assert(sizeof(struct index_row) == 48 + 24 * CODING_COUNT, "the format above");

/*
 * Hits are noted by a part of the key: an object's sequence changes with each re-insertion, and who
 * holds it in RAM does not hear of that. Two keys with one bit cost a re-insertion too many.
 */
/*
 * What is kept old (semantics 5.5) is re-inserted instead of evicted as long as that leaves room
 * for others: each eviction earns it so many re-insertions, and so many may be saved up. So it has
 * eight ninths of the store at most, and making room ends also where there is nothing else. A
 * transaction moves so many at most, and leaves the rest to the next ones.
 */
enum { STORE_KEEPS_PER_EVICTION = 8, STORE_KEEPS_MAX = 4096, STORE_KEEPS_PER_TXN = 256 };

enum { HIT_BITS = 1 << 22, HIT_WORDS = HIT_BITS / 64, HITS_TAKEN_MAX = 8192 };

struct store {
    /* held for reading by each transaction, for writing by who changes what is here */
    pthread_rwlock_t env_lock;
    MDB_env *env;                                        /* NULL: lost */
    unsigned generation;                                 /* of the environment */
    unsigned index, body, order, vary, meta_db, pending; /* MDB_dbi */
    uint64_t map_bytes;
    unsigned page_bytes;
    pthread_mutex_t readers_lock; /* for the next, and the readers' transactions; innermost */
    struct list readers;
    /* constant */
    char *directory;
    bool is_synced;
    uint64_t max_bytes, max_object_bytes;
    unsigned max_variants;
    struct purge_table *purges;
    atomic_int *in_store;
    _Atomic uint64_t hits[HIT_WORDS];
    /* writer thread only */
    MDB_txn *txn;
    struct store_meta meta, meta_at_begin;
    uint64_t evicted_in_txn;
    /* so many more of `keep_old` are passed over (store_evict.c) */
    unsigned keeps_left, keeps_at_begin, kept_in_txn;
    /* hit bits that the transaction has cleared, set again should it fail; what is over the limit
     * may be evicted too early then */
    uint32_t hits_taken[HITS_TAKEN_MAX];
    unsigned hits_taken_count;
    struct key sweep_at;
    /* shared: atomic */
    _Atomic uint64_t target_bytes, live_bytes, objects, evictions, newest_stamp;
};

struct store_reader {
    struct list node; /* store->readers */
    struct store *store;
    MDB_txn *txn; /* reset between uses; NULL: to be begun */
    bool is_in;   /* its transaction is open */
};

/* Big-endian, so that LMDB's bytewise order is the order of sequences. */
struct body_key {
    uint8_t bytes[13]; /* sequence 8, coding 1, chunk 4 */
};
struct order_key {
    uint8_t bytes[8];
};

struct body_key body_key_of(uint64_t sequence, enum coding coding, uint32_t chunk);
struct order_key order_key_of(uint64_t sequence);
uint64_t order_key_sequence(const void *bytes);

bool hit_take(struct store *store, const struct key *key);

/* --- store_txn.c --- */

/* Begins a transaction, or renews the read transaction in *txn. A code; mends the environment if
 * that is what it takes. */
int txn_begin(struct store *store, unsigned flags, MDB_txn **txn);
/* It has ended, or was reset. The same thread. */
void txn_left(struct store *store);
/* Closes the environment; its readers begin anew. Holds env_lock for writing, or is alone. */
void env_drop(struct store *store);

/* --- store_open.c; hold env_lock for writing --- */

/* An LMDB code; the environment may be half open then. */
int env_open(struct store *store);
/* Map and target follow the size. */
void env_set_size(struct store *store, uint64_t map_bytes);

void store_enter(struct store *store);
void store_leave(struct store *store);
int store_code(int lmdb_code); /* MDB_MAP_FULL → STORE_FULL, MDB_NOTFOUND → STORE_NOT_FOUND */

/* Pages that hold data, in bytes, as of this transaction. */
int store_live_bytes(struct store *store, MDB_txn *txn, uint64_t *bytes);

/* Splits and verifies a row; false: damaged. */
bool index_row_read(slice row, struct index_row *prefix, slice *head);
uint64_t index_row_checksum(slice row);

/* Copies the row's bytes; STORE_NOT_FOUND. In `txn`; NULL record for a damaged row. */
int vary_get(struct store *store, MDB_txn *txn, const struct key *url_key,
             struct vary_record **record, wall_time *touched);
/* Writes bytes `from` to `from + len` of a body; `from` is a multiple of the chunk size. */
int body_put(struct store *store, uint64_t sequence, enum coding coding, slice body, size_t from,
             size_t len);
int pending_check(struct store *store, uint64_t sequence); /* STORE_NOT_FOUND: cleared away */
int pending_end(struct store *store, uint64_t sequence);
/* Removes all chunks of a body. */
int body_delete(struct store *store, uint64_t sequence);
/* Removes an object's row, its bodies and its place in `order`; not its mention in `vary`. */
int object_delete(struct store *store, const struct key *key, struct index_row *gone);
/* Takes the variant out of its URL's record; an empty record with an empty union goes. */
int vary_forget(struct store *store, const struct key *url_key, const struct key *key,
                wall_time now);
int vary_put(struct store *store, const struct vary_record *record, wall_time now);
uint64_t sequence_take(struct store *store);
/* The row with this sequence says that its object was last known to be alive at `stamp`. */
void alive_note(struct store *store, uint64_t sequence, uint64_t stamp);
int index_put(struct store *store, const struct key *key, struct index_row *row, slice head);
