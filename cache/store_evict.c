/* Keeping the store below its size: FIFO eviction with re-insertion, and the sweep of Vary records
 * that outlived their objects. Writer thread only. */
#include "cache/store_env.h"

#include "base/arena.h"
#include "base/must.h"
#include "cache/object_head.h"

#include <lmdb.h>
#include <stdlib.h>

enum {
    SWEEP_ROWS = 1024,
    VARY_SHARE = 10,     /* Vary records may take a tenth of the target */
    ROOM_OBJECTS = 64,   /* per transaction of store_make_room() */
    ROOM_ROUNDS = 10000, /* its end in any case */
};
static const int64_t vary_life_ms = (int64_t)7 * 24 * 3600 * 1000; /* semantics 2.5 */
static const int64_t empty_life_ms = 60 * 1000; /* an empty union without variants says nothing */

/* --- objects --- */

/* Soft-purged ones count as dead here: once a record has been dropped for want of older objects,
 * nothing would mark them stale. */
static bool is_alive(struct store *store, const struct index_row *row, slice head)
{
    if (!store->purges)
        return true;
    struct object *object = object_decode(head);
    if (!object)
        return false;
    const struct purge_subject subject = object_subject(object, row->alive_stamp);
    bool alive = purge_check(store->purges, &subject) == PURGE_ALIVE;
    object_unref(&object);
    return alive;
}

static int reinsert(struct store *store, const struct key *key, struct index_row *row, slice head,
                    uint64_t stamp)
{
    struct order_key old = order_key_of(row->sequence);
    MDB_val at = {sizeof(old.bytes), old.bytes};
    int rc = mdb_del(store->txn, store->order, &at, NULL);
    if (rc)
        return store_code(rc);
    row->sequence = sequence_take(store);
    row->alive_stamp = stamp > row->alive_stamp ? stamp : row->alive_stamp;
    alive_note(store, row->sequence, row->alive_stamp);
    struct order_key name = order_key_of(row->sequence);
    at = (MDB_val){sizeof(name.bytes), name.bytes};
    MDB_val value = {sizeof(key->bytes), (void *)(uintptr_t)key->bytes};
    rc = store_code(mdb_put(store->txn, store->order, &at, &value, MDB_APPEND));
    return rc ? rc : index_put(store, key, row, head);
}

static int drop_order(struct store *store, uint64_t sequence)
{
    struct order_key name = order_key_of(sequence);
    MDB_val at = {sizeof(name.bytes), name.bytes};
    return store_code(mdb_del(store->txn, store->order, &at, NULL));
}

static int evict(struct store *store, uint64_t sequence, const struct key *key, wall_time now)
{
    struct index_row gone;
    int rc = object_delete(store, key, &gone);
    if (!rc && gone.magic)
        rc = vary_forget(store, &gone.url_key, key, now);
    else if (!rc || rc == STORE_NOT_FOUND)
        rc = drop_order(store, sequence); /* the row is lost, or was damaged */
    store->evicted_in_txn++;
    store->keeps_left += STORE_KEEPS_PER_EVICTION;
    if (store->keeps_left > STORE_KEEPS_MAX)
        store->keeps_left = STORE_KEEPS_MAX;
    return rc;
}

/* An asset whose route keeps it for those who still have the page of an earlier build (semantics
 * 5.5). */
static bool is_kept_old(slice head, wall_time now)
{
    struct facts facts;
    return object_head_facts(head, &facts) &&
           wall_since(now, facts.response_time).ms < (int64_t)facts.keep_old_s * 1000;
}

/* Is it worth another round? Takes what that costs. */
static bool earns_round(struct store *store, struct index_row *row, slice head, bool was_hit,
                        wall_time now)
{
    bool by_hit = was_hit && row->reinserted < STORE_REINSERT_MAX;
    bool by_age = !by_hit && store->keeps_left > 0 && is_kept_old(head, now);
    if (!(by_hit || by_age) || !is_alive(store, row, head))
        return false;
    row->reinserted += by_hit;
    store->keeps_left -= by_age;
    store->kept_in_txn += by_age;
    return true;
}

static int evict_or_keep(struct store *store, uint64_t sequence, const struct key *key,
                         wall_time now)
{
    bool was_hit = hit_take(store, key);
    MDB_val name = {sizeof(key->bytes), (void *)(uintptr_t)key->bytes}, value;
    struct index_row row;
    slice head;
    uint64_t stamp = store->purges ? purge_stamp(store->purges) : 0;
    int rc = store_code(mdb_get(store->txn, store->index, &name, &value));
    if (rc && rc != STORE_NOT_FOUND)
        return rc;
    if (rc || !index_row_read(slice_of(value.mv_data, value.mv_size), &row, &head) ||
        row.sequence != sequence || !earns_round(store, &row, head, was_hit, now))
        return evict(store, sequence, key, now);
    char *copy = mem_grow(NULL, head.len + 1); /* its page is written over */
    memcpy(copy, head.ptr, head.len);
    rc = reinsert(store, key, &row, slice_of(copy, head.len), stamp);
    free(copy);
    return rc;
}

