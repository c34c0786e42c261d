/*
 * Two threads with a reader slot of the store each. They look into RAM first (the question may have
 * been answered while it waited). A Vary record that memory was told of while they looked at the
 * disk is looked up again; an object is put into RAM only if nothing near its key has changed. An
 * object that cannot be read is a miss; a Vary record that cannot be read is not "cold", which
 * would say that the URL's union is empty.
 */
#include "cache/reader.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>

struct readers {
    struct readers_config config;
    pthread_t threads[READER_THREADS];
    struct store_reader *slots[READER_THREADS];
    pthread_mutex_t mtx;
    pthread_cond_t has_work;
    /* hold mtx */
    struct list queue;
    bool is_stopping;
    unsigned started;
    /* shared: atomic */
    _Atomic uint64_t damaged;
};

/* What the disk says; NULL: it could not be read. What is lost holds nothing for anybody. */
static struct vary_record *record_on_disk(struct store_reader *reader, const struct key *url_key)
{
    struct vary_record *record = NULL;
    int rc = store_read_vary(reader, url_key, &record);
    return rc == STORE_NOT_FOUND || rc == STORE_LOST ? vary_record_cold(url_key) : record;
}

static void read_vary(struct readers *readers, struct store_reader *reader, struct cache_read *read)
{
    struct vary_table *vary = readers->config.vary;
    read->vary = vary_table_find(vary, &read->key);
    while (!read->vary) {
        struct vary_reading reading;
        vary_table_begin_reading(vary, &read->key, &reading);
        struct vary_record *disk = record_on_disk(reader, &read->key);
        read->is_unreadable = !vary_table_end_reading(vary, &reading, disk, &read->vary) && !disk;
        if (read->is_unreadable)
            read->vary = vary_record_cold(&read->key);
        vary_record_unref(&disk);
    }
}

static void note_damage(struct readers *readers, const struct key *key)
{
    if (atomic_fetch_add(&readers->damaged, 1) == 0)
        log_error("the store holds damaged objects, dropping them");
    if (!writer_is_removing(readers->config.writer, key))
        writer_remove(readers->config.writer, key);
}

static struct object *from_ram(struct readers *readers, const struct cache_read *read)
{
    return ram_find(readers->config.ram, &read->key, read->key_text);
}

static struct object *from_store(struct readers *readers, struct store_reader *reader,
                                 const struct cache_read *read)
{
    struct object *object;
    bool is_damaged;
    uint64_t changes = ram_changes(readers->config.ram, &read->key);
    if (store_read_object(reader, &read->key, &object, &is_damaged) != 0) {
        if (is_damaged)
            note_damage(readers, &read->key);
        return NULL;
    }
    if (!writer_is_removing(readers->config.writer, &read->key) &&
        slice_equal(object->key_text, read->key_text) &&
        vary_table_learn_object(readers->config.vary, object, ram_fits(readers->config.ram, object),
                                changes)) {
        atomic_fetch_add_explicit(&object->hits, 1, memory_order_relaxed);
        ram_shrink(readers->config.ram);
        return object;
    }
    object_unref(&object);
    return NULL;
}

static void read_object(struct readers *readers, struct store_reader *reader,
                        struct cache_read *read)
{
    read->object = from_ram(readers, read); /* somebody else asked for it a moment ago */
    if (!read->object)
        read->object = from_store(readers, reader, read);
    if (read->object)
        store_note_hit(readers->config.store, &read->key);
}

static struct cache_read *take(struct readers *readers)
{
    struct cache_read *read = NULL;
    pthread_mutex_lock(&readers->mtx);
    while (list_is_empty(&readers->queue) && !readers->is_stopping)
        pthread_cond_wait(&readers->has_work, &readers->mtx);
    if (!list_is_empty(&readers->queue)) {
        read = list_first_entry(&readers->queue, struct cache_read, node);
        list_remove(&read->node);
    }
    pthread_mutex_unlock(&readers->mtx);
    return read;
}

static void *reader_main(void *arg)
{
    struct readers *readers = arg;
    pthread_mutex_lock(&readers->mtx);
    struct store_reader *reader = readers->slots[readers->started++];
    pthread_mutex_unlock(&readers->mtx);
    struct cache_read *read;
    while ((read = take(readers))) {
        read->vary = NULL;
        read->object = NULL;
        read->is_unreadable = false;
        if (read->kind == READ_VARY)
            read_vary(readers, reader, read);
        else
            read_object(readers, reader, read);
        read->done(read); /* it may be gone now */
    }
    return NULL;
}

static void readers_free(struct readers *readers)
{
    for (size_t i = 0; i < READER_THREADS; i++)
        store_reader_close(readers->slots[i]);
    pthread_cond_destroy(&readers->has_work);
    pthread_mutex_destroy(&readers->mtx);
    free(readers);
}

static void join(struct readers *readers, size_t threads)
{
    pthread_mutex_lock(&readers->mtx);
    readers->is_stopping = true;
    pthread_cond_broadcast(&readers->has_work);
    pthread_mutex_unlock(&readers->mtx);
    for (size_t i = 0; i < threads; i++)
        pthread_join(readers->threads[i], NULL);
}

struct readers *readers_start(const struct readers_config *config)
{
    struct readers *readers = mem_alloc(sizeof(*readers));
    size_t threads = 0;
    bool ok = true;
    readers->config = *config;
    list_init(&readers->queue);
    MUST(pthread_mutex_init(&readers->mtx, NULL) == 0);
    MUST(pthread_cond_init(&readers->has_work, NULL) == 0);
    for (size_t i = 0; ok && i < READER_THREADS; i++)
        ok = store_reader_open(config->store, &readers->slots[i]) == 0;
    while (ok && threads < READER_THREADS) {
        ok = pthread_create(&readers->threads[threads], NULL, reader_main, readers) == 0;
        threads += ok;
    }
    if (ok)
        return readers;
    join(readers, threads);
    readers_free(readers);
    return NULL;
}

void readers_stop(struct readers *readers)
{
    if (!readers)
        return;
    join(readers, READER_THREADS);
    readers_free(readers);
}

void readers_post(struct readers *readers, struct cache_read *read)
{
    pthread_mutex_lock(&readers->mtx);
    list_append(&readers->queue, &read->node);
    pthread_cond_signal(&readers->has_work);
    pthread_mutex_unlock(&readers->mtx);
}

uint64_t readers_damaged(const struct readers *readers)
{
    return atomic_load(&readers->damaged);
}
