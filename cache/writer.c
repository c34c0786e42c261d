/*
 * Mailbox and life of the writer thread; what it does inside a transaction is in writer_batch.c.
 * Jobs keep their order, because a removal and a new object of one key must not change places. When
 * the disk fails, what waits is given up but for removals and Vary records, jobs are refused at the
 * door, and the next try is made after `retry_ms`; the gauge falls only when a transaction with
 * something in it has been committed.
 */
#include "cache/writer.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "cache/writer_batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    JOBS_MAX = 4096,
    REMOVALS_MAX = 16384, /* on top */
    REMOVING_SLOTS = 4096,
    GATHER_JOBS = 16, /* so many are worth a transaction at once */
    GATHER_MS = 5,
    SWEEPS_PER_TICK = 64
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
    /* writer thread only */
    struct batch batch;
    int64_t tick_at, retry_at; /* CLOCK_MONOTONIC, ms */
    bool lost;                 /* something did not reach the store while stopping */
    /* shared: atomic */
    atomic_uint removing[REMOVING_SLOTS]; /* removals that are queued, by a part of the key */
    atomic_bool refuses, is_failing;
    _Atomic uint64_t commits, dropped, last_commit_us;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- jobs --- */

static atomic_uint *removing_slot(const struct writer *writer, const struct key *key)
{
    uint32_t word;
    memcpy(&word, key->bytes, sizeof(word));
    return (atomic_uint *)(uintptr_t)&writer->removing[word % REMOVING_SLOTS];
}

static void job_free(struct writer *writer, struct job *job)
{
    if (job->kind == JOB_REMOVE)
        atomic_fetch_sub(removing_slot(writer, &job->key), 1);
    object_unref(&job->object);
    free(job);
}

static void job_drop(struct writer *writer, struct job *job)
{
    atomic_fetch_add(&writer->dropped, 1);
    writer->lost = true;
    if (job->kind == JOB_PUT)
        vary_table_settle(writer->config.vary, job->object, job->is_pinned, false);
    job_free(writer, job);
}

/* One job is always taken, however large, or an object larger than the mailbox could never be
 * written. */
static bool may_post(const struct writer *writer, const struct job *job)
{
    if (writer->is_stopping)
        return false;
    if (job->kind == JOB_REMOVE)
        return writer->job_count < JOBS_MAX + REMOVALS_MAX;
    if (writer->job_count >= JOBS_MAX || atomic_load(&writer->refuses))
        return false;
    return writer->job_count == 0 || writer->job_bytes + job_bytes(job) <= writer->config.max_bytes;
}

static bool post(struct writer *writer, struct job *job)
{
    pthread_mutex_lock(&writer->mtx);
    bool may = may_post(writer, job);
    if (may) {
        list_append(&writer->jobs, &job->node);
        writer->job_count++;
        writer->job_bytes += job_bytes(job);
        if (writer->job_count == 1 || writer->job_count == GATHER_JOBS)
            pthread_cond_signal(&writer->has_work);
    }
    pthread_mutex_unlock(&writer->mtx);
    if (!may) {
        atomic_fetch_add(&writer->dropped, 1);
        job_free(writer, job);
    }
    return may;
}

static struct job *job_new(enum job_kind kind, struct object *object)
{
    struct job *job = mem_alloc(sizeof(*job));
    job->kind = kind;
    job->object = object ? object_ref(object) : NULL;
    return job;
}

bool writer_put(struct writer *writer, struct object *object, bool is_pinned,
                const struct key *replaced)
{
    struct job *job = job_new(JOB_PUT, object);
    job->is_pinned = is_pinned;
    job->has_replaced = replaced != NULL;
    if (replaced)
        job->key = *replaced;
    return post(writer, job);
}

bool writer_update(struct writer *writer, struct object *object)
{
    return post(writer, job_new(JOB_UPDATE, object));
}

bool writer_remove(struct writer *writer, const struct key *key)
{
    struct job *job = job_new(JOB_REMOVE, NULL);
    job->key = *key;
    atomic_fetch_add(removing_slot(writer, key), 1);
    return post(writer, job);
}

bool writer_is_removing(const struct writer *writer, const struct key *key)
{
    return atomic_load(removing_slot(writer, key)) != 0;
}

