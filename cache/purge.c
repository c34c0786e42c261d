/*
 * Purges (semantics 6): the order of things. A record goes into the shared region first, then the
 * stamp rises, then it is appended to the file, then the caller may answer. A reader that sees the
 * new stamp therefore finds the record; a kill before the append loses only what nobody was told.
 *
 * The region is purge_table.c, matching purge_match.c, the file purge_file.c.
 */
#include "cache/purge.h"

#include "base/arena.h"
#include "base/log.h"
#include "cache/key.h"
#include "cache/purge_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ERROR_BYTES = 256, FILE_SLACK_RECORDS = 4096 };

struct purge_table {
    struct purge_region *region;
    bool has_file;
    struct purge_file file; /* hold the region's mutex */
};

/* --- attaching --- */

static void replay_one(void *arg, const struct purge_record *record)
{
    struct purge_region *region = arg;
    struct purge_record copy = *record;
    purge_region_raise_stamp(region, record->stamp);
    purge_region_apply(region, &copy);
}

/* So many stamps are left behind it for this run, whatever file and store say: none is ever given
 * twice, or too large to be read again. */
static bool has_room_behind(uint64_t stamp)
{
    return stamp < PURGE_STAMP_MAX - ((uint64_t)1 << 32);
}

/* Damage means that purges are lost which were acknowledged: all that was stored before is dead. */
static int replay(struct purge_table *table, wall_time now)
{
    struct purge_region *region = table->region;
    struct purge_replay replay;
    int error = purge_file_replay(&table->file, replay_one, region, &replay);
    if (!error && replay.is_damaged) {
        log_error("the purge file is damaged: everything stored before counts as purged",
                  {"path", slice_of_string(table->file.path), 0});
        uint64_t floor = purge_region_next_stamp(region, now);
        atomic_fetch_add(&region->overflows, 1);
        purge_region_raise_stamp(region, floor);
        purge_region_raise_floor(region, floor);
    }
    bool is_long = !error && replay.records > FILE_SLACK_RECORDS + 2 * purge_region_count(region);
    if (error == ENOENT || (!error && (replay.is_damaged || is_long)))
        error = purge_file_rewrite(&table->file, region);
    return error;
}

/* Hold the mutex. The wall clock may have gone back: a stamp never does. */
static void raise_stamp(struct purge_region *region, uint64_t stamp, wall_time now)
{
    uint64_t wall = purge_region_next_stamp(region, now) & ~(uint64_t)0xffff;
    purge_region_raise_stamp(region, wall);
    if (has_room_behind(stamp))
        purge_region_raise_stamp(region, stamp);
}

/* The region's first one replays the file. 0 or errno. */
static int enter(struct purge_table *table, wall_time now)
{
    struct purge_region *region = table->region;
    int error = 0;
    purge_region_lock(region);
    raise_stamp(region, 0, now);
    if (table->has_file && !region->is_replayed) {
        error = replay(table, now);
        if (!error && !has_room_behind(atomic_load(&region->stamp)))
            error = EOVERFLOW;
        region->is_replayed = error == 0;
    }
    purge_region_unlock(region);
    return error;
}

struct purge_table *purge_attach(void *memory, slice path, bool sync, wall_time now, char *error)
{
    struct purge_table *table = mem_alloc(sizeof(*table));
    table->region = memory;
    int failure = purge_region_is_formatted(memory) ? 0 : EINVAL;
    if (!failure && path.len > 0) {
        failure = purge_file_open(&table->file, path, sync);
        table->has_file = !failure;
    }
    if (!failure)
        failure = enter(table, now);
    if (!failure)
        return table;
    slice shown = slice_until(path, 128);
    snprintf(error, ERROR_BYTES, "cannot use the purge file %" SLICE_FMT ": %s", SLICE_ARG(shown),
             strerror(failure));
    purge_detach(table);
    return NULL;
}

void purge_detach(struct purge_table *table)
{
    if (table->has_file)
        purge_file_close(&table->file);
    free(table);
}

uint64_t purge_stamp(const struct purge_table *table)
{
    return atomic_load_explicit(&table->region->stamp, memory_order_acquire);
}

