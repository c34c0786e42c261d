/* What the admin socket sees of the cache: it looks, and nothing is counted as used or brought into
 * memory. */
#include "cache/cache_parts.h"

static struct vary_record *record_now(struct cache *cache, const struct key *url_key)
{
    struct vary_record *record = vary_table_find(cache->vary, url_key);
    if (record || !cache->store)
        return record;
    pthread_mutex_lock(&cache->admin_mtx);
    int rc = store_read_vary(cache->admin_reader, url_key, &record);
    pthread_mutex_unlock(&cache->admin_mtx);
    return rc ? NULL : record;
}

/* The reference is the caller's; variant->object is the same, const for visitors. */
static struct object *variant_read(struct cache *cache, const struct key *key,
                                   struct cache_variant *variant)
{
    struct object *object = ram_peek(cache->ram, key);
    *variant = (struct cache_variant){.is_in_ram = object != NULL};
    for (size_t i = 0; object && i < CODING_COUNT; i++)
        variant->body_bytes[i] = object->bodies[i] ? object->bodies[i]->len : 0;
    if (!object && cache->store && !writer_is_removing(cache->writer, key)) {
        pthread_mutex_lock(&cache->admin_mtx);
        if (store_read_head(cache->admin_reader, key, &object, variant->body_bytes) != 0)
            object = NULL;
        pthread_mutex_unlock(&cache->admin_mtx);
    }
    variant->object = object;
    return object;
}

struct object *cache_look(struct cache *cache, const struct key *key, slice key_text)
{
    struct cache_variant variant;
    struct object *object = variant_read(cache, key, &variant);
    if (object && !slice_equal(object->key_text, key_text))
        object_unref(&object);
    return object;
}

size_t cache_variants(struct cache *cache, const struct key *url_key,
                      void (*visit)(void *arg, const struct cache_variant *variant), void *arg)
{
    size_t count = 0;
    struct vary_record *record = record_now(cache, url_key);
    for (size_t i = 0; record && i < record->variant_count; i++) {
        struct cache_variant variant;
        struct object *object = variant_read(cache, &record->variants[i].key, &variant);
        if (!object)
            continue;
        visit(arg, &variant);
        count++;
        object_unref(&object);
    }
    vary_record_unref(&record);
    return count;
}
