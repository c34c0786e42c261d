/*
 * The LMDB environment of one worker process; format and reasons in store.c. Nothing here waits for
 * anything but the disk, so nothing here is for an event loop. Two processes may have it open at
 * once (a reload); one process opens it once.
 *
 * Errors are errno or LMDB numbers: 0 is success, STORE_FULL a full map, other text by
 * store_error().
 */
#pragma once

#include "cache/purge.h"
#include "cache/vary.h"

enum {
    STORE_FULL = -1,
    STORE_NOT_FOUND = -2,
    STORE_LOST = -3 /* nothing can be read, or written */
};
/* A smaller configured size counts as this one: LMDB needs room for three transactions. */
#define STORE_BYTES_MIN ((uint64_t)16 << 20)
enum { BODY_CHUNK_BYTES = 8176, STORE_REINSERT_MAX = 2 };

struct store;

struct store_config {
    slice path; /* STORE; the environment lies in STORE/f1 */
    uint64_t max_bytes, max_object_bytes;
    unsigned max_variants;
    bool sync;
    struct purge_table *purges; /* may be NULL: nothing is ever purged */
    atomic_int *in_store;       /* may be NULL */
};

/* Is data.mdb as long as its newest meta page says (semantics 9.3)? True if there is none yet. */
bool store_file_is_whole(slice path);
/* Forces data.mdb, by whomever it was written, to the disk. 0, also if there is none yet, or errno.
 */
int store_file_sync(slice path);
/* NULL with a line in `error` (>= 256 bytes). Removes what a crash left half written. */
struct store *store_open(const struct store_config *config, char *error);
/* Syncs first. 0 or the sync's error. No transaction may be open. */
int store_close(struct store *store);
const char *store_error(int code);

/* The highest purge stamp at which any object here ever was known to be alive. */
uint64_t store_newest_stamp(struct store *store);
/* No object here was last known to be alive before this stamp; UINT64_MAX if empty. */
int store_oldest_stamp(struct store *store, uint64_t *stamp);

/* Remembers until eviction comes by that the object was asked for, be it stored by now or not. Any
 * thread, no lock. */
void store_note_hit(struct store *store, const struct key *key);

struct store_stats {
    uint64_t bytes, objects, evictions, target_bytes;
};
struct store_stats store_stats(const struct store *store); /* as of the last commit; any thread */

/* --- writing: one thread, one transaction at a time --- */

size_t store_batch_bytes(const struct store *store); /* what one transaction should write at most */
size_t store_max_object(const struct store *store);

int store_begin(struct store *store);
int store_commit(struct store *store); /* ends the transaction also when it fails */
void store_abort(struct store *store);

/* The URL's union grows to the change's (or is reset); *disk is the row as it is then, a reference
 * or NULL. */
int store_write_vary(struct store *store, const struct vary_record *change, bool is_reset,
                     wall_time now, struct vary_record **disk);

enum store_outcome {
    STORE_WRITTEN,
    STORE_OUTGROWN, /* the URL's union on the disk is another one: *disk is its record */
    STORE_GONE,     /* nothing on the disk to write to */
    STORE_OLDER,    /* than what the disk has: that stays */
};
struct store_put {
    struct object *object;
    bool has_replaced;
    struct key replaced; /* a variant that gave way */
    /* a body that was written in parts before: its sequence, else 0; cleared when it is taken over
     */
    uint64_t body_sequences[CODING_COUNT];
    enum store_outcome outcome; /* out */
    struct vary_record *disk;   /* out, STORE_OUTGROWN: a reference */
};
int store_put(struct store *store, struct store_put *put, wall_time now);
/* Rewrites the row of an object that was refreshed or has a coding more, if the row is that
 * object's. A newer head stays as it is. */
int store_update(struct store *store, struct store_put *put);
int store_remove(struct store *store, const struct key *key, wall_time now);

/*
 * A body too large for one transaction, in parts, each in a transaction of its own: begin, part …
 * part, then store_put() with the sequence. What is never put is removed at the next start.
 */
int store_body_begin(struct store *store, uint64_t *sequence);
/* STORE_NOT_FOUND: another process has cleared it away. */
int store_body_part(struct store *store, uint64_t sequence, enum coding coding, slice body,
                    size_t from, size_t len);
/* Removes it unless it was put; what is not there any more is no error. */
int store_body_drop(struct store *store, uint64_t sequence);

/* Evicts until `incoming` more bytes fit under the target. At most `max` objects are looked at. */
int store_evict(struct store *store, uint64_t incoming, size_t max, wall_time now);
/* Full although below the target: the target sinks by 2 % and that much is evicted in small
 * transactions. Not inside one. */
int store_make_room(struct store *store, wall_time now);
/* Removes records without variants that have expired, among the next thousand; *is_crowded: records
 * take too much room, and all without variants went. */
int store_sweep_vary(struct store *store, wall_time now, bool *is_crowded);
/* Frees the reader slots of processes that died. */
void store_check_readers(struct store *store);

/* --- reading: one reader per thread --- */

struct store_reader;

int store_reader_open(struct store *store, struct store_reader **reader);
void store_reader_close(struct store_reader *reader);
/* STORE_NOT_FOUND, also for a damaged row. */
int store_read_vary(struct store_reader *reader, const struct key *url_key,
                    struct vary_record **record);
/*
 * The object with all its bodies, checksums verified. STORE_NOT_FOUND; *is_damaged: it is there but
 * cannot be trusted.
 */
int store_read_object(struct store_reader *reader, const struct key *key, struct object **object,
                      bool *is_damaged);
/* Its head only; lengths of its bodies in `body_bytes`. */
int store_read_head(struct store_reader *reader, const struct key *key, struct object **object,
                    uint64_t body_bytes[CODING_COUNT]);