void purge_raise(struct purge_table *table, uint64_t stamp, wall_time now)
{
    purge_region_lock(table->region);
    raise_stamp(table->region, stamp, now);
    purge_region_unlock(table->region);
}

/* --- matching --- */

enum purge_state purge_check(const struct purge_table *table, const struct purge_subject *subject)
{
    return purge_region_check(table->region, subject, (1u << PURGE_KIND_COUNT) - 1);
}

enum purge_state purge_check_kinds(const struct purge_table *table,
                                   const struct purge_subject *subject, unsigned kinds)
{
    return purge_region_check(table->region, subject, kinds);
}

/* --- adding --- */

static struct purge_record record_of(const struct purge_order *order, uint64_t stamp)
{
    struct purge_record record = {RECORD_VALUE, order->is_soft, 0, 0, 0, stamp};
    switch (order->kind) {
    case PURGE_URL:
        record.value = purge_key_url(order->host, order->path, order->has_query, order->query);
        break;
    case PURGE_PREFIX:
        record.kind = RECORD_PREFIX;
        record.host = purge_key_host(order->host);
        record.value = hash_of(order->path);
        record.prefix_bytes = (uint32_t)order->path.len;
        break;
    case PURGE_TAG:
        record.value = purge_key_tag(purge_tag_hash(order->tag));
        break;
    case PURGE_HOST:
        record.value = purge_key_host(order->host);
        break;
    case PURGE_ALL:
    case PURGE_KIND_COUNT:
        record.kind = RECORD_ALL;
        break;
    }
    return record;
}

/* Appends, or rewrites where memory and file went apart, or when most of the file is history. */
static int write_down(struct purge_table *table, const struct purge_record *record,
                      bool must_rewrite)
{
    struct purge_region *region = table->region;
    uint64_t records = 0;
    if (!table->has_file)
        return 0;
    must_rewrite = must_rewrite || region->file_is_behind;
    region->file_is_behind = true; /* also for whoever finds the mutex of a dead owner */
    int error = must_rewrite ? ENOENT : purge_file_append(&table->file, record, &records);
    bool is_written = error == 0;
    if (error == ENOENT || error == EILSEQ ||
        records > FILE_SLACK_RECORDS + 4 * purge_region_count(region))
        error = purge_file_rewrite(&table->file, region);
    region->file_is_behind = error != 0 && !is_written;
    return is_written ? 0 : error;
}

int purge_add(struct purge_table *table, const struct purge_order *order, wall_time now,
              uint64_t *stamp)
{
    struct purge_region *region = table->region;
    purge_region_lock(region);
    struct purge_record record = record_of(order, purge_region_next_stamp(region, now));
    *stamp = record.stamp;
    bool is_floor_raised = purge_region_apply(region, &record);
    purge_region_raise_stamp(region, *stamp);
    int error = write_down(table, &record, is_floor_raised);
    purge_region_unlock(region);
    if (is_floor_raised)
        log_warn("too many purges to remember: the oldest now hold for every page of their time");
    return error;
}

/* --- housekeeping --- */

struct purge_stats purge_stats(const struct purge_table *table)
{
    struct purge_region *region = table->region;
    purge_region_lock(region);
    struct purge_stats stats = {
        .records = purge_region_count(region),
        .prefixes = purge_region_prefix_count(region),
        .floor_stamp = atomic_load(&region->floor),
        .soft_floor_stamp = atomic_load(&region->soft_floor),
        .overflows = atomic_load(&region->overflows),
    };
    purge_region_unlock(region);
    return stats;
}

/* What is dropped could match nothing, so the file need not learn of it: rewriting only shortens.
 */
void purge_forget(struct purge_table *table, uint64_t oldest)
{
    struct purge_region *region = table->region;
    purge_region_lock(region);
    uint64_t newest = atomic_load(&region->stamp), before = purge_region_count(region);
    purge_region_raise_floor(region, oldest < newest ? oldest : newest);
    if (table->has_file && purge_region_count(region) < before &&
        purge_file_rewrite(&table->file, region) == 0)
        region->file_is_behind = false;
    purge_region_unlock(region);
}
