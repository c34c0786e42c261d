/*
 * A hash map by key, of nodes that are embedded in what they stand for: chained, doubling. The key
 * is a good hash already, so a part of it chooses the bucket. Not thread-safe: the owner's lock
 * guards it.
 */
#pragma once

#include "cache/key.h"

struct key_node {
    struct key_node *next;
    struct key key;
};

struct key_map {
    struct key_node **buckets;
    size_t bucket_count, count; /* bucket_count: a power of two */
};

/* Part of a key, by offset, for whoever needs another bucket than the map's (it uses offset 4). */
static inline uint32_t key_word(const struct key *key, size_t offset)
{
    uint32_t word;
    memcpy(&word, key->bytes + offset, sizeof(word));
    return word;
}

void key_map_init(struct key_map *map);
void key_map_fini(struct key_map *map); /* it must be empty */
struct key_node *key_map_find(const struct key_map *map, const struct key *key); /* or NULL */
/* Its key must not be in the map. */
void key_map_add(struct key_map *map, struct key_node *node, const struct key *key);
void key_map_remove(struct key_map *map, struct key_node *node); /* it must be in the map */
