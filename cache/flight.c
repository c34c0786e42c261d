/*
 * Flights: see flight.h. Two kinds of lock: the table's guards who is found under which key, a
 * flight's guards its progress, its chunks and its waiters. Order: table, then flight. Waking
 * happens under the flight's lock, so that a waiter that has left is never woken.
 */
#include "cache/flight.h"

#include "base/must.h"

#include <stdlib.h>

enum { TABLE_BUCKETS = 1024, FIRST_CHUNK_BYTES = 16 * 1024, LARGEST_CHUNK_BYTES = 256 * 1024 };

struct chunk {
    struct chunk *next;
    struct blob *blob;
    size_t used;
    uint64_t start; /* position of its first byte in the body */
};

struct flights {
    pthread_mutex_t lock;
    struct list buckets[TABLE_BUCKETS];
    size_t count;
};

static _Atomic uint64_t buffered_bytes; /* of all chunks of the process */

uint64_t flights_buffered_bytes(void)
{
    return atomic_load_explicit(&buffered_bytes, memory_order_relaxed);
}

/* --- the table --- */

struct flights *flights_new(void)
{
    struct flights *flights = mem_alloc(sizeof(*flights));
    pthread_mutex_init(&flights->lock, NULL);
    for (size_t i = 0; i < TABLE_BUCKETS; i++)
        list_init(&flights->buckets[i]);
    return flights;
}

void flights_free(struct flights *flights)
{
    MUST(flights->count == 0);
    pthread_mutex_destroy(&flights->lock);
    free(flights);
}

size_t flights_count(struct flights *flights)
{
    pthread_mutex_lock(&flights->lock);
    size_t count = flights->count;
    pthread_mutex_unlock(&flights->lock);
    return count;
}

static struct list *bucket_of(struct flights *flights, const struct key *key)
{
    uint64_t head;
    memcpy(&head, key->bytes, sizeof(head));
    return &flights->buckets[head % TABLE_BUCKETS];
}

static struct flight *find_locked(struct flights *flights, const struct key *key)
{
    struct list *bucket = bucket_of(flights, key);
    list_each(node, bucket)
    {
        struct flight *flight = container_of(node, struct flight, table_node);
        if (key_equal(&flight->key, key))
            return flight;
    }
    return NULL;
}

static void link_locked(struct flights *flights, struct flight *flight, const struct key *key)
{
    flight->key = *key;
    list_append(bucket_of(flights, key), &flight->table_node);
    flights->count++;
}

static void unlink_locked(struct flights *flights, struct flight *flight)
{
    if (!list_is_linked(&flight->table_node))
        return;
    list_remove(&flight->table_node);
    flights->count--;
}

void flight_restamp(struct flight *flight, uint64_t stamp)
{
    pthread_mutex_lock(&flight->lock);
    MUST(!flight->table && flight->phase == FLIGHT_WAITING);
    flight->stamp = stamp;
    pthread_mutex_unlock(&flight->lock);
}

void flight_hide(struct flight *flight)
{
    if (!flight->table)
        return;
    pthread_mutex_lock(&flight->table->lock);
    unlink_locked(flight->table, flight);
    pthread_mutex_unlock(&flight->table->lock);
}

bool flight_hide_if_deserted(struct flight *flight)
{
    if (flight->table)
        pthread_mutex_lock(&flight->table->lock);
    pthread_mutex_lock(&flight->lock);
    bool is_deserted = flight->waiter_count == 0;
    pthread_mutex_unlock(&flight->lock);
    if (flight->table) {
        if (is_deserted)
            unlink_locked(flight->table, flight);
        pthread_mutex_unlock(&flight->table->lock);
    }
    return is_deserted;
}