static int oldest(struct store *store, uint64_t *sequence, struct key *key)
{
    MDB_cursor *cursor;
    MDB_val at, value;
    int rc = mdb_cursor_open(store->txn, store->order, &cursor);
    if (rc)
        return store_code(rc);
    rc = store_code(mdb_cursor_get(cursor, &at, &value, MDB_FIRST));
    if (!rc && (at.mv_size != sizeof(struct order_key) || value.mv_size != sizeof(key->bytes)))
        rc = MDB_CORRUPTED;
    if (!rc) {
        *sequence = order_key_sequence(at.mv_data);
        memcpy(key->bytes, value.mv_data, sizeof(key->bytes));
    }
    mdb_cursor_close(cursor);
    return rc;
}

int store_evict(struct store *store, uint64_t incoming, size_t max, wall_time now)
{
    uint64_t live, sequence = 0, target = atomic_load(&store->target_bytes);
    for (size_t i = 0; i < max && store->kept_in_txn < STORE_KEEPS_PER_TXN; i++) {
        struct key key;
        int rc = store_live_bytes(store, store->txn, &live);
        if (rc || live + incoming <= target)
            return rc;
        rc = oldest(store, &sequence, &key);
        if (rc)
            return rc == STORE_NOT_FOUND ? 0 : rc;
        if ((rc = evict_or_keep(store, sequence, &key, now)))
            return rc;
    }
    return 0;
}

int store_make_room(struct store *store, wall_time now)
{
    uint64_t live = 0, target = atomic_load(&store->target_bytes);
    if (target / 100 * 98 > store->max_bytes / 2)
        target = target / 100 * 98;
    atomic_store(&store->target_bytes, target);
    for (int i = 0; i < ROOM_ROUNDS; i++) {
        int rc = store_begin(store);
        if (rc)
            return rc;
        rc = store_evict(store, 0, ROOM_OBJECTS, now);
        if (!rc)
            rc = store_live_bytes(store, store->txn, &live);
        if (rc) {
            store_abort(store);
            return rc;
        }
        if ((rc = store_commit(store)) || live <= target)
            return rc;
    }
    return STORE_FULL;
}

/* --- Vary records --- */

static bool vary_is_crowded(struct store *store)
{
    MDB_stat stat;
    if (mdb_stat(store->txn, store->vary, &stat) != 0)
        return false;
    uint64_t pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    return pages * store->page_bytes > atomic_load(&store->target_bytes) / VARY_SHARE;
}

static bool vary_may_go(slice row, const struct key *key, bool is_crowded, wall_time now)
{
    wall_time touched;
    struct vary_record *record = vary_row_decode(key, row, &touched);
    if (!record)
        return true;
    int64_t age = wall_since(now, touched).ms;
    int64_t life = is_crowded ? 0 : record->names.count ? vary_life_ms : empty_life_ms;
    bool may = record->variant_count == 0 && (age > life || is_crowded);
    vary_record_unref(&record);
    return may;
}

static int sweep(struct store *store, MDB_cursor *cursor, bool is_crowded, wall_time now)
{
    MDB_val at = {sizeof(store->sweep_at.bytes), store->sweep_at.bytes}, value;
    int rc = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
    for (int i = 0; !rc && i < SWEEP_ROWS; i++) {
        struct key key;
        if (at.mv_size != sizeof(key.bytes))
            return MDB_CORRUPTED;
        memcpy(key.bytes, at.mv_data, sizeof(key.bytes));
        store->sweep_at = key;
        if (vary_may_go(slice_of(value.mv_data, value.mv_size), &key, is_crowded, now))
            rc = mdb_cursor_del(cursor, 0);
        if (!rc)
            rc = mdb_cursor_get(cursor, &at, &value, MDB_NEXT);
    }
    if (rc == MDB_NOTFOUND)
        store->sweep_at = (struct key){0}; /* from the beginning next time */
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_sweep_vary(struct store *store, wall_time now, bool *is_crowded)
{
    MDB_cursor *cursor;
    int rc = store_begin(store);
    if (rc)
        return rc;
    rc = mdb_cursor_open(store->txn, store->vary, &cursor);
    if (!rc) {
        *is_crowded = vary_is_crowded(store);
        rc = sweep(store, cursor, *is_crowded, now);
        mdb_cursor_close(cursor);
    }
    if (!rc)
        return store_commit(store);
    store_abort(store);
    return store_code(rc);
}
