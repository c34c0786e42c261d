#include "cache/key_map.h"

#include "base/arena.h"
#include "base/must.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 64 };

static struct key_node **bucket_of(const struct key_map *map, const struct key *key)
{
    return &map->buckets[key_word(key, 4) & (map->bucket_count - 1)];
}

/* Where the pointer to the key's node is, or would be. */
static struct key_node **slot_of(const struct key_map *map, const struct key *key)
{
    struct key_node **slot = bucket_of(map, key);
    while (*slot && !key_equal(&(*slot)->key, key))
        slot = &(*slot)->next;
    return slot;
}

static void put(struct key_map *map, struct key_node *node)
{
    struct key_node **bucket = bucket_of(map, &node->key);
    node->next = *bucket;
    *bucket = node;
}

static void rehash(struct key_map *map, size_t bucket_count)
{
    struct key_map old = *map;
    map->buckets = mem_alloc(bucket_count * sizeof(struct key_node *));
    map->bucket_count = bucket_count;
    for (size_t i = 0; i < old.bucket_count; i++) {
        while (old.buckets[i]) {
            struct key_node *node = old.buckets[i];
            old.buckets[i] = node->next;
            put(map, node);
        }
    }
    free(old.buckets);
}

void key_map_init(struct key_map *map)
{
    *map = (struct key_map){.count = 0};
    rehash(map, BUCKETS_MIN);
}

void key_map_fini(struct key_map *map)
{
    MUST(map->count == 0);
    free(map->buckets);
    map->buckets = NULL;
}

struct key_node *key_map_find(const struct key_map *map, const struct key *key)
{
    return *slot_of(map, key);
}

void key_map_add(struct key_map *map, struct key_node *node, const struct key *key)
{
    if (map->count >= map->bucket_count)
        rehash(map, map->bucket_count * 2);
    node->key = *key;
    put(map, node);
    map->count++;
}

void key_map_remove(struct key_map *map, struct key_node *node)
{
    struct key_node **slot = slot_of(map, &node->key);
    MUST(*slot == node);
    *slot = node->next;
    map->count--;
}
