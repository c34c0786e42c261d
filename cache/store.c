/*
 * The disk tier: one LMDB environment in STORE/f1 (f1: format 1), with
 *
 *   index    key hash (16 bytes) → struct index_row and the object's head. A row up to 2 000 bytes
 *            stays in a leaf; longer heads go to overflow pages.
 *   body     sequence, coding, chunk (big-endian) → at most 8 176 bytes: two pages less LMDB's
 *            header. Whole bodies of all sizes fragment the map until random eviction falls to a
 *            quarter of the speed; equal chunks keep it flat.
 *   order    sequence → key hash: the FIFO in which objects are evicted. One that was asked for is
 *            appended anew, at most twice, so a hit costs no write.
 *   vary     URL key → Vary record. Invariant: an object is in `index` exactly if its URL's record
 *            lists it; both change in one transaction.
 *   meta     one row, struct store_meta.
 *   pending  sequences of bodies that are being written in parts.
 *
 * The map is a tenth larger than the configured size and at most 88 % of that size hold data: pages
 * that a transaction frees cannot be used again until the one after the next. The file is given its
 * full length at once, sparse, because LMDB may leave freed pages at its end unwritten, and then a
 * sound file would look truncated. The environment is not synced at commits (`durability: sync`
 * apart): after kill -9 the kernel still has everything, and after power loss the master sets the
 * whole store aside (semantics 9.3).
 */
#include "cache/store_env.h"

#include "base/must.h"

#include <lmdb.h>

enum { FORMAT = 1, BATCH_BYTES_MAX = 4 << 20 };

/* --- keys and codes --- */

static void put_big_endian(uint8_t *bytes, uint64_t value, size_t len)
{
    for (size_t i = len; i-- > 0; value >>= 8)
        bytes[i] = (uint8_t)value;
}

struct body_key body_key_of(uint64_t sequence, enum coding coding, uint32_t chunk)
{
    struct body_key key;
    put_big_endian(key.bytes, sequence, 8);
    put_big_endian(key.bytes + 8, coding, 1);
    put_big_endian(key.bytes + 9, chunk, 4);
    return key;
}

struct order_key order_key_of(uint64_t sequence)
{
    struct order_key key;
    put_big_endian(key.bytes, sequence, sizeof(key.bytes));
    return key;
}

uint64_t order_key_sequence(const void *bytes)
{
    const uint8_t *b = bytes;
    uint64_t sequence = 0;
    for (size_t i = 0; i < sizeof(sequence); i++)
        sequence = sequence << 8 | b[i];
    return sequence;
}

int store_code(int lmdb_code)
{
    if (lmdb_code == MDB_MAP_FULL)
        return STORE_FULL;
    return lmdb_code == MDB_NOTFOUND ? STORE_NOT_FOUND : lmdb_code;
}

const char *store_error(int code)
{
    if (code == STORE_FULL)
        return "the store's map is full";
    if (code == STORE_LOST)
        return "the store could not be opened again";
    return code == STORE_NOT_FOUND ? "not found" : mdb_strerror(code);
}

void store_enter(struct store *store)
{
    if (store->in_store)
        atomic_fetch_add(store->in_store, 1);
}

void store_leave(struct store *store)
{
    if (store->in_store)
        atomic_fetch_sub(store->in_store, 1);
}

/* --- hits --- */

/* Not the parts of the key that choose shards, which are offsets 0 and 4. */
static uint32_t hit_number(const struct key *key)
{
    uint32_t word;
    memcpy(&word, key->bytes + 8, sizeof(word));
    return word % HIT_BITS;
}

static void hit_set(struct store *store, uint32_t number)
{
    _Atomic uint64_t *word = &store->hits[number / 64];
    uint64_t bit = (uint64_t)1 << (number % 64);
    if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}

void store_note_hit(struct store *store, const struct key *key)
{
    hit_set(store, hit_number(key));
}

bool hit_take(struct store *store, const struct key *key)
{
    uint32_t number = hit_number(key);
    uint64_t bit = (uint64_t)1 << (number % 64);
    bool was_hit =
        atomic_fetch_and_explicit(&store->hits[number / 64], ~bit, memory_order_relaxed) & bit;
    if (was_hit && store->hits_taken_count < HITS_TAKEN_MAX)
        store->hits_taken[store->hits_taken_count++] = number;
    return was_hit;
}

static void hits_give_back(struct store *store)
{
    for (unsigned i = 0; i < store->hits_taken_count; i++)
        hit_set(store, store->hits_taken[i]);
}

/* --- transactions --- */