void flight_rekey(struct flight *flight, const struct key *key)
{
    struct flights *flights = flight->table;
    if (!flights)
        return;
    pthread_mutex_lock(&flights->lock);
    if (list_is_linked(&flight->table_node)) {
        unlink_locked(flights, flight);
        /* a flight that is there already stays: whoever finds it is answered as well */
        if (!find_locked(flights, key))
            link_locked(flights, flight, key);
    }
    pthread_mutex_unlock(&flights->lock);
}

/* --- life --- */

static struct flight *flight_make(struct flights *table, const struct purge_subject *subject,
                                  struct instant now)
{
    struct flight *flight = mem_alloc(sizeof(*flight));
    atomic_init(&flight->refs, 1);
    pthread_mutex_init(&flight->lock, NULL);
    arena_init(&flight->arena);
    flight->table = table;
    flight->host = arena_copy(&flight->arena, subject->host);
    flight->path = arena_copy(&flight->arena, subject->path);
    flight->query = arena_copy(&flight->arena, subject->query);
    flight->has_query = subject->has_query;
    flight->stamp = subject->stamp;
    flight->is_kept = true;
    flight->started = now;
    flight->best_rank = FLIGHT_RANKS;
    list_init(&flight->waiters);
    return flight;
}

struct flight *flight_new_private(const struct purge_subject *subject, bool is_kept,
                                  struct instant now)
{
    struct flight *flight = flight_make(NULL, subject, now);
    flight->is_kept = is_kept;
    return flight;
}

struct flight *flight_ref(struct flight *flight)
{
    atomic_fetch_add(&flight->refs, 1);
    return flight;
}

static void free_chunk(struct chunk *chunk)
{
    atomic_fetch_sub_explicit(&buffered_bytes, chunk->blob->len, memory_order_relaxed);
    blob_unref(&chunk->blob);
    free(chunk);
}

static void flight_free(struct flight *flight)
{
    MUST(list_is_empty(&flight->waiters) && !list_is_linked(&flight->table_node));
    while (flight->first_chunk) {
        struct chunk *next = flight->first_chunk->next;
        free_chunk(flight->first_chunk);
        flight->first_chunk = next;
    }
    object_unref(&flight->head.object);
    pthread_mutex_destroy(&flight->lock);
    arena_fini(&flight->arena);
    free(flight);
}

void flight_unref(struct flight **flight)
{
    struct flight *old = *flight;
    *flight = NULL;
    if (old && atomic_fetch_sub(&old->refs, 1) == 1)
        flight_free(old);
}

/* The flight's lock is held. A flight has the best class among those who wait now
 * (semantics 7.4). */
static void count_rank(struct flight *flight, unsigned rank, int by)
{
    MUST(rank < FLIGHT_RANKS);
    flight->rank_count[rank] += (unsigned)by;
    unsigned best = 0;
    while (best < FLIGHT_RANKS && flight->rank_count[best] == 0)
        best++;
    bool has_changed = best != flight->best_rank;
    flight->best_rank = best;
    if (has_changed && best < FLIGHT_RANKS && flight->on_rank && flight->phase == FLIGHT_WAITING)
        flight->on_rank(flight);
}

unsigned flight_rank(struct flight *flight)
{
    pthread_mutex_lock(&flight->lock);
    unsigned rank = flight->best_rank;
    pthread_mutex_unlock(&flight->lock);
    return rank;
}

static void attach_locked(struct waiter *waiter, struct flight *flight)
{
    MUST(!waiter->flight);
    waiter->flight = flight_ref(flight);
    waiter->chunk = NULL;
    waiter->chunk_offset = 0;
    waiter->position = 0;
    waiter->interim = NULL;
    pthread_mutex_lock(&flight->lock);
    MUST(flight->freed_bytes == 0);
    list_append(&flight->waiters, &waiter->node);
    flight->waiter_count++;
    count_rank(flight, waiter->rank, 1);
    pthread_mutex_unlock(&flight->lock);
}

void waiter_attach(struct waiter *waiter, struct flight *flight)
{
    attach_locked(waiter, flight);
}

/* Is a purge record newer than the flight's stamp about it (semantics 3.3)? Its tags count once the
 * head is known. */
