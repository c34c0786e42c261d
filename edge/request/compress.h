/*
 * Codings that varve makes itself (semantics 4.7), on a helper thread: it compresses an object on
 * the first hit that wants it, and until then clients get identity; and it decodes one that came
 * coded when the first client cannot read it, which waits for that. Whatever else of a request
 * would hold up its loop is done there too.
 */
#pragma once

#include "cache/cache.h"

struct compressor;

/* `cache`: where a finished body goes (cache_update); `max_bytes`: of a decoded one. */
struct compressor *compressor_new(struct cache *cache, size_t max_bytes);
/* Ends the thread; what is queued is dropped, and who waits for it hears nothing. NULL is fine. */
void compressor_free(struct compressor *compressor);
/* Has it an identity body of at least `min` bytes, of a kind to compress (semantics 4.7)? */
bool compressor_wants(const struct policy *policy, const struct object *object);
/*
 * Asks for a coding; takes a reference of its own. Any thread, never blocks: when its bounded queue
 * is full or the object is queued already, nothing happens.
 */
void compressor_ask(struct compressor *compressor, struct object *object, enum coding coding);

/* Somebody who waits for a plain body. Embedded; the compressor's until done(). */
struct decoding {
    struct list node;
    void (*done)(struct decoding *decoding); /* the helper's thread: only post */
    struct object *plain; /* a reference: the object with its plain body too. NULL: there is none */
};
/*
 * Decodes the body of an object that came coded; takes a reference of its own. Any thread, never
 * blocks. False: it was tried not long ago, and cannot be decoded or is too long. True: done() will
 * come, ahead of all compressing that still waits.
 */
bool compressor_decode(struct compressor *compressor, struct object *object,
                       struct decoding *decoding);

/* Slow work of a request. Embedded in what it is about; the compressor's until run(). */
struct chore {
    struct list node;
    void (*run)(struct chore *chore); /* the helper's thread; it may be gone after this */
};
/* Has it run, in order of arrival with what is decoded. Any thread, never blocks. */
void compressor_run(struct compressor *compressor, struct chore *chore);
