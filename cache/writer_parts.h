/* What the parts of the writer share: writer.c (the thread), writer_mailbox.c, writer_work.c. */
#pragma once

#include "cache/key_map.h"
#include "cache/writer.h"
#include "cache/writer_batch.h"

#include <pthread.h>

enum {
    GATHER_JOBS = 16, /* so many are worth a transaction at once */
};

struct writer {
    struct writer_config config;
    pthread_t thread;
    pthread_mutex_t mtx;
    pthread_cond_t has_work, is_idle;
    /* hold mtx */
    struct list jobs;
    size_t job_count, job_bytes;
    uint64_t asked, done; /* flushes */
    bool is_stopping, is_woken;
    struct key_map removing; /* struct removal: keys with removals that are not written yet */
    /* writer thread only */
    struct batch batch;
    int64_t tick_at, retry_at; /* CLOCK_MONOTONIC, ms */
    bool is_last_turn;         /* it began after writer_stop(): what fails now is given up */
    bool lost;                 /* something did not reach the store in the last turn */
    /* shared: atomic */
    atomic_bool refuses, is_failing;
    _Atomic uint64_t commits, dropped, last_commit_us;
};

/* CLOCK_MONOTONIC. */
int64_t writer_now_ms(void);

/* --- writer_mailbox.c; the mailbox's lock is taken there --- */

/* The mailbox's lock is not held. */
void job_free(struct writer *writer, struct job *job);
/* The job has come to nothing: counts it, and tells the Vary table. Writer thread, as all below. */
void job_drop(struct writer *writer, struct job *job);
/* Moves what fits one transaction into the batch, in order. A large object travels alone. */
void mailbox_take(struct writer *writer, struct batch *batch);
/* Puts a removal, which is not given up, back at the front. False: the job is not kept. */
bool mailbox_give_back(struct writer *writer, struct job *job);
/* The disk fails: what is queued stays in RAM only, removals apart. */
void mailbox_drop(struct writer *writer);
size_t mailbox_count(struct writer *writer);

/* --- writer_work.c; writer thread --- */

/* Takes a batch and writes it; when the disk fails it is given up, and `refuses` says so. */
void writer_work(struct writer *writer);
/* The disk failed with this error: jobs are refused until the next try. */
void writer_note_failure(struct writer *writer, int rc);