static bool is_purged(struct flight *flight, const struct purge_table *purges)
{
    pthread_mutex_lock(&flight->lock);
    struct purge_subject subject = {.host = flight->host,
                                    .path = flight->path,
                                    .query = flight->query,
                                    .has_query = flight->has_query,
                                    .tag_hashes = flight->tag_hashes,
                                    .tag_count = flight->tag_count,
                                    .stamp = flight->stamp};
    pthread_mutex_unlock(&flight->lock);
    return purge_check(purges, &subject) != PURGE_ALIVE;
}

struct flight *flight_join(struct flights *flights, const struct key *key, bool is_cold,
                           const struct purge_table *purges, const struct purge_subject *subject,
                           struct waiter *waiter, bool start, struct instant now, bool *is_leader)
{
    *is_leader = false;
    pthread_mutex_lock(&flights->lock);
    struct flight *flight = find_locked(flights, key);
    if (flight && is_purged(flight, purges)) {
        unlink_locked(flights, flight);
        flight = NULL;
    }
    if (!flight && start) {
        flight = flight_make(flights, subject, now);
        flight->is_cold = is_cold;
        link_locked(flights, flight, key);
        *is_leader = true;
    }
    if (flight) {
        waiter->is_leader = *is_leader;
        attach_locked(waiter, flight);
        if (*is_leader)
            atomic_fetch_sub(&flight->refs, 1); /* the maker's; the waiter has one of its own */
    }
    pthread_mutex_unlock(&flights->lock);
    return flight;
}

struct flight *flight_start_refresh(struct flights *flights, const struct key *key,
                                    const struct purge_table *purges,
                                    const struct purge_subject *subject, struct instant now)
{
    struct flight *flight = NULL;
    pthread_mutex_lock(&flights->lock);
    struct flight *present = find_locked(flights, key);
    if (present && is_purged(present, purges)) {
        unlink_locked(flights, present);
        present = NULL;
    }
    if (!present) {
        flight = flight_make(flights, subject, now);
        link_locked(flights, flight, key);
    }
    pthread_mutex_unlock(&flights->lock);
    return flight;
}

/* --- chunks: hold the flight's lock --- */

static uint64_t slowest_position(const struct flight *flight)
{
    uint64_t slowest = flight->received_bytes;
    list_each(node, &flight->waiters)
    {
        const struct waiter *waiter = container_of(node, struct waiter, node);
        if (waiter->position < slowest)
            slowest = waiter->position;
    }
    return slowest;
}

/* Frees what all have read, but never the chunk that is being filled. */
static void trim(struct flight *flight)
{
    if (flight->is_kept)
        return;
    uint64_t slowest = slowest_position(flight);
    while (flight->first_chunk && flight->first_chunk->next &&
           flight->first_chunk->next->start <= slowest) {
        struct chunk *old = flight->first_chunk;
        list_each(node, &flight->waiters)
        {
            struct waiter *waiter = container_of(node, struct waiter, node);
            if (waiter->chunk == old) {
                waiter->chunk = old->next;
                waiter->chunk_offset = 0;
            }
        }
        flight->first_chunk = old->next;
        flight->freed_bytes += old->used;
        free_chunk(old);
    }
}

static size_t next_chunk_bytes(const struct flight *flight)
{
    if (!flight->last_chunk) {
        size_t length = flight->head.length;
        bool is_one_piece =
            length != SIZE_MAX && length > 0 &&
            (flight->is_kept ? length <= flight->max_stored_bytes : length <= LARGEST_CHUNK_BYTES);
        return is_one_piece ? length : FIRST_CHUNK_BYTES;
    }
    size_t doubled = flight->last_chunk->blob->len * 2;
    return doubled < LARGEST_CHUNK_BYTES ? doubled : LARGEST_CHUNK_BYTES;
}

