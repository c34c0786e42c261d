/* A batch on its way: taken together, written (writer_batch.c), then finished or given up job by
 * job. Writer thread only. */
#include "cache/writer_parts.h"

#include "base/log.h"

static void finish_job(struct writer *writer, struct job *job)
{
    struct vary_table *vary = writer->config.vary;
    bool is_stored = job->put.outcome == STORE_WRITTEN;
    if (job->kind != JOB_REMOVE)
        batch_drop_parts(writer->config.store,
                         is_stored ? job->put.body_sequences : job->body_sequences);
    if (job->kind == JOB_PUT) {
        if (job->put.outcome == STORE_OUTGROWN && job->put.disk)
            vary_table_widen(vary, &job->object->url_key, &job->put.disk->names);
        if (job->put.outcome == STORE_GONE)
            vary_table_rewrite(vary, &job->object->url_key);
        if (job->put.outcome == STORE_OLDER)
            vary_table_outdate(vary, job->object);
        else if (!is_stored)
            atomic_fetch_add(&writer->dropped, 1);
        vary_table_settle(vary, job->object, job->is_pinned, is_stored);
        vary_record_unref(&job->put.disk);
    }
    job_free(writer, job);
}

static void give_up(struct writer *writer, struct batch *batch)
{
    for (size_t i = 0; i < batch->change_count; i++)
        vary_table_not_written(writer->config.vary, &batch->changes[i]);
    for (size_t i = batch->job_count; i-- > 0;) {
        batch_drop_parts(writer->config.store, batch->jobs[i]->body_sequences);
        if (!mailbox_give_back(writer, batch->jobs[i]))
            job_drop(writer, batch->jobs[i]);
    }
    writer->lost = true;
    batch->change_count = batch->job_count = 0;
}

void writer_note_failure(struct writer *writer, int rc)
{
    if (!atomic_exchange(&writer->is_failing, true))
        log_error("the store cannot be written, going on in memory",
                  {"error", slice_of_string(store_error(rc)), 0});
    atomic_store(&writer->refuses, true);
    writer->retry_at = writer_now_ms() + writer->config.retry_ms;
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
        writer_note_failure(writer, rc);
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

void writer_work(struct writer *writer)
{
    struct batch *batch = &writer->batch;
    int rc = 0;
    mailbox_take(writer, batch);
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
        writer_note_failure(writer, rc);
        return;
    }
    write_batch(writer, batch);
}
