/* Bodies in chunks, whole or in parts; the open transaction is the writer thread's. */
#include "cache/store_env.h"

#include <lmdb.h>

static MDB_val val_of(const void *bytes, size_t len)
{
    return (MDB_val){len, (void *)(uintptr_t)bytes};
}

static int chunk_put(struct store *store, struct body_key key, slice chunk, bool is_last)
{
    MDB_val name = val_of(key.bytes, sizeof(key.bytes)), value = {chunk.len, NULL};
    int rc =
        mdb_put(store->txn, store->body, &name, &value, MDB_RESERVE | (is_last ? MDB_APPEND : 0));
    if (!rc)
        memcpy(value.mv_data, chunk.ptr, chunk.len);
    return store_code(rc);
}

/* `from` is a multiple of the chunk size. Only the newest sequence is behind all others: while a
 * body is written in parts, another process may have taken a higher one. */
int body_put(struct store *store, uint64_t sequence, enum coding coding, slice body, size_t from,
             size_t len)
{
    bool is_last = sequence + 1 == store->meta.next_sequence;
    int rc = 0;
    for (size_t at = from; !rc && at < from + len; at += BODY_CHUNK_BYTES) {
        size_t left = from + len - at;
        slice chunk = slice_of(body.ptr + at, left < BODY_CHUNK_BYTES ? left : BODY_CHUNK_BYTES);
        struct body_key key = body_key_of(sequence, coding, (uint32_t)(at / BODY_CHUNK_BYTES));
        rc = chunk_put(store, key, chunk, is_last);
    }
    return rc;
}

int body_delete(struct store *store, uint64_t sequence)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(store->txn, store->body, &cursor);
    if (rc)
        return store_code(rc);
    struct body_key first = body_key_of(sequence, 0, 0);
    MDB_val key = val_of(first.bytes, sizeof(first.bytes)), value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (!rc && order_key_sequence(key.mv_data) == sequence) {
        rc = mdb_cursor_del(cursor, 0);
        if (!rc)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : store_code(rc);
}

int store_body_begin(struct store *store, uint64_t *sequence)
{
    uint64_t taken = sequence_take(store);
    struct order_key name = order_key_of(taken);
    MDB_val key = val_of(name.bytes, sizeof(name.bytes)), value = val_of("", 0);
    int rc = mdb_put(store->txn, store->pending, &key, &value, 0);
    if (!rc)
        *sequence = taken;
    return store_code(rc);
}

int pending_check(struct store *store, uint64_t sequence)
{
    struct order_key name = order_key_of(sequence);
    MDB_val key = val_of(name.bytes, sizeof(name.bytes)), value;
    return store_code(mdb_get(store->txn, store->pending, &key, &value));
}

int pending_end(struct store *store, uint64_t sequence)
{
    struct order_key name = order_key_of(sequence);
    MDB_val key = val_of(name.bytes, sizeof(name.bytes));
    return store_code(mdb_del(store->txn, store->pending, &key, NULL));
}

int store_body_part(struct store *store, uint64_t sequence, enum coding coding, slice body,
                    size_t from, size_t len)
{
    int rc = pending_check(store, sequence);
    return rc ? rc : body_put(store, sequence, coding, body, from, len);
}

/* What is not pending is somebody's page, or gone: since the caller looked, an index row may have
 * taken it over. */
int store_body_drop(struct store *store, uint64_t sequence)
{
    int rc = store_begin(store);
    if (rc)
        return rc;
    rc = pending_end(store, sequence);
    if (!rc)
        rc = body_delete(store, sequence);
    if (!rc)
        return store_commit(store);
    store_abort(store);
    return rc == STORE_NOT_FOUND ? 0 : rc;
}