static struct chunk *chunk_with_room(struct flight *flight)
{
    struct chunk *last = flight->last_chunk;
    if (last && last->used < last->blob->len)
        return last;
    struct chunk *chunk = mem_alloc(sizeof(*chunk));
    chunk->blob = blob_new(next_chunk_bytes(flight));
    atomic_fetch_add_explicit(&buffered_bytes, chunk->blob->len, memory_order_relaxed);
    chunk->start = flight->received_bytes;
    if (last)
        last->next = chunk;
    else
        flight->first_chunk = chunk;
    flight->last_chunk = chunk;
    return chunk;
}

/*
 * Once per pause. Half a window, so that a reader who takes a few bytes at a time does not wake the
 * fetch for each of them, and what it then reads still fits the window.
 */
static void tell_of_room(struct flight *flight)
{
    if (!flight->is_waiting_for_room ||
        (!flight->is_kept &&
         flight->received_bytes - slowest_position(flight) > flight->window / 2))
        return;
    flight->is_waiting_for_room = false;
    if (flight->on_room)
        flight->on_room(flight);
}

static void wake_all(struct flight *flight)
{
    list_each(node, &flight->waiters)
    {
        struct waiter *waiter = container_of(node, struct waiter, node);
        waiter->wake(waiter);
    }
}

/* --- the fetch side --- */

void flight_publish_head(struct flight *flight, const struct flight_head *head,
                         enum flight_sharing sharing, bool is_kept, const uint64_t *tag_hashes,
                         size_t tag_count)
{
    pthread_mutex_lock(&flight->lock);
    MUST(flight->phase == FLIGHT_WAITING);
    flight->phase = FLIGHT_STREAMING;
    flight->sharing = sharing;
    flight->head = *head;
    flight->tag_hashes = tag_hashes;
    flight->tag_count = tag_count;
    flight->is_kept = is_kept;
    wake_all(flight);
    pthread_mutex_unlock(&flight->lock);
}

bool flight_append(struct flight *flight, slice bytes, size_t window)
{
    pthread_mutex_lock(&flight->lock);
    while (bytes.len) {
        struct chunk *chunk = chunk_with_room(flight);
        slice part = slice_until(bytes, chunk->blob->len - chunk->used);
        memcpy(chunk->blob->bytes + chunk->used, part.ptr, part.len);
        chunk->used += part.len;
        flight->received_bytes += part.len;
        bytes = slice_from(bytes, part.len);
    }
    trim(flight);
    bool has_room = flight->is_kept || flight->received_bytes - slowest_position(flight) <= window;
    flight->is_waiting_for_room = !has_room;
    flight->window = window;
    wake_all(flight);
    pthread_mutex_unlock(&flight->lock);
    return has_room;
}

void flight_forgo_storing(struct flight *flight)
{
    flight_hide(flight);
    pthread_mutex_lock(&flight->lock);
    flight->is_kept = false;
    trim(flight);
    pthread_mutex_unlock(&flight->lock);
}

static void finish(struct flight *flight, enum flight_phase phase, bool is_clean, unsigned failure)
{
    flight_hide(flight);
    pthread_mutex_lock(&flight->lock);
    MUST(flight->phase == FLIGHT_WAITING || flight->phase == FLIGHT_STREAMING);
    flight->phase = phase;
    flight->is_clean = is_clean;
    flight->failure = failure;
    flight->on_room = flight->on_deserted = NULL;
    wake_all(flight);
    pthread_mutex_unlock(&flight->lock);
}

void flight_end(struct flight *flight, bool is_clean)
{
    finish(flight, FLIGHT_DONE, is_clean, 0);
}

void flight_fail(struct flight *flight, unsigned failure)
{
    finish(flight, FLIGHT_FAILED, false, failure);
}

