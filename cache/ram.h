/*
 * The RAM tier: objects by key in bounded bytes, replaced by S3-FIFO (Yang et al., SOSP 2023): a
 * small queue where newcomers prove themselves, a main queue for those that were asked for again,
 * and a memory of keys that left the small one too early. A hit changes one counter and moves
 * nothing. Sharded locks; every function may be called from any thread and holds one shard's lock
 * at most.
 */
#pragma once

#include "cache/object.h"

struct ram;

struct ram *ram_new(size_t max_bytes);
void ram_free(struct ram *ram); /* drops its references */

/* A reference, or NULL. key_text is compared. Counts a hit. */
struct object *ram_find(struct ram *ram, const struct key *key, slice key_text);
/* A reference, or NULL; counts nothing. */
struct object *ram_peek(struct ram *ram, const struct key *key);
/* Has this key been asked for since it was put, or since ram_forget_hit()? */
bool ram_was_hit(struct ram *ram, const struct key *key);
void ram_forget_hit(struct ram *ram, const struct key *key);

/*
 * Puts an object in the place of an older one of its key; takes a reference of its own. Nothing is
 * evicted before ram_shrink(), so that this may be called under the caller's lock.
 */
void ram_put(struct ram *ram, struct object *object);
/* Puts `object` in the place of `old`; false if that is no longer what lies there. */
bool ram_swap(struct ram *ram, const struct object *old, struct object *object);
/* True if something was there. */
bool ram_remove(struct ram *ram, const struct key *key);
/* Evicts until the bytes fit. */
void ram_shrink(struct ram *ram);

/*
 * Who loads an object from the disk notes ram_changes() before reading; ram_learn() puts it only if
 * nothing was put or removed since near that key and the key is free. So a slow read never brings
 * back what has been replaced.
 */
uint64_t ram_changes(struct ram *ram, const struct key *key);
bool ram_learn(struct ram *ram, struct object *object, uint64_t changes);

/* Throws everything out and goes on with the new limit. */
void ram_limit(struct ram *ram, size_t max_bytes);
size_t ram_max_bytes(const struct ram *ram);
/* An object larger than a quarter of the tier would only chase the others out. */
bool ram_fits(const struct ram *ram, const struct object *object);
/* The oldest stamp at which any object here was last known to be alive; UINT64_MAX if empty. Slow.
 */
uint64_t ram_oldest_stamp(struct ram *ram);

struct ram_stats {
    uint64_t bytes, objects, evictions;
};
struct ram_stats ram_stats(const struct ram *ram);
