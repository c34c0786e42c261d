/*
 * The helper thread and its two queues: people wait for what is decoded and for chores, nobody for
 * what is compressed. What cannot be made (it does not get smaller, or is no such coding) is
 * remembered for a while: each hit would ask for it again.
 */
#include "edge/request/compress.h"

#include "base/must.h"
#include "edge/request/codec.h"

#include <pthread.h>
#include <stdlib.h>

enum { QUEUE_MAX = 256, GIVEN_UP_MAX = 64 };

struct job {
    struct chore chore; /* run_job() */
    struct compressor *compressor;
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
    struct list awaited; /* hold lock; bounded by those who wait */
    struct list queue;   /* to compress: hold lock */
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

static void run_job(struct chore *chore);

/* NULL: it is somebody else's. */
static struct job *job_of(struct chore *chore)
{
    return chore->run == run_job ? container_of(chore, struct job, chore) : NULL;
}

static struct job *find_job(struct compressor *compressor, struct list *queue,
                            const struct object *object, enum coding coding)
{
    if (compressor->running && makes(compressor->running, object, coding))
        return compressor->running;
    list_each(node, queue)
    {
        struct job *job = job_of(container_of(node, struct chore, node));
        if (job && makes(job, object, coding))
            return job;
    }
    return NULL;
}

static void add_chore(struct compressor *compressor, struct list *queue, struct chore *chore)
{
    list_append(queue, &chore->node);
    pthread_cond_signal(&compressor->wake);
}

static struct job *add_job(struct compressor *compressor, struct list *queue, struct object *object,
                           enum coding coding)
{
    struct job *job = mem_alloc(sizeof(*job));
    job->chore.run = run_job;
    job->compressor = compressor;
    job->object = object_ref(object);
    job->coding = coding;
    list_init(&job->waiting);
    add_chore(compressor, queue, &job->chore);
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
        struct job *job = find_job(compressor, &compressor->awaited, object, CODING_IDENTITY);
        if (!job)
            job = add_job(compressor, &compressor->awaited, object, CODING_IDENTITY);
        decoding->plain = NULL;
        list_append(&job->waiting, &decoding->node);
    }
    pthread_mutex_unlock(&compressor->lock);
    return may_work;
}

void compressor_run(struct compressor *compressor, struct chore *chore)
{
    pthread_mutex_lock(&compressor->lock);
    add_chore(compressor, &compressor->awaited, chore);
    pthread_mutex_unlock(&compressor->lock);
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

static void run_job(struct chore *chore)
{
    struct job *job = container_of(chore, struct job, chore);
    struct compressor *compressor = job->compressor;
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

static struct chore *next_chore(struct compressor *compressor)
{
    struct chore *chore = NULL;
    pthread_mutex_lock(&compressor->lock);
    while (list_is_empty(&compressor->queue) && list_is_empty(&compressor->awaited) &&
           !compressor->is_stopping)
        pthread_cond_wait(&compressor->wake, &compressor->lock);
    if (!compressor->is_stopping) {
        bool is_awaited = !list_is_empty(&compressor->awaited);
        struct list *queue = is_awaited ? &compressor->awaited : &compressor->queue;
        chore = list_first_entry(queue, struct chore, node);
        list_remove(&chore->node);
        compressor->queued -= !is_awaited;
        compressor->running = job_of(chore);
    }
    pthread_mutex_unlock(&compressor->lock);
    return chore;
}

static void *run(void *arg)
{
    struct compressor *compressor = arg;
    for (struct chore *chore; (chore = next_chore(compressor)) != NULL;)
        chore->run(chore);
    return NULL;
}

struct compressor *compressor_new(struct cache *cache, size_t max_bytes)
{
    struct compressor *compressor = mem_alloc(sizeof(*compressor));
    compressor->cache = cache;
    compressor->max_bytes = max_bytes;
    pthread_mutex_init(&compressor->lock, NULL);
    pthread_cond_init(&compressor->wake, NULL);
    list_init(&compressor->awaited);
    list_init(&compressor->queue);
    MUST(pthread_create(&compressor->thread, NULL, run, compressor) == 0);
    return compressor;
}

static void drop_chores(struct list *queue)
{
    while (!list_is_empty(queue)) {
        struct chore *chore = list_first_entry(queue, struct chore, node);
        struct job *job = job_of(chore);
        list_remove(&chore->node);
        if (job)
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
    drop_chores(&compressor->awaited);
    drop_chores(&compressor->queue);
    pthread_cond_destroy(&compressor->wake);
    pthread_mutex_destroy(&compressor->lock);
    free(compressor);
}
