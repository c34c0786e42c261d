/* The writer thread's jobs, and how a batch of them becomes a transaction. Writer thread only. */
#pragma once

#include "base/list.h"
#include "cache/store.h"
#include "cache/vary_table.h"

enum {
    BATCH_JOBS = 64,    /* per transaction */
    BATCH_CHANGES = 256 /* Vary records per transaction */
};

enum job_kind { JOB_PUT, JOB_UPDATE, JOB_REMOVE };

struct job {
    struct list node;
    enum job_kind kind;
    struct object *object; /* NULL: JOB_REMOVE */
    struct key key;        /* JOB_REMOVE; JOB_PUT: the variant that is replaced */
    bool has_replaced, is_pinned;
    uint64_t body_sequences[CODING_COUNT]; /* of bodies written in parts */
    struct store_put put;                  /* of the last try */
};

struct batch {
    struct job *jobs[BATCH_JOBS];
    size_t job_count;
    struct vary_change changes[BATCH_CHANGES];
    struct vary_record *disk[BATCH_CHANGES]; /* what the store then had */
    size_t change_count;
};

size_t job_bytes(const struct job *job);

/*
 * Writes the batch in one transaction; results are in the jobs' `put` and in `disk`. A full map is
 * answered once by making room: abort, evict, lower the target, retry.
 */
int batch_write(struct store *store, struct vary_table *vary, struct batch *batch,
                uint64_t *commit_us);
/* The bodies of an object too large for one transaction, in parts; others: nothing. */
int batch_write_large(struct store *store, struct job *job);
/* Removes parts that no index row has taken over. */
void batch_drop_parts(struct store *store, const uint64_t sequences[CODING_COUNT]);
