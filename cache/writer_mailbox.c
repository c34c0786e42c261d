/*
 * The writer's mailbox. Jobs keep their order, because a removal and a new object of one key must
 * not change places. When the disk fails, what waits is given up but for removals (Vary records
 * wait elsewhere), and jobs are refused at the door.
 */
#include "cache/writer_parts.h"

#include "base/arena.h"

#include <stdlib.h>

enum { JOBS_MAX = 4096, REMOVALS_MAX = 16384 /* on top */ };

/* --- jobs --- */

/* By key, because with a failing disk thousands may wait: were each to stand for a part of all
 * keys, hardly any could be read. */
struct removal {
    struct key_node in_map;
    unsigned count;
};

static struct removal *removal_of(const struct writer *writer, const struct key *key)
{
    struct key_node *node = key_map_find(&writer->removing, key);
    return node ? container_of(node, struct removal, in_map) : NULL;
}

static void removal_begin(struct writer *writer, const struct key *key)
{
    struct removal *removal = removal_of(writer, key);
    if (!removal) {
        removal = mem_alloc(sizeof(*removal));
        key_map_add(&writer->removing, &removal->in_map, key);
    }
    removal->count++;
}

static void removal_end(struct writer *writer, const struct key *key)
{
    struct removal *removal = removal_of(writer, key);
    if (--removal->count)
        return;
    key_map_remove(&writer->removing, &removal->in_map);
    free(removal);
}

void job_free(struct writer *writer, struct job *job)
{
    if (job->kind == JOB_REMOVE) {
        pthread_mutex_lock(&writer->mtx);
        removal_end(writer, &job->key);
        pthread_mutex_unlock(&writer->mtx);
    }
    object_unref(&job->object);
    free(job);
}

void job_drop(struct writer *writer, struct job *job)
{
    atomic_fetch_add(&writer->dropped, 1);
    writer->lost = true;
    if (job->kind == JOB_PUT)
        vary_table_settle(writer->config.vary, job->object, job->is_pinned, false);
    job_free(writer, job);
}

static struct job *job_new(enum job_kind kind, struct object *object)
{
    struct job *job = mem_alloc(sizeof(*job));
    job->kind = kind;
    job->object = object ? object_ref(object) : NULL;
    return job;
}

/* --- the door: any thread --- */

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
    if (job->kind == JOB_REMOVE)
        removal_begin(writer, &job->key);
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
    return post(writer, job);
}

bool writer_is_removing(struct writer *writer, const struct key *key)
{
    pthread_mutex_lock(&writer->mtx);
    bool is_removing = removal_of(writer, key) != NULL;
    pthread_mutex_unlock(&writer->mtx);
    return is_removing;
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

/* --- the writer thread --- */

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

void mailbox_take(struct writer *writer, struct batch *batch)
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

bool mailbox_give_back(struct writer *writer, struct job *job)
{
    pthread_mutex_lock(&writer->mtx);
    bool is_kept = job->kind == JOB_REMOVE && !writer->is_last_turn;
    if (is_kept) {
        list_prepend(&writer->jobs, &job->node);
        writer->job_count++;
    }
    pthread_mutex_unlock(&writer->mtx);
    return is_kept;
}

void mailbox_drop(struct writer *writer)
{
    struct list kept;
    size_t kept_count = 0;
    struct job *job;
    list_init(&kept);
    pthread_mutex_lock(&writer->mtx);
    while ((job = take_job(writer))) {
        if (job->kind == JOB_REMOVE && !writer->is_last_turn) {
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

size_t mailbox_count(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    size_t count = writer->job_count;
    pthread_mutex_unlock(&writer->mtx);
    return count;
}