void writer_wake(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    if (!writer->is_woken) {
        writer->is_woken = true;
        pthread_cond_signal(&writer->has_work);
    }
    pthread_mutex_unlock(&writer->mtx);
}

/* --- batches --- */

/* What was asked for before it had a place in the store keeps that. */
static void note_sequence(struct writer *writer, struct object *object, uint64_t sequence)
{
    atomic_store(&object->sequence, sequence);
    if (atomic_load(&object->hits))
        store_note_hit(writer->config.store, sequence);
}

static void finish_job(struct writer *writer, struct job *job)
{
    struct vary_table *vary = writer->config.vary;
    bool is_stored = job->put.outcome == STORE_WRITTEN;
    if (job->kind != JOB_REMOVE) {
        if (is_stored)
            note_sequence(writer, job->object, job->put.sequence);
        batch_drop_parts(writer->config.store,
                         is_stored ? job->put.body_sequences : job->body_sequences);
    }
    if (job->kind == JOB_PUT) {
        if (job->put.outcome == STORE_OUTGROWN && job->put.disk)
            vary_table_widen(vary, &job->object->url_key, &job->put.disk->names);
        if (job->put.outcome == STORE_GONE)
            vary_table_rewrite(vary, &job->object->url_key);
        if (!is_stored)
            atomic_fetch_add(&writer->dropped, 1);
        vary_table_settle(vary, job->object, job->is_pinned, is_stored);
        vary_record_unref(&job->put.disk);
    }
    job_free(writer, job);
}

/* Removals are not given up: they go back to where they came from. */
static void job_give_up(struct writer *writer, struct job *job)
{
    batch_drop_parts(writer->config.store, job->body_sequences);
    pthread_mutex_lock(&writer->mtx);
    bool is_kept = job->kind == JOB_REMOVE && !writer->is_stopping;
    if (is_kept) {
        list_prepend(&writer->jobs, &job->node);
        writer->job_count++;
    }
    pthread_mutex_unlock(&writer->mtx);
    if (!is_kept)
        job_drop(writer, job);
}

static void give_up(struct writer *writer, struct batch *batch)
{
    for (size_t i = 0; i < batch->change_count; i++)
        vary_table_not_written(writer->config.vary, &batch->changes[i]);
    for (size_t i = batch->job_count; i-- > 0;)
        job_give_up(writer, batch->jobs[i]);
    writer->lost = true;
    batch->change_count = batch->job_count = 0;
}

static void note_failure(struct writer *writer, int rc)
{
    if (!atomic_exchange(&writer->is_failing, true))
        log_error("the store cannot be written, going on in memory",
                  {"error", slice_of_string(store_error(rc)), 0});
    atomic_store(&writer->refuses, true);
    writer->retry_at = now_ms() + writer->config.retry_ms;
}

static void note_success(struct writer *writer)
{
    atomic_store(&writer->refuses, false);
    if (atomic_exchange(&writer->is_failing, false))
        log_info("the store is written again");
}

static bool write_batch(struct writer *writer, struct batch *batch)
{
    if (batch->job_count == 0 && batch->change_count == 0)
        return true;
    uint64_t commit_us;
    int rc = batch_write(writer->config.store, writer->config.vary, batch, &commit_us);
    if (rc) {
        give_up(writer, batch);
        note_failure(writer, rc);
        return false;
    }
    atomic_store(&writer->last_commit_us, commit_us);
    atomic_fetch_add(&writer->commits, 1);
    for (size_t i = 0; i < batch->change_count; i++) {
        vary_table_written(writer->config.vary, &batch->changes[i], batch->disk[i]);
        vary_record_unref(&batch->disk[i]);
    }
    for (size_t i = 0; i < batch->job_count; i++)
        finish_job(writer, batch->jobs[i]);
    batch->change_count = batch->job_count = 0;
    note_success(writer);
    return true;
}

/*
 * The jobs of the batch have been taken before, so each Vary record that they need is among the
 * changes that wait now. All but the last lot are written in transactions of their own.
 */
static bool take_changes(struct writer *writer, struct batch *batch)
{
    struct batch only = {.job_count = 0};
    size_t waiting = vary_table_dirty(writer->config.vary);
    for (;;) {
        only.change_count = vary_table_take(writer->config.vary, only.changes, BATCH_CHANGES);
        if (only.change_count >= waiting || only.change_count < BATCH_CHANGES)
            break;
        waiting -= only.change_count;
        if (!write_batch(writer, &only))
            return false;
    }
    memcpy(batch->changes, only.changes, only.change_count * sizeof(only.changes[0]));
    batch->change_count = only.change_count;
    return true;
}

