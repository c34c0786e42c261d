/*
 * Codings that varve makes itself (semantics 4.7): a helper thread compresses an object on the
 * first hit that wants it; until then the client gets identity.
 */
#pragma once

#include "cache/cache.h"

struct compressor;

/* `cache`: where a finished coding goes (cache_update). */
struct compressor *compressor_new(struct cache *cache);
/* Ends the thread; what is queued is dropped. NULL is fine. */
void compressor_free(struct compressor *compressor);
/* Has it an identity body of at least `min` bytes, of a kind to compress (semantics 4.7)? */
bool compressor_wants(const struct policy *policy, const struct object *object);
/*
 * Asks for a coding; takes a reference of its own. Any thread, never blocks: when its bounded queue
 * is full or the object is queued already, nothing happens.
 */
void compressor_ask(struct compressor *compressor, struct object *object, enum coding coding);
