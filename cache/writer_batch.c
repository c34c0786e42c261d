/* What the writer thread does inside transactions; its mailbox and its life are in writer.c. */
#include "cache/writer_batch.h"

#include "base/arena.h"

#include <time.h>

enum {
    EVICT_PER_JOB = 256, /* objects looked at to make room for one */
    EVICT_PER_BATCH = 64
};

size_t job_bytes(const struct job *job)
{
    return job->object ? object_bytes(job->object) : 0;
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

static int write_job(struct store *store, struct vary_table *vary, struct job *job, wall_time now)
{
    if (job->kind == JOB_REMOVE)
        return store_remove(store, &job->key, now);
    job->put = (struct store_put){.object = job->object,
                                  .has_replaced = job->has_replaced,
                                  .replaced = job->key,
                                  .outcome = STORE_OUTGROWN};
    if (job->kind == JOB_PUT && !vary_table_is_current(vary, job->object))
        return 0; /* its union has grown, or was reset, while it waited */
    memcpy(job->put.body_sequences, job->body_sequences, sizeof(job->body_sequences));
    int rc = store_evict(store, incoming_bytes(job), EVICT_PER_JOB, now);
    if (rc)
        return rc;
    return job->kind == JOB_PUT ? store_put(store, &job->put, now) : store_update(store, &job->put);
}

static int write_all(struct store *store, struct vary_table *vary, struct batch *batch,
                     wall_time now)
{
    int rc = store_evict(store, 0, EVICT_PER_BATCH, now);
    for (size_t i = 0; !rc && i < batch->change_count; i++) {
        struct vary_change *change = &batch->changes[i];
        rc = store_write_vary(store, change->record, change->is_reset, now, &batch->disk[i]);
    }
    for (size_t i = 0; !rc && i < batch->job_count; i++)
        rc = write_job(store, vary, batch->jobs[i], now);
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

static uint64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int try_batch(struct store *store, struct vary_table *vary, struct batch *batch,
                     uint64_t *commit_us)
{
    int rc = store_begin(store);
    if (rc)
        return rc;
    rc = write_all(store, vary, batch, clock_now().wall);
    uint64_t start = now_us();
    if (rc)
        store_abort(store);
    else
        rc = store_commit(store);
    if (rc)
        forget_results(batch);
    else
        *commit_us = now_us() - start;
    return rc;
}

int batch_write(struct store *store, struct vary_table *vary, struct batch *batch,
                uint64_t *commit_us)
{
    int rc = try_batch(store, vary, batch, commit_us);
    if (rc != STORE_FULL)
        return rc;
    rc = store_make_room(store, clock_now().wall);
    return rc ? rc : try_batch(store, vary, batch, commit_us);
}

/* --- large bodies --- */

static int try_part(struct store *store, uint64_t *sequence, enum coding coding, slice body,
                    size_t from, size_t len)
{
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

static int write_part(struct store *store, uint64_t *sequence, enum coding coding, slice body,
                      size_t from, size_t len)
{
    uint64_t before = *sequence;
    int rc = try_part(store, sequence, coding, body, from, len);
    if (rc)
        *sequence = before; /* a sequence that was begun went with the transaction */
    if (rc != STORE_FULL)
        return rc;
    rc = store_make_room(store, clock_now().wall);
    if (!rc)
        rc = try_part(store, sequence, coding, body, from, len);
    if (rc)
        *sequence = before;
    return rc;
}

static int write_parts(struct store *store, struct job *job, enum coding coding)
{
    const struct blob *blob = job->object->bodies[coding];
    slice body = slice_of(blob->bytes, blob->len);
    size_t part = store_batch_bytes(store) / BODY_CHUNK_BYTES * BODY_CHUNK_BYTES;
    int rc = 0;
    for (size_t at = 0; !rc && at < body.len; at += part) {
        size_t len = body.len - at < part ? body.len - at : part;
        rc = write_part(store, &job->body_sequences[coding], coding, body, at, len);
    }
    return rc;
}

static bool is_large(struct store *store, const struct job *job)
{
    return job->object && incoming_bytes(job) > store_batch_bytes(store);
}

/* An update's original body is on the disk already, or the update is not written. */
int batch_write_large(struct store *store, struct job *job)
{
    int rc = 0;
    if (!is_large(store, job))
        return 0;
    for (enum coding i = 0; !rc && i < CODING_COUNT; i++) {
        if (job->object->bodies[i] && !(job->kind == JOB_UPDATE && i == job->object->coding))
            rc = write_parts(store, job, i);
    }
    return rc;
}

/* Should this fail, the next start does it. */
void batch_drop_parts(struct store *store, const uint64_t sequences[CODING_COUNT])
{
    for (size_t i = 0; i < CODING_COUNT; i++) {
        if (sequences[i])
            (void)store_body_drop(store, sequences[i]);
    }
}
