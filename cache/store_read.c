/*
 * Reading: copy out, end the transaction, verify. A transaction never spans more than 1 MiB of
 * copying, because one that is held while the writer goes on keeps freed pages from being used
 * again, and the map fills up. Bodies are never written over (their sequences are not used twice),
 * so a large one may be read in several transactions: it is all there or a chunk is missing.
 */
#include "cache/store_env.h"

#include "base/arena.h"

#include <lmdb.h>
#include <stdlib.h>

enum { CHUNKS_PER_TXN = 128 };

static int begin(struct store_reader *reader)
{
    int rc = txn_begin(reader->store, MDB_RDONLY, &reader->txn);
    reader->is_in = rc == 0;
    return rc;
}

static void end(struct store_reader *reader)
{
    if (!reader->is_in)
        return;
    mdb_txn_reset(reader->txn);
    reader->is_in = false;
    txn_left(reader->store);
}

/* Begins at once: a reader slot is wanted now, or never. */
int store_reader_open(struct store *store, struct store_reader **reader)
{
    struct store_reader *opened = mem_alloc(sizeof(*opened));
    opened->store = store;
    pthread_mutex_lock(&store->readers_lock);
    list_append(&store->readers, &opened->node);
    pthread_mutex_unlock(&store->readers_lock);
    int rc = begin(opened);
    end(opened);
    if (rc)
        store_reader_close(opened);
    else
        *reader = opened;
    return rc;
}

void store_reader_close(struct store_reader *reader)
{
    if (!reader)
        return;
    pthread_mutex_lock(&reader->store->readers_lock);
    list_remove(&reader->node);
    if (reader->txn)
        mdb_txn_abort(reader->txn);
    pthread_mutex_unlock(&reader->store->readers_lock);
    free(reader);
}

int store_read_vary(struct store_reader *reader, const struct key *url_key,
                    struct vary_record **record)
{
    wall_time touched;
    struct vary_record *found = NULL;
    int rc = begin(reader);
    if (rc)
        return rc;
    rc = vary_get(reader->store, reader->txn, url_key, &found, &touched);
    end(reader);
    if (!rc && !found)
        return STORE_NOT_FOUND;
    if (!rc)
        *record = found;
    return rc;
}

/* The row's prefix and a copy of its head; *is_damaged. Inside a transaction. */
static int copy_row(struct store_reader *reader, const struct key *key, struct index_row *row,
                    struct blob **head, bool *is_damaged)
{
    MDB_val name = {sizeof(key->bytes), (void *)(uintptr_t)key->bytes}, value;
    slice in_map;
    int rc = store_code(mdb_get(reader->txn, reader->store->index, &name, &value));
    if (rc)
        return rc;
    if (!index_row_read(slice_of(value.mv_data, value.mv_size), row, &in_map)) {
        *is_damaged = true;
        return STORE_NOT_FOUND;
    }
    *head = blob_new(in_map.len);
    if (in_map.len)
        memcpy((*head)->bytes, in_map.ptr, in_map.len);
    return 0;
}

static int copy_chunk(struct store_reader *reader, uint64_t sequence, enum coding coding,
                      struct blob *blob, size_t at)
{
    struct body_key name = body_key_of(sequence, coding, (uint32_t)(at / BODY_CHUNK_BYTES));
    MDB_val key = {sizeof(name.bytes), name.bytes}, value;
    size_t left = blob->len - at, len = left < BODY_CHUNK_BYTES ? left : BODY_CHUNK_BYTES;
    int rc = store_code(mdb_get(reader->txn, reader->store->body, &key, &value));
    if (rc)
        return rc;
    if (value.mv_size != len)
        return STORE_NOT_FOUND;
    memcpy(blob->bytes + at, value.mv_data, len);
    return 0;
}

/* `chunks` counts over all bodies of the object; when it is time, the transaction is renewed. */
static int copy_body(struct store_reader *reader, const struct stored_body *body,
                     enum coding coding, size_t *chunks, struct blob **blob)
{
    int rc = 0;
    *blob = blob_new(body->len);
    for (size_t at = 0; !rc && at < body->len; at += BODY_CHUNK_BYTES) {
        if (++*chunks % CHUNKS_PER_TXN == 0) {
            end(reader);
            rc = begin(reader);
        }
        if (!rc)
            rc = copy_chunk(reader, body->sequence, coding, *blob, at);
    }
    return rc;
}

static int copy_bodies(struct store_reader *reader, const struct index_row *row,
                       struct blob *bodies[CODING_COUNT], bool *is_damaged)
{
    size_t chunks = 0;
    int rc = 0;
    for (enum coding i = 0; !rc && i < CODING_COUNT; i++) {
        if (!row->bodies[i].sequence)
            continue;
        if (row->bodies[i].len > reader->store->map_bytes)
            rc = STORE_NOT_FOUND;
        else
            rc = copy_body(reader, &row->bodies[i], i, &chunks, &bodies[i]);
    }
    /* in one transaction the row and its bodies are all there, or something is broken; over
     * several, the object may have been evicted in between */
    *is_damaged = rc == STORE_NOT_FOUND && chunks < CHUNKS_PER_TXN;
    return rc;
}

static bool bodies_are_sound(const struct index_row *row, struct blob *const bodies[CODING_COUNT])
{
    for (size_t i = 0; i < CODING_COUNT; i++) {
        if (bodies[i] &&
            hash_of(slice_of(bodies[i]->bytes, bodies[i]->len)) != row->bodies[i].checksum)
            return false;
    }
    return true;
}

/* Takes the reference of `head`. */
static struct object *object_of(const struct key *key, const struct index_row *row,
                                struct blob *head)
{
    struct object *object = object_decode_blob(head);
    if (object && !key_equal(&object->key, key))
        object_unref(&object);
    if (object)
        atomic_store(&object->checked_stamp, row->alive_stamp);
    return object;
}

int store_read_object(struct store_reader *reader, const struct key *key, struct object **object,
                      bool *is_damaged)
{
    struct index_row row;
    struct blob *head = NULL, *bodies[CODING_COUNT] = {NULL};
    struct object *found = NULL;
    *is_damaged = false;
    int rc = begin(reader);
    if (rc)
        return rc;
    rc = copy_row(reader, key, &row, &head, is_damaged);
    if (!rc)
        rc = copy_bodies(reader, &row, bodies, is_damaged);
    end(reader);
    if (!rc) {
        found = bodies_are_sound(&row, bodies) ? object_of(key, &row, blob_ref(head)) : NULL;
        *is_damaged = !found;
    }
    blob_unref(&head);
    for (size_t i = 0; i < CODING_COUNT; i++) {
        if (found)
            found->bodies[i] = bodies[i];
        else
            blob_unref(&bodies[i]);
    }
    if (found)
        *object = found;
    return found ? 0 : rc ? rc : STORE_NOT_FOUND;
}

int store_read_head(struct store_reader *reader, const struct key *key, struct object **object,
                    uint64_t body_bytes[CODING_COUNT])
{
    struct index_row row;
    struct blob *head = NULL;
    bool is_damaged = false;
    int rc = begin(reader);
    if (rc)
        return rc;
    rc = copy_row(reader, key, &row, &head, &is_damaged);
    end(reader);
    if (rc)
        return rc;
    struct object *found = object_of(key, &row, head);
    if (!found)
        return STORE_NOT_FOUND;
    for (size_t i = 0; i < CODING_COUNT; i++)
        body_bytes[i] = row.bodies[i].len;
    *object = found;
    return 0;
}