int store_live_bytes(struct store *store, MDB_txn *txn, uint64_t *bytes)
{
    enum { MAIN_DB = 1 };
    const MDB_dbi dbs[] = {MAIN_DB,     store->index,   store->body,   store->order,
                           store->vary, store->meta_db, store->pending};
    uint64_t pages = 0;
    for (size_t i = 0; i < sizeof(dbs) / sizeof(dbs[0]); i++) {
        MDB_stat stat;
        int rc = mdb_stat(txn, dbs[i], &stat);
        if (rc)
            return store_code(rc);
        pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    *bytes = pages * store->page_bytes;
    return 0;
}

static const char meta_key[] = "meta";

static int meta_get(struct store *store, MDB_txn *txn, struct store_meta *meta)
{
    MDB_val key = {sizeof(meta_key) - 1, (void *)(uintptr_t)meta_key}, value;
    int rc = mdb_get(txn, store->meta_db, &key, &value);
    if (rc == MDB_NOTFOUND) {
        *meta = (struct store_meta){.format = FORMAT, .next_sequence = 1};
        return 0;
    }
    if (rc)
        return rc;
    if (value.mv_size != sizeof(*meta))
        return MDB_CORRUPTED;
    memcpy(meta, value.mv_data, sizeof(*meta));
    return meta->format == FORMAT && meta->era_count <= ERAS_MAX ? 0 : MDB_CORRUPTED;
}

static int meta_put(struct store *store)
{
    MDB_val key = {sizeof(meta_key) - 1, (void *)(uintptr_t)meta_key};
    MDB_val value = {sizeof(store->meta), &store->meta};
    if (memcmp(&store->meta, &store->meta_at_begin, sizeof(store->meta)) == 0)
        return 0;
    return mdb_put(store->txn, store->meta_db, &key, &value, 0);
}

/* A new era once a minute. When there are too many, every other one goes: what lay in it counts as
 * older than it is. */
static void era_begin(struct store *store)
{
    const uint64_t minute = (uint64_t)60000 << 16;
    struct store_meta *meta = &store->meta;
    uint64_t stamp = store->purges ? purge_stamp(store->purges) : 0;
    if (meta->era_count && stamp - meta->eras[meta->era_count - 1].stamp < minute)
        return;
    if (meta->era_count && stamp < meta->eras[meta->era_count - 1].stamp)
        return;
    if (meta->era_count == ERAS_MAX) {
        for (size_t i = 0; i < ERAS_MAX / 2; i++)
            meta->eras[i] = meta->eras[2 * i];
        meta->era_count = ERAS_MAX / 2;
    }
    meta->eras[meta->era_count++] = (struct era){meta->next_sequence, stamp};
}

void alive_note(struct store *store, uint64_t sequence, uint64_t stamp)
{
    struct store_meta *meta = &store->meta;
    if (meta->newest_stamp < stamp)
        meta->newest_stamp = stamp;
    for (size_t i = 0; i < meta->era_count && meta->eras[i].sequence <= sequence; i++) {
        if (meta->eras[i].stamp > stamp)
            meta->eras[i].stamp = stamp;
    }
}

uint64_t sequence_take(struct store *store)
{
    return store->meta.next_sequence++;
}

/* What evictions of the transaction that came to nothing have used up. */
static void give_back(struct store *store)
{
    hits_give_back(store);
    store->keeps_left = store->keeps_at_begin;
}

void store_abort(struct store *store)
{
    mdb_txn_abort(store->txn);
    give_back(store);
    store->txn = NULL;
    txn_left(store);
}

int store_begin(struct store *store)
{
    MUST(!store->txn);
    int rc = txn_begin(store, 0, &store->txn);
    if (rc)
        return rc;
    store->evicted_in_txn = 0;
    store->keeps_at_begin = store->keeps_left;
    store->kept_in_txn = 0;
    store->hits_taken_count = 0;
    rc = meta_get(store, store->txn, &store->meta);
    store->meta_at_begin = store->meta;
    if (rc)
        store_abort(store);
    else
        era_begin(store);
    return store_code(rc);
}

static void note_stats(struct store *store, MDB_txn *txn)
{
    uint64_t live;
    MDB_stat index;
    if (store_live_bytes(store, txn, &live) == 0)
        atomic_store(&store->live_bytes, live);
    if (mdb_stat(txn, store->index, &index) == 0)
        atomic_store(&store->objects, index.ms_entries);
}

int store_commit(struct store *store)
{
    int rc = meta_put(store);
    if (rc) {
        store_abort(store);
        return store_code(rc);
    }
    note_stats(store, store->txn);
    rc = mdb_txn_commit(store->txn);
    store->txn = NULL;
    txn_left(store);
    if (!rc) {
        atomic_fetch_add(&store->evictions, store->evicted_in_txn);
        atomic_store(&store->newest_stamp, store->meta.newest_stamp);
    } else {
        give_back(store);
    }
    return store_code(rc);
}

/* --- the rest --- */

uint64_t store_newest_stamp(struct store *store)
{
    return atomic_load(&store->newest_stamp);
}

static int oldest_sequence(struct store *store, MDB_txn *txn, uint64_t *sequence)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, store->order, &cursor);
    if (rc)
        return store_code(rc);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (!rc)
        *sequence = order_key_sequence(key.mv_data);
    mdb_cursor_close(cursor);
    return store_code(rc);
}

int store_oldest_stamp(struct store *store, uint64_t *stamp)
{
    MDB_txn *txn = NULL;
    struct store_meta meta;
    uint64_t sequence = 0;
    int rc = txn_begin(store, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = store_code(meta_get(store, txn, &meta));
    if (!rc)
        rc = oldest_sequence(store, txn, &sequence);
    mdb_txn_abort(txn);
    txn_left(store);
    if (rc && rc != STORE_NOT_FOUND)
        return rc;
    *stamp = rc ? UINT64_MAX : 0;
    for (size_t i = 0; !rc && i < meta.era_count && meta.eras[i].sequence <= sequence; i++)
        *stamp = meta.eras[i].stamp;
    return 0;
}

struct store_stats store_stats(const struct store *store)
{
    return (struct store_stats){
        .bytes = atomic_load(&store->live_bytes),
        .objects = atomic_load(&store->objects),
        .evictions = atomic_load(&store->evictions),
        .target_bytes = atomic_load(&store->target_bytes),
    };
}

size_t store_batch_bytes(const struct store *store)
{
    uint64_t bytes = store->max_bytes / 64;
    return bytes < BATCH_BYTES_MAX ? (size_t)bytes : BATCH_BYTES_MAX;
}

size_t store_max_object(const struct store *store)
{
    return (size_t)(store->max_bytes / 8);
}

void store_check_readers(struct store *store)
{
    int dead;
    store_enter(store);
    pthread_rwlock_rdlock(&store->env_lock);
    if (store->env)
        mdb_reader_check(store->env, &dead);
    txn_left(store);
}
