/*
 * The shared region of purge records (semantics 6.2, 6.3), without its file. Used by purge.c and
 * purge_file.c alone.
 *
 *     region: stamp, floor, ALL stamps, generation, mutex
 *             buffers[2]: a hash table of (kind, value) → newest hard and soft stamp,
 *                         and a list of prefix records
 *
 * Writers hold the mutex. Readers hold nothing: they read buffers[generation % 2], where entries
 * are only ever added and stamps only ever grow. Growing and dropping records builds the other
 * buffer and publishes it by raising the generation; a reader that finds the generation changed
 * starts again. Every field that readers see is atomic, stored with release and loaded with acquire
 * order.
 *
 * Values are 64-bit hashes. Two that collide purge too much, never too little.
 */
#pragma once

#include "cache/purge.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PURGE_RECORDS_MAX = 262144,
    PURGE_PREFIXES_MAX = 1000,
    PURGE_SLOTS_MAX = 2 * PURGE_RECORDS_MAX,
};

/* URL, TAG and HOST differ in how their value is hashed, and in nothing else. */
enum purge_record_kind { RECORD_VALUE, RECORD_PREFIX, RECORD_ALL, RECORD_FLOOR, RECORD_KIND_COUNT };

#define PURGE_STAMP_MAX ((uint64_t)1 << 63) /* nothing real comes near: year 6429 */

struct purge_record {
    enum purge_record_kind kind;
    bool is_soft;
    uint32_t prefix_bytes; /* PREFIX: length of the path prefix */
    uint64_t value;        /* VALUE: the table's key, not 0. PREFIX: hash of the path prefix */
    uint64_t host;         /* PREFIX: the key of its host */
    uint64_t stamp;
};

struct purge_slot {
    _Atomic uint64_t key; /* 0: empty; stored last */
    _Atomic uint64_t hard, soft;
};

struct purge_prefix {
    _Atomic uint64_t host, path, path_bytes;
    _Atomic uint64_t hard, soft;
};

struct purge_buffer {
    _Atomic uint64_t capacity; /* slots in use, a power of two */
    _Atomic uint64_t count, prefix_count;
    struct purge_prefix prefixes[PURGE_PREFIXES_MAX];
    struct purge_slot slots[PURGE_SLOTS_MAX]; /* at most half full */
};

struct purge_region {
    uint64_t magic;
    pthread_mutex_t mutex;
    /* hold the mutex */
    bool is_replayed;
    bool file_is_behind; /* memory holds what could not be written: rewrite the file */
    /* read by everybody */
    _Alignas(64) _Atomic uint64_t stamp;
    _Atomic uint64_t generation, floor, soft_floor, all_hard, all_soft, overflows;
    struct purge_buffer buffers[2];
};

bool purge_region_is_formatted(const struct purge_region *region);
void purge_region_lock(struct purge_region *region);
void purge_region_unlock(struct purge_region *region);

uint64_t purge_key_url(slice host, slice path, bool has_query, slice query);
uint64_t purge_key_host(slice host);
uint64_t purge_key_tag(uint64_t tag_hash);

enum purge_state purge_region_check(const struct purge_region *region,
                                    const struct purge_subject *subject, unsigned kinds);

/* --- hold the mutex --- */

/* The next record's stamp: wall time if that is newer than the newest, else the newest + 1. */
uint64_t purge_region_next_stamp(const struct purge_region *region, wall_time now);
void purge_region_raise_stamp(struct purge_region *region, uint64_t stamp);
/*
 * Puts a record in force. A prefix that finds no room becomes its host's record: *record is
 * changed. True: the floor rose, so the file is to be rewritten.
 */
bool purge_region_apply(struct purge_region *region, struct purge_record *record);
/* What is older than `floor` is dead; drops the records up to it. (What is older than `soft_floor`
 * is stale: that stands for soft records that were dropped.) */
void purge_region_raise_floor(struct purge_region *region, uint64_t floor);
/* All that is in force, the floor first. Stops at the first error and returns it. */
int purge_region_each(const struct purge_region *region,
                      int (*visit)(void *arg, const struct purge_record *record), void *arg);
uint64_t purge_region_count(const struct purge_region *region); /* prefixes too */
uint64_t purge_region_prefix_count(const struct purge_region *region);