static struct job *take_job(struct writer *writer)
{
    if (list_is_empty(&writer->jobs))
        return NULL;
    struct job *job = list_first_entry(&writer->jobs, struct job, node);
    list_remove(&job->node);
    writer->job_count--;
    writer->job_bytes -= job_bytes(job);
    return job;
}

/* A large object travels alone. */
static void take_jobs(struct writer *writer, struct batch *batch)
{
    size_t bytes = 0, max = store_batch_bytes(writer->config.store);
    pthread_mutex_lock(&writer->mtx);
    while (batch->job_count < BATCH_JOBS && bytes < max && !list_is_empty(&writer->jobs)) {
        struct job *next = list_first_entry(&writer->jobs, struct job, node);
        size_t more = job_bytes(next);
        if (batch->job_count && bytes + more > max)
            break;
        bytes += more;
        batch->jobs[batch->job_count++] = take_job(writer);
    }
    pthread_mutex_unlock(&writer->mtx);
}

static void work(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    int rc = 0;
    take_jobs(writer, batch);
    if (!take_changes(writer, batch)) {
        give_up(writer, batch);
        return;
    }
    if (batch->job_count == 1)
        rc = batch_write_large(writer->config.store, batch->jobs[0]);
    if (rc == STORE_NOT_FOUND) { /* a starting process took it for the leftover of a crash */
        job_drop(writer, batch->jobs[0]);
        batch->job_count = 0;
        rc = 0;
    }
    if (rc) {
        give_up(writer, batch);
        note_failure(writer, rc);
        return;
    }
    write_batch(writer, batch);
}

/* --- the thread --- */

static void wait_until(struct writer *writer, int64_t at_ms)
{
    struct timespec ts = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    pthread_cond_timedwait(&writer->has_work, &writer->mtx, &ts);
}

static bool has_work(const struct writer *writer)
{
    return writer->job_count || writer->is_woken;
}

/* While the disk fails there is nothing to do before the next try. */
static bool has_time(const struct writer *writer)
{
    if (writer->is_stopping || writer->asked != writer->done)
        return false;
    if (atomic_load(&writer->refuses))
        return now_ms() < writer->retry_at;
    return !has_work(writer) && now_ms() < writer->tick_at;
}

/* Returns when there is something to do; after the first job it waits a little for company. */
static bool wait_for_work(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    while (has_time(writer))
        wait_until(writer, atomic_load(&writer->refuses) ? writer->retry_at : writer->tick_at);
    int64_t gather_until = now_ms() + GATHER_MS;
    while (!writer->is_stopping && writer->asked == writer->done &&
           writer->job_count < GATHER_JOBS && has_work(writer) && now_ms() < gather_until)
        wait_until(writer, gather_until);
    writer->is_woken = false;
    bool is_stopping = writer->is_stopping;
    pthread_mutex_unlock(&writer->mtx);
    return is_stopping;
}

/* The disk fails: what is queued stays in RAM only. */
static void drop_queue(struct writer *writer)
{
    struct list kept;
    size_t kept_count = 0;
    struct job *job;
    list_init(&kept);
    pthread_mutex_lock(&writer->mtx);
    while ((job = take_job(writer))) {
        if (job->kind == JOB_REMOVE && !writer->is_stopping) {
            list_append(&kept, &job->node);
            kept_count++;
            continue;
        }
        pthread_mutex_unlock(&writer->mtx);
        job_drop(writer, job);
        pthread_mutex_lock(&writer->mtx);
    }
    while (!list_is_empty(&kept)) {
        struct list *last = kept.prev;
        list_remove(last);
        list_prepend(&writer->jobs, last);
    }
    writer->job_count += kept_count;
    pthread_mutex_unlock(&writer->mtx);
}

static size_t jobs_waiting(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    size_t count = writer->job_count;
    pthread_mutex_unlock(&writer->mtx);
    return count;
}

/* Works until nothing waits, or the disk fails. */
static void work_off(struct writer *writer)
{
    do {
        work(writer);
    } while (!atomic_load(&writer->refuses) &&
             (jobs_waiting(writer) || vary_table_dirty(writer->config.vary)));
    if (atomic_load(&writer->refuses))
        drop_queue(writer);
}

