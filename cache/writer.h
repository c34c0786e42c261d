/*
 * The writer thread: the only one of this process that writes into the store. Its mailbox is
 * bounded in jobs and bytes, so that loops never wait for the disk: when it is full or the disk
 * fails, a job is refused and the object stays in RAM only. Changed Vary records do not travel in
 * the mailbox (they must not be lost): the writer fetches them from the table before each batch.
 */
#pragma once

#include "cache/store.h"
#include "cache/vary_table.h"

struct writer;

struct writer_config {
    struct store *store;
    struct vary_table *vary;
    size_t max_bytes;    /* of objects in the mailbox */
    int64_t retry_ms;    /* after an error of the disk */
    int64_t interval_ms; /* of sweeping and looking for dead readers */
};

/* NULL: no thread to be had. */
struct writer *writer_start(const struct writer_config *config);
/* Writes what is queued and ends. True if all of it reached the store. */
bool writer_stop(struct writer *writer);

/* False: refused. `is_pinned`: the record was pinned by vary_table_admit(). Any thread. */
bool writer_put(struct writer *writer, struct object *object, bool is_pinned,
                const struct key *replaced);
bool writer_update(struct writer *writer, struct object *object);
/* Refused only when thousands wait; kept while the disk fails. */
bool writer_remove(struct writer *writer, const struct key *key);
/* Is a removal of this key still to be written? Then what the disk has under it does not count. */
bool writer_is_removing(struct writer *writer, const struct key *key);
/* A Vary record has changed. */
void writer_wake(struct writer *writer);
/* Returns when everything that was queued before has been written or given up. */
void writer_flush(struct writer *writer);

/* The oldest stamp of what is queued; UINT64_MAX if nothing is. */
uint64_t writer_oldest_stamp(struct writer *writer);

struct writer_stats {
    uint64_t commits, dropped, last_commit_us;
    bool is_failing;
};
struct writer_stats writer_stats(const struct writer *writer);
