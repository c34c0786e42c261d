#include "cache/writer.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    JOBS_MAX = 4096,
    REMOVALS_MAX = 16384, /* on top */
    REMOVING_SLOTS = 4096,
    BATCH_JOBS = 64,     /* per transaction */
    BATCH_CHANGES = 256, /* Vary records per transaction */
    GATHER_JOBS = 16,    /* so many are worth a transaction at once */
    GATHER_MS = 5,
    EVICT_PER_JOB = 256, /* objects looked at to make room for one */
    EVICT_PER_BATCH = 64
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

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
    return now_us() / 1000;
}

/* --- jobs --- */

static size_t job_bytes(const struct job *job)
{
    return job->object ? object_bytes(job->object) : 0;
}

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

/* --- one transaction --- */

static uint64_t incoming_bytes(const struct job *job)
{
    enum { ROOM_FOR_ROWS = 2048 };
    uint64_t bytes = ROOM_FOR_ROWS + job->object->head->len;
    for (size_t i = 0; i < CODING_COUNT; i++) {
        const struct blob *body = job->object->bodies[i];
        if (body && !job->body_sequences[i])
            bytes += body->len + body->len / 256 + BODY_CHUNK_BYTES;
    }
    return bytes;
}

static int write_job(struct writer *writer, struct job *job, wall_time now)
{
    struct store *store = writer->config.store;
    if (job->kind == JOB_REMOVE)
        return store_remove(store, &job->key, now);
    job->put = (struct store_put){
        .object = job->object, .has_replaced = job->has_replaced, .replaced = job->key};
    memcpy(job->put.body_sequences, job->body_sequences, sizeof(job->body_sequences));
    int rc = store_evict(store, incoming_bytes(job), EVICT_PER_JOB, now);
    if (rc)
        return rc;
    return job->kind == JOB_PUT ? store_put(store, &job->put, now) : store_update(store, &job->put);
}

static int write_all(struct writer *writer, struct batch *batch, wall_time now)
{
    struct store *store = writer->config.store;
    int rc = store_evict(store, 0, EVICT_PER_BATCH, now);
    for (size_t i = 0; !rc && i < batch->change_count; i++) {
        struct vary_change *change = &batch->changes[i];
        rc = store_write_vary(store, change->record, change->is_reset, now, &batch->disk[i]);
    }
    for (size_t i = 0; !rc && i < batch->job_count; i++)
        rc = write_job(writer, batch->jobs[i], now);
    return rc;
}

/* Results of a try that was aborted. */
static void forget_results(struct batch *batch)
{
    for (size_t i = 0; i < batch->change_count; i++)
        vary_record_unref(&batch->disk[i]);
    for (size_t i = 0; i < batch->job_count; i++)
        vary_record_unref(&batch->jobs[i]->put.disk);
}

static int try_batch(struct writer *writer, struct batch *batch)
{
    struct store *store = writer->config.store;
    int rc = store_begin(store);
    if (rc)
        return rc;
    rc = write_all(writer, batch, clock_now().wall);
    int64_t start = now_us();
    if (rc)
        store_abort(store);
    else
        rc = store_commit(store);
    if (rc) {
        forget_results(batch);
        return rc;
    }
    atomic_store(&writer->last_commit_us, (uint64_t)(now_us() - start));
    atomic_fetch_add(&writer->commits, 1);
    return 0;
}

/* A full map is answered once by making room (architecture: abort, evict, retry, lower the target).
 */
static int with_room(struct writer *writer, struct batch *batch)
{
    int rc = try_batch(writer, batch);
    if (rc != STORE_FULL)
        return rc;
    rc = store_make_room(writer->config.store, clock_now().wall);
    return rc ? rc : try_batch(writer, batch);
}

/* --- large bodies --- */

static int try_part(struct writer *writer, uint64_t *sequence, enum coding coding, slice body,
                    size_t from, size_t len)
{
    struct store *store = writer->config.store;
    int rc = store_begin(store);
    if (rc)
        return rc;
    rc = store_evict(store, len + len / 128, EVICT_PER_JOB, clock_now().wall);
    if (!rc && !*sequence)
        rc = store_body_begin(store, sequence);
    if (!rc)
        rc = store_body_part(store, *sequence, coding, body, from, len);
    if (!rc)
        return store_commit(store);
    store_abort(store);
    return rc;
}

static int write_part(struct writer *writer, uint64_t *sequence, enum coding coding, slice body,
                      size_t from, size_t len)
{
    uint64_t before = *sequence;
    int rc = try_part(writer, sequence, coding, body, from, len);
    if (rc)
        *sequence = before; /* a sequence that was begun went with the transaction */
    if (rc != STORE_FULL)
        return rc;
    rc = store_make_room(writer->config.store, clock_now().wall);
    if (!rc)
        rc = try_part(writer, sequence, coding, body, from, len);
    if (rc)
        *sequence = before;
    return rc;
}

static int write_parts(struct writer *writer, struct job *job, enum coding coding)
{
    const struct blob *blob = job->object->bodies[coding];
    slice body = slice_of(blob->bytes, blob->len);
    size_t part = store_batch_bytes(writer->config.store) / BODY_CHUNK_BYTES * BODY_CHUNK_BYTES;
    int rc = 0;
    for (size_t at = 0; !rc && at < body.len; at += part) {
        size_t len = body.len - at < part ? body.len - at : part;
        rc = write_part(writer, &job->body_sequences[coding], coding, body, at, len);
    }
    return rc;
}

static bool is_large(struct writer *writer, const struct job *job)
{
    return job->object && incoming_bytes(job) > store_batch_bytes(writer->config.store);
}

/* An update's original body is on the disk already, or the update is not written. */
static int write_large(struct writer *writer, struct job *job)
{
    int rc = 0;
    for (enum coding i = 0; !rc && i < CODING_COUNT; i++) {
        if (job->object->bodies[i] && !(job->kind == JOB_UPDATE && i == job->object->coding))
            rc = write_parts(writer, job, i);
    }
    return rc;
}

/* What was not taken over by an index row. Should this fail, the next start does it. */
static void drop_parts(struct writer *writer, const uint64_t sequences[CODING_COUNT])
{
    for (size_t i = 0; i < CODING_COUNT; i++) {
        if (sequences[i])
            (void)store_body_drop(writer->config.store, sequences[i]);
    }
}

/* --- batches --- */

static void finish_job(struct writer *writer, struct job *job)
{
    struct vary_table *vary = writer->config.vary;
    bool is_stored = job->put.outcome == STORE_WRITTEN;
    if (job->kind != JOB_REMOVE) {
        if (is_stored)
            atomic_store(&job->object->sequence, job->put.sequence);
        drop_parts(writer, job->put.body_sequences);
    }
    if (job->kind == JOB_PUT) {
        if (job->put.outcome == STORE_OUTGROWN)
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
    drop_parts(writer, job->body_sequences);
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
    int rc = with_room(writer, batch);
    if (rc) {
        give_up(writer, batch);
        note_failure(writer, rc);
        return false;
    }
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
    if (batch->job_count == 1 && is_large(writer, batch->jobs[0]))
        rc = write_large(writer, batch->jobs[0]);
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
    int rc = store_sweep_vary(writer->config.store, clock_now().wall);
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
