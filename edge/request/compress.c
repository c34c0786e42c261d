/*
 * The helper thread and its queue. What did not get smaller is remembered for a while: each hit
 * would ask for it again.
 */
#include "edge/request/compress.h"

#include "base/must.h"
#include "edge/request/codec.h"

#include <pthread.h>
#include <stdlib.h>

enum { QUEUE_MAX = 256, GIVEN_UP_MAX = 64 };

struct job {
    struct list node;
    struct object *object;
    enum coding coding;
};

struct given_up {
    struct key key;
    enum coding coding;
    size_t length; /* of the body; 0: no entry */
};

struct compressor {
    struct cache *cache;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list queue; /* hold lock */
    size_t queued;
    bool is_stopping;
    struct job *running;                    /* so that it is not queued again meanwhile */
    struct given_up given_up[GIVEN_UP_MAX]; /* a ring: hold lock */
    size_t next_given_up;
};

bool compressor_wants(const struct policy *policy, const struct object *object)
{
    const struct blob *plain = object->bodies[CODING_IDENTITY];
    struct fields fields = {.at = (struct field *)object->fields, .count = object->field_count};
    return plain && object->coding == CODING_IDENTITY && plain->len >= policy->compress_min_bytes &&
           response_is_compressible(policy, &object->facts, &fields);
}

static bool is_same_job(const struct job *job, const struct object *object, enum coding coding)
{
    return job->coding == coding && key_equal(&job->object->key, &object->key);
}

static bool is_queued(const struct compressor *compressor, const struct object *object,
                      enum coding coding)
{
    if (compressor->running && is_same_job(compressor->running, object, coding))
        return true;
    list_each(node, &compressor->queue)
    {
        if (is_same_job(container_of(node, struct job, node), object, coding))
            return true;
    }
    return false;
}

static bool is_given_up(const struct compressor *compressor, const struct object *object,
                        enum coding coding)
{
    for (size_t i = 0; i < GIVEN_UP_MAX; i++) {
        const struct given_up *entry = &compressor->given_up[i];
        if (entry->length == object->bodies[CODING_IDENTITY]->len && entry->coding == coding &&
            key_equal(&entry->key, &object->key))
            return true;
    }
    return false;
}

static void give_up(struct compressor *compressor, const struct job *job)
{
    pthread_mutex_lock(&compressor->lock);
    compressor->given_up[compressor->next_given_up++ % GIVEN_UP_MAX] =
        (struct given_up){job->object->key, job->coding, job->object->bodies[CODING_IDENTITY]->len};
    pthread_mutex_unlock(&compressor->lock);
}

void compressor_ask(struct compressor *compressor, struct object *object, enum coding coding)
{
    pthread_mutex_lock(&compressor->lock);
    if (compressor->queued < QUEUE_MAX && !is_queued(compressor, object, coding) &&
        !is_given_up(compressor, object, coding)) {
        struct job *job = mem_alloc(sizeof(*job));
        job->object = object_ref(object);
        job->coding = coding;
        list_append(&compressor->queue, &job->node);
        compressor->queued++;
        pthread_cond_signal(&compressor->wake);
    }
    pthread_mutex_unlock(&compressor->lock);
}

/*
 * The object may have been replaced while it was coded: then the new one keeps its place.
 * cache_update() looks at the key alone, so the newest is asked for here.
 */
static void add_coding(struct compressor *compressor, const struct job *job)
{
    struct blob *coded = body_encode(job->coding, job->object->bodies[CODING_IDENTITY]);
    if (!coded) {
        give_up(compressor, job);
        return;
    }
    struct object *present = NULL;
    if (cache_find_object(compressor->cache, &job->object->key, job->object->key_text, &present) ==
            FOUND_YES &&
        present->bodies[CODING_IDENTITY] == job->object->bodies[CODING_IDENTITY] &&
        !present->bodies[job->coding]) {
        struct object *both = object_with_coding(present, job->coding, coded);
        cache_update(compressor->cache, both);
        object_unref(&both);
    } else {
        blob_unref(&coded);
    }
    object_unref(&present);
}

static struct job *next_job(struct compressor *compressor)
{
    pthread_mutex_lock(&compressor->lock);
    while (list_is_empty(&compressor->queue) && !compressor->is_stopping)
        pthread_cond_wait(&compressor->wake, &compressor->lock);
    struct job *job = NULL;
    if (!compressor->is_stopping) {
        job = list_first_entry(&compressor->queue, struct job, node);
        list_remove(&job->node);
        compressor->queued--;
        compressor->running = job;
    }
    pthread_mutex_unlock(&compressor->lock);
    return job;
}

static void end_job(struct compressor *compressor, struct job *job)
{
    pthread_mutex_lock(&compressor->lock);
    compressor->running = NULL;
    pthread_mutex_unlock(&compressor->lock);
    object_unref(&job->object);
    free(job);
}

static void *run(void *arg)
{
    struct compressor *compressor = arg;
    for (struct job *job; (job = next_job(compressor)) != NULL;) {
        add_coding(compressor, job);
        end_job(compressor, job);
    }
    return NULL;
}

struct compressor *compressor_new(struct cache *cache)
{
    struct compressor *compressor = mem_alloc(sizeof(*compressor));
    compressor->cache = cache;
    pthread_mutex_init(&compressor->lock, NULL);
    pthread_cond_init(&compressor->wake, NULL);
    list_init(&compressor->queue);
    MUST(pthread_create(&compressor->thread, NULL, run, compressor) == 0);
    return compressor;
}

void compressor_free(struct compressor *compressor)
{
    if (!compressor)
        return;
    pthread_mutex_lock(&compressor->lock);
    compressor->is_stopping = true;
    pthread_cond_signal(&compressor->wake);
    pthread_mutex_unlock(&compressor->lock);
    pthread_join(compressor->thread, NULL);
    while (!list_is_empty(&compressor->queue)) {
        struct job *job = list_first_entry(&compressor->queue, struct job, node);
        list_remove(&job->node);
        object_unref(&job->object);
        free(job);
    }
    pthread_cond_destroy(&compressor->wake);
    pthread_mutex_destroy(&compressor->lock);
    free(compressor);
}
