/* Writing into the open transaction: Vary records and objects. Writer thread only. */
#include "cache/store_env.h"

#include "base/arena.h"
#include "base/must.h"

#include <lmdb.h>
#include <stdlib.h>

static MDB_val val_of(const void *bytes, size_t len)
{
    return (MDB_val){len, (void *)(uintptr_t)bytes};
}

/* --- Vary records --- */

int vary_get(struct store *store, MDB_txn *txn, const struct key *url_key,
             struct vary_record **record, wall_time *touched)
{
    MDB_val key = val_of(url_key->bytes, sizeof(url_key->bytes)), value;
    int rc = mdb_get(txn, store->vary, &key, &value);
    if (!rc)
        *record = vary_row_decode(url_key, slice_of(value.mv_data, value.mv_size), touched);
    return store_code(rc);
}

int vary_put(struct store *store, const struct vary_record *record, wall_time now)
{
    MDB_val key = val_of(record->url_key.bytes, sizeof(record->url_key.bytes));
    MDB_val value = {vary_row_bytes(record), NULL};
    char *row = mem_alloc(value.mv_size); /* LMDB's reserved place may lie at any address */
    vary_row_encode(record, now, row);
    value.mv_data = row;
    int rc = mdb_put(store->txn, store->vary, &key, &value, 0);
    free(row);
    return store_code(rc);
}

static int vary_delete(struct store *store, const struct key *url_key)
{
    MDB_val key = val_of(url_key->bytes, sizeof(url_key->bytes));
    int rc = store_code(mdb_del(store->txn, store->vary, &key, NULL));
    return rc == STORE_NOT_FOUND ? 0 : rc;
}

/* The record, or NULL if there is none or its row is damaged. */
static int vary_current(struct store *store, const struct key *url_key, struct vary_record **record)
{
    wall_time touched;
    *record = NULL;
    int rc = vary_get(store, store->txn, url_key, record, &touched);
    return rc == STORE_NOT_FOUND ? 0 : rc;
}

int vary_forget(struct store *store, const struct key *url_key, const struct key *key,
                wall_time now)
{
    struct vary_record *record;
    int rc = vary_current(store, url_key, &record);
    if (rc || !record)
        return rc;
    struct vary_record *without = vary_record_with(record, key, NULL);
    if (without->variant_count == 0 && without->names.count == 0)
        rc = vary_delete(store, url_key); /* it says no more than none */
    else
        rc = vary_put(store, without, now);
    vary_record_unref(&without);
    vary_record_unref(&record);
    return rc;
}

static int variants_delete(struct store *store, const struct vary_record *record)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < record->variant_count; i++) {
        rc = object_delete(store, &record->variants[i].key, NULL);
        rc = rc == STORE_NOT_FOUND ? 0 : rc;
    }
    return rc;
}

/* `was`: the row as it is, a reference that this takes. */
static int vary_grow(struct store *store, struct vary_record *was, const struct field_names *names,
                     wall_time now, struct vary_record **disk)
{
    struct field_names merged;
    *disk = was;
    if (!vary_names_merge(&was->names, names, &merged) || field_names_equal(&merged, &was->names))
        return 0;
    *disk = vary_record_new(&was->url_key, &merged, true, NULL, 0);
    int rc = variants_delete(store, was);
    vary_record_unref(&was);
    return rc ? rc : vary_put(store, *disk, now);
}

int store_write_vary(struct store *store, const struct vary_record *change, bool is_reset,
                     wall_time now, struct vary_record **disk)
{
    struct vary_record *was, *is = NULL;
    int rc = vary_current(store, &change->url_key, &was);
    if (!rc && was && is_reset) {
        rc = variants_delete(store, was);
        vary_record_unref(&was);
        if (!rc)
            rc = vary_delete(store, &change->url_key);
    }
    if (!rc && change->is_known && was) {
        rc = vary_grow(store, was, &change->names, now, &is);
    } else if (!rc && change->is_known) {
        is = vary_record_new(&change->url_key, &change->names, true, NULL, 0);
        rc = vary_put(store, is, now);
    } else {
        vary_record_unref(&was);
    }
    if (rc)
        vary_record_unref(&is);
    else
        *disk = is;
    return rc;
}

/* --- index rows --- */

uint64_t index_row_checksum(slice row)
{
    return hash_of(slice_from(row, sizeof(uint64_t)));
}

bool index_row_read(slice row, struct index_row *prefix, slice *head)
{
    if (row.len < sizeof(*prefix))
        return false;
    memcpy(prefix, row.ptr, sizeof(*prefix));
    *head = slice_from(row, sizeof(*prefix));
    return prefix->magic == INDEX_MAGIC && prefix->checksum == index_row_checksum(row);
}

