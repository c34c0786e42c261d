/*
 * The helper thread and its two queues: people wait for what is decoded, nobody for what is
 * compressed. What cannot be made (it does not get smaller, or is no such coding) is remembered for
 * a while: each hit would ask for it again.
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
    enum coding coding;  /* to be made; CODING_IDENTITY: decodes */
    struct list waiting; /* struct decoding: hold lock */
};

struct given_up {
    struct key key;
    enum coding coding;
    size_t length; /* of the body that it was to be made from; 0: no entry */
};

struct compressor {
    struct cache *cache;
    size_t max_bytes; /* of a plain body */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list to_decode; /* hold lock; bounded by those who wait */
    struct list queue;     /* hold lock */
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

/* What came from the origin: all else is made from it. */
static struct blob *source_of(const struct object *object)
{
    return object->bodies[object->coding];
}

/* --- hold the lock --- */

static bool is_given_up(const struct compressor *compressor, const struct object *object,
                        enum coding coding)
{
    for (size_t i = 0; i < GIVEN_UP_MAX; i++) {
        const struct given_up *entry = &compressor->given_up[i];
        if (entry->length == source_of(object)->len && entry->coding == coding &&
            key_equal(&entry->key, &object->key))
            return true;
    }
    return false;
}

static void give_up(struct compressor *compressor, const struct job *job)
{
    compressor->given_up[compressor->next_given_up++ % GIVEN_UP_MAX] =
        (struct given_up){job->object->key, job->coding, source_of(job->object)->len};
}

/* Who waits for the plain body of an object must not be given that of the one before it. */
static bool makes(const struct job *job, const struct object *object, enum coding coding)
{
    return job->coding == coding && key_equal(&job->object->key, &object->key) &&
           (coding != CODING_IDENTITY || source_of(job->object) == source_of(object));
}

static struct job *find_job(struct compressor *compressor, struct list *queue,
                            const struct object *object, enum coding coding)
{
    if (compressor->running && makes(compressor->running, object, coding))
        return compressor->running;
    list_each(node, queue)
    {
        struct job *job = container_of(node, struct job, node);
        if (makes(job, object, coding))
            return job;
    }
    return NULL;
}

static struct job *add_job(struct compressor *compressor, struct list *queue, struct object *object,
                           enum coding coding)
{
    struct job *job = mem_alloc(sizeof(*job));
    job->object = object_ref(object);
    job->coding = coding;
    list_init(&job->waiting);
    list_append(queue, &job->node);
    pthread_cond_signal(&compressor->wake);
    return job;
}

/* --- asking --- */

void compressor_ask(struct compressor *compressor, struct object *object, enum coding coding)
{
    pthread_mutex_lock(&compressor->lock);
    if (compressor->queued < QUEUE_MAX && !is_given_up(compressor, object, coding) &&
        !find_job(compressor, &compressor->queue, object, coding)) {
        add_job(compressor, &compressor->queue, object, coding);
        compressor->queued++;
    }
    pthread_mutex_unlock(&compressor->lock);
}

bool compressor_decode(struct compressor *compressor, struct object *object,
                       struct decoding *decoding)
{
    pthread_mutex_lock(&compressor->lock);
    bool may_work = !is_given_up(compressor, object, CODING_IDENTITY);
    if (may_work) {
        struct job *job = find_job(compressor, &compressor->to_decode, object, CODING_IDENTITY);
        if (!job)
            job = add_job(compressor, &compressor->to_decode, object, CODING_IDENTITY);
        decoding->plain = NULL;
        list_append(&job->waiting, &decoding->node);
    }
    pthread_mutex_unlock(&compressor->lock);
    return may_work;
}

/* --- the thread --- */

/* The object with the body that was to be made: in the cache too, unless it has been replaced
 * there. NULL: it cannot be made. */
static struct object *make(struct compressor *compressor, const struct job *job)
{
    const struct object *object = job->object;
    struct blob *made = job->coding == CODING_IDENTITY
                            ? body_decode(object->coding, source_of(object), compressor->max_bytes)
                            : body_encode(job->coding, source_of(object));
    if (!made)
        return NULL;
    struct object *both = object_with_coding(object, job->coding, made);
    cache_update(compressor->cache, both);
    return both;
}

static struct job *next_job(struct compressor *compressor)
{
    struct job *job = NULL;
    pthread_mutex_lock(&compressor->lock);
    while (list_is_empty(&compressor->queue) && list_is_empty(&compressor->to_decode) &&
           !compressor->is_stopping)
        pthread_cond_wait(&compressor->wake, &compressor->lock);
    if (!compressor->is_stopping) {
        bool is_awaited = !list_is_empty(&compressor->to_decode);
        struct list *queue = is_awaited ? &compressor->to_decode : &compressor->queue;
        job = list_first_entry(queue, struct job, node);
        list_remove(&job->node);
        compressor->queued -= !is_awaited;
        compressor->running = job;
    }
    pthread_mutex_unlock(&compressor->lock);
    return job;
}

static void free_job(struct job *job)
{
    object_unref(&job->object);
    free(job);
}

static void tell(struct job *job, struct object *made)
{
    while (!list_is_empty(&job->waiting)) {
        struct decoding *decoding = list_first_entry(&job->waiting, struct decoding, node);
        list_remove(&decoding->node);
        decoding->plain = made ? object_ref(made) : NULL;
        decoding->done(decoding); /* it may be gone after this */
    }
}

static void *run(void *arg)
{
    struct compressor *compressor = arg;
    for (struct job *job; (job = next_job(compressor)) != NULL;) {
        struct object *made = make(compressor, job);
        pthread_mutex_lock(&compressor->lock);
        if (!made)
            give_up(compressor, job);
        compressor->running = NULL;
        pthread_mutex_unlock(&compressor->lock);
        tell(job, made); /* nobody finds it any more */
        object_unref(&made);
        free_job(job);
    }
    return NULL;
}

struct compressor *compressor_new(struct cache *cache, size_t max_bytes)
{
    struct compressor *compressor = mem_alloc(sizeof(*compressor));
    compressor->cache = cache;
    compressor->max_bytes = max_bytes;
    pthread_mutex_init(&compressor->lock, NULL);
    pthread_cond_init(&compressor->wake, NULL);
    list_init(&compressor->to_decode);
    list_init(&compressor->queue);
    MUST(pthread_create(&compressor->thread, NULL, run, compressor) == 0);
    return compressor;
}

static void drop_jobs(struct list *queue)
{
    while (!list_is_empty(queue)) {
        struct job *job = list_first_entry(queue, struct job, node);
        list_remove(&job->node);
        free_job(job);
    }
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
    drop_jobs(&compressor->to_decode);
    drop_jobs(&compressor->queue);
    pthread_cond_destroy(&compressor->wake);
    pthread_mutex_destroy(&compressor->lock);
    free(compressor);
}
