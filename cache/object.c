/*
 * Stored responses. An object is its serialised head (object_head.c) plus views into it, so that
 * what lies in RAM and in LMDB is one and the same byte string: making an object encodes it and
 * decodes the result. Bodies are separate blobs, because several objects (a refreshed one, one with
 * a coding more) share them.
 */
#include "cache/object_head.h"

#include "base/must.h"

#include <stdlib.h>

/* --- blobs --- */

struct blob *blob_new(size_t len)
{
    MUST(len <= SIZE_MAX - sizeof(struct blob));
    /* not mem_alloc(): that would clear megabytes which are overwritten at once */
    struct blob *blob = mem_grow(NULL, sizeof(*blob) + len);
    atomic_init(&blob->refs, 1);
    blob->len = len;
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob **blob)
{
    struct blob *b = *blob;
    *blob = NULL;
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

/* --- objects --- */

uint64_t union_hash_of(const struct field_names *names)
{
    uint64_t hash = names->count;
    for (size_t i = 0; i < names->count; i++)
        hash = hash_more(hash, names->at[i]);
    return hash ? hash : 1; /* the empty union is a known one */
}

static struct object *object_of(const struct object_parts *parts, uint64_t union_hash)
{
    struct object *object = object_decode_blob(object_head_encode(parts, union_hash));
    MUST(object);
    return object;
}

struct object *object_new(const struct object_parts *parts)
{
    struct object *object = object_of(parts, parts->names ? union_hash_of(parts->names) : 0);
    object->bodies[object->coding] = parts->body;
    return object;
}

struct object *object_ref(struct object *object)
{
    atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
    return object;
}

void object_unref(struct object **object)
{
    struct object *o = *object;
    *object = NULL;
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    blob_unref(&o->head);
    for (size_t i = 0; i < CODING_COUNT; i++)
        blob_unref(&o->bodies[i]);
    free(o);
}

size_t object_bytes(const struct object *object)
{
    enum { OVERHEAD = 192 }; /* entry, hash slot, heads of the allocations */
    size_t bytes = OVERHEAD + sizeof(*object) + object->field_count * sizeof(struct field);
    bytes += object->head->len;
    for (size_t i = 0; i < CODING_COUNT; i++)
        bytes += object->bodies[i] ? object->bodies[i]->len : 0;
    return bytes;
}

/* Only a duration is taken from the clock that somebody may set. */
static mono_time asked_at(const struct facts *facts)
{
    duration took = wall_since(facts->response_time, facts->request_time);
    return mono_after(facts->response_mono, (duration){took.ms > 0 ? -took.ms : 0});
}

bool object_is_older(const struct object *a, const struct object *b)
{
    if (a->stamp != b->stamp)
        return a->stamp < b->stamp;
    return a->facts.boot_id == b->facts.boot_id &&
           mono_since(asked_at(&a->facts), asked_at(&b->facts)).ms < 0;
}

/* What a changed object keeps of the one that it was made from. */
static void inherit(struct object *object, const struct object *from)
{
    for (size_t i = 0; i < CODING_COUNT; i++)
        object->bodies[i] = from->bodies[i] ? blob_ref(from->bodies[i]) : NULL;
    atomic_init(&object->hits, atomic_load_explicit(&from->hits, memory_order_relaxed));
}

struct object *object_with_coding(const struct object *object, enum coding coding,
                                  struct blob *body)
{
    MUST(coding < CODING_COUNT);
    struct object *with = object_decode_blob(blob_ref(object->head));
    MUST(with);
    inherit(with, object);
    atomic_init(&with->checked_stamp,
                atomic_load_explicit(&object->checked_stamp, memory_order_relaxed));
    blob_unref(&with->bodies[coding]);
    with->bodies[coding] = body;
    return with;
}

struct object *object_refreshed(const struct object *object, const struct object_parts *news)
{
    struct object_parts parts = {
        .key_text = object->key_text,
        .url_text = object->url_text,
        .scheme = object->scheme,
        .host = object->host,
        .path = object->path,
        .query = object->query,
        .has_query = object->has_query,
        .facts = news->facts,
        .stamp = news->stamp,
        .policy_hash = news->policy_hash,
        .tag_hashes = news->tag_hashes,
        .tag_count = news->tag_count,
        .build = news->build.len ? news->build : object->build,
        .reason_phrase = object->reason_phrase,
        .variant_text = object->variant_text,
        .fields = news->fields,
        .coding = object->coding,
    };
    struct object *refreshed = object_of(&parts, object->union_hash);
    inherit(refreshed, object);
    return refreshed;
}

struct purge_subject object_subject(const struct object *object, uint64_t since)
{
    return (struct purge_subject){
        .host = object->host,
        .path = object->path,
        .query = object->query,
        .has_query = object->has_query,
        .tag_hashes = object->tag_hashes,
        .tag_count = object->tag_count,
        .stamp = since,
    };
}