static void tick(struct writer *writer)
{
    store_check_readers(writer->config.store);
    bool is_crowded = true;
    int rc = 0;
    for (int i = 0; !rc && is_crowded && i < SWEEPS_PER_TICK; i++)
        rc = store_sweep_vary(writer->config.store, clock_now().wall, &is_crowded);
    if (rc == STORE_FULL)
        rc = store_make_room(writer->config.store, clock_now().wall);
    if (rc)
        note_failure(writer, rc);
    writer->tick_at = now_ms() + writer->config.interval_ms;
}

static void answer_flushes(struct writer *writer, uint64_t asked)
{
    pthread_mutex_lock(&writer->mtx);
    writer->done = asked;
    pthread_cond_broadcast(&writer->is_idle);
    pthread_mutex_unlock(&writer->mtx);
}

static uint64_t flushes_asked(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    uint64_t asked = writer->asked;
    pthread_mutex_unlock(&writer->mtx);
    return asked;
}

static void *writer_main(void *arg)
{
    struct writer *writer = arg;
    bool is_stopping;
    do {
        is_stopping = wait_for_work(writer);
        uint64_t asked = flushes_asked(writer);
        if (is_stopping)
            writer->lost = false; /* what counts is what is still there to be written */
        if (is_stopping || !atomic_load(&writer->refuses) || now_ms() >= writer->retry_at) {
            atomic_store(&writer->refuses, false); /* the next try, if the disk was failing */
            if (now_ms() >= writer->tick_at)
                tick(writer);
            work_off(writer);
        } else {
            drop_queue(writer);
        }
        answer_flushes(writer, asked);
    } while (!is_stopping);
    return NULL;
}

static void writer_init(struct writer *writer, const struct writer_config *config)
{
    pthread_condattr_t monotonic;
    writer->config = *config;
    writer->tick_at = now_ms() + config->interval_ms;
    list_init(&writer->jobs);
    MUST(pthread_mutex_init(&writer->mtx, NULL) == 0);
    MUST(pthread_condattr_init(&monotonic) == 0);
    MUST(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    MUST(pthread_cond_init(&writer->has_work, &monotonic) == 0);
    MUST(pthread_cond_init(&writer->is_idle, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
}

static void writer_fini(struct writer *writer)
{
    pthread_cond_destroy(&writer->is_idle);
    pthread_cond_destroy(&writer->has_work);
    pthread_mutex_destroy(&writer->mtx);
    free(writer);
}

struct writer *writer_start(const struct writer_config *config)
{
    struct writer *writer = mem_alloc(sizeof(*writer));
    writer_init(writer, config);
    if (pthread_create(&writer->thread, NULL, writer_main, writer) == 0)
        return writer;
    writer_fini(writer);
    return NULL;
}

bool writer_stop(struct writer *writer)
{
    if (!writer)
        return true;
    pthread_mutex_lock(&writer->mtx);
    writer->is_stopping = true;
    pthread_cond_signal(&writer->has_work);
    pthread_mutex_unlock(&writer->mtx);
    pthread_join(writer->thread, NULL);
    bool all = !writer->lost && vary_table_dirty(writer->config.vary) == 0;
    writer_fini(writer);
    return all;
}

void writer_flush(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    uint64_t mine = ++writer->asked;
    pthread_cond_signal(&writer->has_work);
    while (writer->done < mine)
        pthread_cond_wait(&writer->is_idle, &writer->mtx);
    pthread_mutex_unlock(&writer->mtx);
}

uint64_t writer_oldest_stamp(struct writer *writer)
{
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(&writer->mtx);
    list_each(node, &writer->jobs)
    {
        const struct object *object = container_of(node, struct job, node)->object;
        if (object && object->stamp < oldest)
            oldest = object->stamp;
    }
    pthread_mutex_unlock(&writer->mtx);
    return oldest;
}

struct writer_stats writer_stats(const struct writer *writer)
{
    return (struct writer_stats){
        .commits = atomic_load(&writer->commits),
        .dropped = atomic_load(&writer->dropped),
        .last_commit_us = atomic_load(&writer->last_commit_us),
        .is_failing = atomic_load(&writer->is_failing),
    };
}