/* `head` must not lie in the map: the row that it came from may be the one written over. */
int index_put(struct store *store, const struct key *key, struct index_row *row, slice head)
{
    size_t len = sizeof(*row) + head.len;
    char *bytes = mem_grow(NULL, len);
    row->magic = INDEX_MAGIC;
    memcpy(bytes, row, sizeof(*row));
    memcpy(bytes + sizeof(*row), head.ptr, head.len);
    row->checksum = index_row_checksum(slice_of(bytes, len));
    memcpy(bytes, &row->checksum, sizeof(row->checksum));
    MDB_val name = val_of(key->bytes, sizeof(key->bytes)), value = val_of(bytes, len);
    int rc = mdb_put(store->txn, store->index, &name, &value, 0);
    free(bytes);
    return store_code(rc);
}

static int order_put(struct store *store, uint64_t sequence, const struct key *key)
{
    struct order_key name = order_key_of(sequence);
    MDB_val at = val_of(name.bytes, sizeof(name.bytes));
    MDB_val value = val_of(key->bytes, sizeof(key->bytes));
    return store_code(mdb_put(store->txn, store->order, &at, &value, MDB_APPEND));
}

static int order_delete(struct store *store, uint64_t sequence)
{
    struct order_key name = order_key_of(sequence);
    MDB_val at = val_of(name.bytes, sizeof(name.bytes));
    int rc = store_code(mdb_del(store->txn, store->order, &at, NULL));
    return rc == STORE_NOT_FOUND ? 0 : rc;
}

/* A damaged row names no bodies that could be trusted; they stay behind until the store is made
 * anew. */
int object_delete(struct store *store, const struct key *key, struct index_row *gone)
{
    MDB_val name = val_of(key->bytes, sizeof(key->bytes)), value;
    struct index_row row = {0};
    slice head;
    int rc = mdb_get(store->txn, store->index, &name, &value);
    if (rc)
        return store_code(rc);
    bool is_sound = index_row_read(slice_of(value.mv_data, value.mv_size), &row, &head);
    for (size_t i = 0; is_sound && !rc && i < CODING_COUNT; i++) {
        if (row.bodies[i].sequence)
            rc = body_delete(store, row.bodies[i].sequence);
    }
    if (!rc && is_sound)
        rc = order_delete(store, row.sequence);
    if (!rc)
        rc = store_code(mdb_del(store->txn, store->index, &name, NULL));
    if (!rc && gone)
        *gone = is_sound ? row : (struct index_row){0};
    return rc;
}

/* --- objects --- */

static slice body_of(const struct object *object, enum coding coding)
{
    const struct blob *blob = object->bodies[coding];
    return blob ? slice_of(blob->bytes, blob->len) : SLICE_NONE;
}

/* Writes the bodies that the row does not have yet, or takes over those that were written before.
 */
static int bodies_put(struct store *store, struct store_put *put, struct index_row *row)
{
    int rc = 0;
    for (enum coding i = 0; !rc && i < CODING_COUNT; i++) {
        slice body = body_of(put->object, i);
        if (!body.len || row->bodies[i].sequence)
            continue;
        uint64_t sequence = put->body_sequences[i];
        if (sequence) {
            rc = pending_end(store, sequence);
            put->body_sequences[i] = 0;
        } else {
            sequence = sequence_take(store);
            rc = body_put(store, sequence, i, body, 0, body.len);
        }
        row->bodies[i] = (struct stored_body){sequence, body.len, hash_of(body)};
    }
    return rc;
}

static uint64_t alive_stamp_of(const struct object *object)
{
    uint64_t checked = atomic_load_explicit(&object->checked_stamp, memory_order_relaxed);
    return checked > object->stamp ? checked : object->stamp;
}

/* `object` is where the head comes from; the bodies are the put's. */
static int row_write(struct store *store, struct store_put *put, struct index_row *row,
                     const struct object *object)
{
    int rc = bodies_put(store, put, row);
    if (rc)
        return rc;
    if (!row->sequence) { /* behind its bodies' */
        row->sequence = sequence_take(store);
        rc = order_put(store, row->sequence, &object->key);
    }
    row->url_key = object->url_key;
    row->alive_stamp = alive_stamp_of(object);
    alive_note(store, row->sequence, row->alive_stamp);
    slice head = slice_of(object->head->bytes, object->head->len);
    return rc ? rc : index_put(store, &object->key, row, head);
}

static bool are_parts_there(struct store *store, const struct store_put *put)
{
    for (size_t i = 0; i < CODING_COUNT; i++) {
        if (put->body_sequences[i] && pending_check(store, put->body_sequences[i]) != 0)
            return false;
    }
    return true;
}

/* The record that the object is to be listed in; NULL and an outcome if it must not be stored. */
static int record_for(struct store *store, struct store_put *put, struct vary_record **record)
{
    const struct field_names none = {.count = 0};
    const struct object *object = put->object;
    int rc = vary_current(store, &object->url_key, record);
    if (rc)
        return rc;
    if (!*record && (object->union_hash == 0 || object->union_hash == union_hash_of(&none)))
        *record = vary_record_new(&object->url_key, &none, true, NULL, 0);
    if (!*record || !are_parts_there(store, put)) {
        put->outcome = STORE_GONE;
        vary_record_unref(record);
    } else if (object->union_hash && object->union_hash != union_hash_of(&(*record)->names)) {
        put->outcome = STORE_OUTGROWN;
        put->disk = *record;
        *record = NULL;
    }
    return 0;
}