struct blob *flight_body(struct flight *flight)
{
    pthread_mutex_lock(&flight->lock);
    MUST(flight->is_kept);
    struct chunk *first = flight->first_chunk;
    struct blob *body = NULL;
    if (first && !first->next && first->used == first->blob->len) {
        body = blob_ref(first->blob);
    } else if (flight->received_bytes > 0) {
        body = blob_new((size_t)flight->received_bytes);
        for (struct chunk *chunk = first; chunk; chunk = chunk->next)
            memcpy(body->bytes + chunk->start, chunk->blob->bytes, chunk->used);
    }
    pthread_mutex_unlock(&flight->lock);
    return body;
}

/* --- waiters --- */

void waiter_leave(struct waiter *waiter)
{
    struct flight *flight = waiter->flight;
    if (!flight)
        return;
    pthread_mutex_lock(&flight->lock);
    list_remove(&waiter->node);
    flight->waiter_count--;
    count_rank(flight, waiter->rank, -1);
    waiter->chunk = NULL;
    trim(flight);
    if (flight->waiter_count == 0 && flight->on_deserted)
        flight->on_deserted(flight);
    tell_of_room(flight); /* also when deserted: a refresh reads on for nobody */
    pthread_mutex_unlock(&flight->lock);
    flight_unref(&waiter->flight);
}

void waiter_look(struct waiter *waiter, const struct purge_table *purges, struct flight_view *view)
{
    struct flight *flight = waiter->flight;
    pthread_mutex_lock(&flight->lock);
    *view = (struct flight_view){.phase = flight->phase,
                                 .sharing = flight->sharing,
                                 .failure = flight->failure,
                                 .is_clean = flight->is_clean,
                                 .is_kept = flight->is_kept,
                                 .head = flight->head,
                                 .available_bytes = flight->received_bytes - waiter->position};
    struct purge_subject tags = {
        .tag_hashes = flight->tag_hashes, .tag_count = flight->tag_count, .stamp = flight->stamp};
    pthread_mutex_unlock(&flight->lock);
    if (tags.tag_count > 0)
        view->is_tag_purged = purge_check_kinds(purges, &tags, 1u << PURGE_TAG) != PURGE_ALIVE;
}

/* Moves the waiter to the chunk that holds its next byte; false if there is none yet. */
static bool seek(struct waiter *waiter)
{
    if (!waiter->chunk)
        waiter->chunk = waiter->flight->first_chunk;
    while (waiter->chunk && waiter->chunk_offset == waiter->chunk->used && waiter->chunk->next) {
        waiter->chunk = waiter->chunk->next;
        waiter->chunk_offset = 0;
    }
    return waiter->chunk && waiter->chunk_offset < waiter->chunk->used;
}

size_t waiter_peek(struct waiter *waiter, slice views[READ_SLICES], bool *is_end)
{
    struct flight *flight = waiter->flight;
    size_t count = 0;
    uint64_t seen = waiter->position;
    pthread_mutex_lock(&flight->lock);
    if (seek(waiter)) {
        size_t offset = waiter->chunk_offset;
        for (struct chunk *chunk = waiter->chunk; chunk && count < READ_SLICES;
             chunk = chunk->next) {
            if (chunk->used > offset)
                views[count++] = slice_of(chunk->blob->bytes + offset, chunk->used - offset);
            seen += chunk->used - offset;
            offset = 0;
        }
    }
    *is_end = flight->phase == FLIGHT_DONE && seen == flight->received_bytes;
    pthread_mutex_unlock(&flight->lock);
    return count;
}

void waiter_advance(struct waiter *waiter, size_t bytes)
{
    struct flight *flight = waiter->flight;
    pthread_mutex_lock(&flight->lock);
    while (bytes > 0 && seek(waiter)) {
        size_t left = waiter->chunk->used - waiter->chunk_offset;
        size_t step = bytes < left ? bytes : left;
        waiter->chunk_offset += step;
        waiter->position += step;
        bytes -= step;
    }
    MUST(bytes == 0);
    trim(flight);
    tell_of_room(flight);
    pthread_mutex_unlock(&flight->lock);
}
