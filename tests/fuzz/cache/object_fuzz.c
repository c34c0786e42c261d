/* Heads of stored objects: whatever the bytes are, they are refused or read within their bounds;
 * and what was read can be written again. */
#include "base/arena.h"
#include "base/must.h"
#include "cache/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t walk(const struct object *o)
{
    const slice texts[] = {o->key_text,     o->url_text,    o->scheme, o->host,
                           o->path,         o->query,       o->build,  o->reason_phrase,
                           o->variant_text, o->content_type};
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        hash = hash_more(hash, texts[i]);
    for (size_t i = 0; i < o->tag_count; i++)
        hash ^= o->tag_hashes[i];
    for (size_t i = 0; i < o->field_count; i++)
        hash = hash_more(hash_more(hash, o->fields[i].name), o->fields[i].value);
    return hash;
}

static void write_again(const struct object *object)
{
    struct arena arena;
    struct fields fields;
    arena_init(&arena);
    fields_init(&fields, &arena);
    for (size_t i = 0; i < object->field_count; i++)
        fields_add(&fields, object->fields[i].name, object->fields[i].value);
    const struct object_parts same = {.fields = &fields,
                                      .facts = object->facts,
                                      .stamp = object->stamp,
                                      .policy_hash = object->policy_hash,
                                      .tag_hashes = object->tag_hashes,
                                      .tag_count = object->tag_count};
    struct object *again = object_refreshed(object, &same);
    MUST(walk(again) == walk(object));
    object_unref(&again);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct object *object = object_decode(slice_of((const char *)data, size));
    if (object)
        write_again(object);
    object_unref(&object);
    return 0;
}