static int drop_if_there(struct store *store, const struct key *key)
{
    int rc = object_delete(store, key, NULL);
    return rc == STORE_NOT_FOUND ? 0 : rc;
}

/* Lists the object; what it replaces and what is over the cap leaves. Takes the reference. */
static int list_variant(struct store *store, const struct store_put *put,
                        struct vary_record *record, wall_time now)
{
    const struct object *object = put->object;
    const struct variant in = {object->key, object->facts.response_time};
    int rc = drop_if_there(store, &object->key);
    if (!rc && put->has_replaced && vary_record_lists(record, &put->replaced))
        rc = drop_if_there(store, &put->replaced);
    struct vary_record *is =
        vary_record_with(record, put->has_replaced ? &put->replaced : NULL, &in);
    while (!rc && is->variant_count > store->max_variants) {
        struct key oldest = is->variants[0].key;
        struct vary_record *fewer = vary_record_with(is, &oldest, NULL);
        vary_record_unref(&is);
        is = fewer;
        rc = drop_if_there(store, &oldest);
    }
    if (!rc)
        rc = vary_put(store, is, now);
    vary_record_unref(&is);
    vary_record_unref(&record);
    return rc;
}

/* Another process may have asked the origin later and been faster. */
static int is_older_than_row(struct store *store, const struct object *object, bool *is_older)
{
    MDB_val name = val_of(object->key.bytes, sizeof(object->key.bytes)), value;
    struct object *stored = NULL;
    struct index_row row;
    slice head;
    int rc = store_code(mdb_get(store->txn, store->index, &name, &value));
    if (!rc && index_row_read(slice_of(value.mv_data, value.mv_size), &row, &head))
        stored = object_decode(head);
    *is_older = stored && slice_equal(stored->key_text, object->key_text) &&
                object_is_older(object, stored);
    object_unref(&stored);
    return rc == STORE_NOT_FOUND ? 0 : rc;
}

int store_put(struct store *store, struct store_put *put, wall_time now)
{
    struct vary_record *record;
    struct index_row row = {0};
    put->outcome = STORE_WRITTEN;
    bool is_older = false;
    int rc = record_for(store, put, &record);
    if (rc || !record)
        return rc;
    rc = is_older_than_row(store, put->object, &is_older);
    if (rc || is_older) {
        put->outcome = is_older ? STORE_OLDER : put->outcome;
        vary_record_unref(&record);
        return rc;
    }
    rc = list_variant(store, put, record, now);
    return rc ? rc : row_write(store, put, &row, put->object);
}

/* Was the row written for the object that this one was made from? Then the origin's body is the
 * same. */
static bool is_same_body(const struct index_row *row, const struct object *object)
{
    slice body = body_of(object, object->coding);
    const struct stored_body *stored = &row->bodies[object->coding];
    if (!key_equal(&row->url_key, &object->url_key) || stored->len != body.len)
        return false;
    return body.len == 0 || stored->checksum == hash_of(body);
}

/* What the row holds, if that is newer: another process has refreshed it. A reference or NULL. */
static struct object *newer_than(const struct object *object, const struct index_row *row,
                                 slice head)
{
    struct object *stored = object_decode(head);
    if (stored && !object_is_older(object, stored))
        object_unref(&stored);
    if (stored)
        atomic_store(&stored->checked_stamp, row->alive_stamp);
    return stored;
}

int store_update(struct store *store, struct store_put *put)
{
    const struct key *key = &put->object->key;
    MDB_val name = val_of(key->bytes, sizeof(key->bytes)), value;
    struct index_row row;
    slice head;
    put->outcome = STORE_GONE;
    int rc = store_code(mdb_get(store->txn, store->index, &name, &value));
    if (rc)
        return rc == STORE_NOT_FOUND ? 0 : rc;
    if (!index_row_read(slice_of(value.mv_data, value.mv_size), &row, &head) ||
        !is_same_body(&row, put->object) || !are_parts_there(store, put))
        return 0;
    put->outcome = STORE_WRITTEN;
    struct object *newer = newer_than(put->object, &row, head);
    rc = row_write(store, put, &row, newer ? newer : put->object);
    object_unref(&newer);
    return rc;
}

int store_remove(struct store *store, const struct key *key, wall_time now)
{
    struct index_row gone;
    int rc = object_delete(store, key, &gone);
    if (rc)
        return rc == STORE_NOT_FOUND ? 0 : rc;
    return gone.magic ? vary_forget(store, &gone.url_key, key, now) : 0;
}
