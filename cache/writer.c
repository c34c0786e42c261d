/*
 * Life of the writer thread: when it works, waits and tries again. When the disk fails, the next
 * try is made after `retry_ms`; the gauge falls only when a transaction with something in it has
 * been committed.
 */
#include "cache/writer_parts.h"

#include "base/arena.h"
#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { GATHER_MS = 5, SWEEPS_PER_TICK = 64 };

int64_t writer_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
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
        return writer_now_ms() < writer->retry_at;
    return !has_work(writer) && writer_now_ms() < writer->tick_at;
}

/* Returns when there is something to do; after the first job it waits a little for company. */
static bool wait_for_work(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    while (has_time(writer))
        wait_until(writer, atomic_load(&writer->refuses) ? writer->retry_at : writer->tick_at);
    int64_t gather_until = writer_now_ms() + GATHER_MS;
    while (!writer->is_stopping && writer->asked == writer->done &&
           writer->job_count < GATHER_JOBS && has_work(writer) && writer_now_ms() < gather_until)
        wait_until(writer, gather_until);
    writer->is_woken = false;
    bool is_stopping = writer->is_stopping;
    pthread_mutex_unlock(&writer->mtx);
    return is_stopping;
}

/* Works until nothing waits, or the disk fails. */
static void work_off(struct writer *writer)
{
    do {
        writer_work(writer);
    } while (!atomic_load(&writer->refuses) &&
             (mailbox_count(writer) || vary_table_dirty(writer->config.vary)));
    if (atomic_load(&writer->refuses))
        mailbox_drop(writer);
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
        writer_note_failure(writer, rc);
    writer->tick_at = writer_now_ms() + writer->config.interval_ms;
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
        writer->is_last_turn = is_stopping;
        if (is_stopping)
            writer->lost = false; /* what counts is what is still there to be written */
        if (is_stopping || !atomic_load(&writer->refuses) || writer_now_ms() >= writer->retry_at) {
            atomic_store(&writer->refuses, false); /* the next try, if the disk was failing */
            if (writer_now_ms() >= writer->tick_at)
                tick(writer);
            work_off(writer);
        } else {
            mailbox_drop(writer);
        }
        answer_flushes(writer, asked);
    } while (!is_stopping);
    return NULL;
}

/* --- the door --- */

static void writer_init(struct writer *writer, const struct writer_config *config)
{
    pthread_condattr_t monotonic;
    writer->config = *config;
    writer->tick_at = writer_now_ms() + config->interval_ms;
    list_init(&writer->jobs);
    key_map_init(&writer->removing);
    MUST(pthread_mutex_init(&writer->mtx, NULL) == 0);
    MUST(pthread_condattr_init(&monotonic) == 0);
    MUST(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    MUST(pthread_cond_init(&writer->has_work, &monotonic) == 0);
    MUST(pthread_cond_init(&writer->is_idle, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
}

static void writer_fini(struct writer *writer)
{
    key_map_fini(&writer->removing);
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

void writer_wake(struct writer *writer)
{
    pthread_mutex_lock(&writer->mtx);
    if (!writer->is_woken) {
        writer->is_woken = true;
        pthread_cond_signal(&writer->has_work);
    }
    pthread_mutex_unlock(&writer->mtx);
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

struct writer_stats writer_stats(const struct writer *writer)
{
    return (struct writer_stats){
        .commits = atomic_load(&writer->commits),
        .dropped = atomic_load(&writer->dropped),
        .last_commit_us = atomic_load(&writer->last_commit_us),
        .is_failing = atomic_load(&writer->is_failing),
    };
}
