/*
 * Purges (semantics 6): a table of records in memory that all worker processes share (a memfd made
 * by the master), and an append-only, checksummed file STORE/purges from which it is replayed at
 * start. Stamps are hybrid logical clocks: 48 bits of wall milliseconds, 16 bits of counter. Any
 * thread, any process; a lookup takes no lock.
 */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

enum purge_kind { PURGE_URL, PURGE_PREFIX, PURGE_TAG, PURGE_HOST, PURGE_ALL, PURGE_KIND_COUNT };
enum purge_state { PURGE_ALIVE, PURGE_SOFT, PURGE_DEAD };

struct purge_table;

/* What records are matched against: one object, flight or URL. */
struct purge_subject {
    slice host, path, query; /* no scheme: a purge covers both (semantics 6.4) */
    bool has_query;
    const uint64_t *tag_hashes;
    size_t tag_count;
    uint64_t stamp; /* records newer than this count */
};

size_t purge_table_bytes(void); /* size of the shared region */
/* Formats a zeroed region. Master, before the first worker. */
void purge_table_init(void *region);
/*
 * Attaches to the region and opens (`make`s) the file; the first attach after the region was made
 * replays it. `path` is the file's, and gets a neighbour `path`.lock; empty: memory only. A damaged
 * file makes all that is older dead (the floor); a tail cut off by a kill does not. Returns NULL
 * with a line in `error` (>= 256 bytes).
 */
struct purge_table *purge_attach(void *region, slice path, bool sync, wall_time now, char *error);
void purge_detach(struct purge_table *table);

uint64_t purge_stamp(
    const struct purge_table *table); /* newest stamp: what a request reads before it is sent */
/* Raises the stamp to at least `stamp` (what the store has seen: semantics 6.3). */
void purge_raise(struct purge_table *table, uint64_t stamp, wall_time now);

enum purge_state purge_check(const struct purge_table *table, const struct purge_subject *subject);
/* Only the records whose kind bit is set in `kinds` (1u << PURGE_…). */
enum purge_state purge_check_kinds(const struct purge_table *table,
                                   const struct purge_subject *subject, unsigned kinds);

struct purge_order {
    enum purge_kind kind;
    bool is_soft;
    slice host;  /* URL, PREFIX, HOST: lower case, as keyed */
    slice path;  /* URL: path as forwarded; PREFIX: path prefix */
    slice query; /* URL, after the route's query rules */
    bool has_query;
    slice tag; /* TAG */
};

/*
 * Writes a record to memory and file; when this returns 0 the page is gone for every process and
 * over kill -9. ENOSPC or EIO: it could not be written, but holds in memory (answer 507). `*stamp`
 * is the record's.
 */
__attribute__((warn_unused_result)) int purge_add(struct purge_table *table,
                                                  const struct purge_order *order, wall_time now,
                                                  uint64_t *stamp);
uint64_t purge_tag_hash(slice tag);

struct purge_stats {
    uint64_t records, prefixes;
    uint64_t floor_stamp, soft_floor_stamp; /* what is older is dead, or stale (semantics 6.3) */
    uint64_t overflows;                     /* how often a floor stood in for records */
};
struct purge_stats purge_stats(const struct purge_table *table);
/*
 * Drops records up to `oldest`: no object, flight or RAM entry has an older stamp (semantics 6.3);
 * one that turns up nevertheless is dead. Compacts the file.
 */
void purge_forget(struct purge_table *table, uint64_t oldest);
