/*
 * Flights: see flight.h. Two kinds of lock: the table's guards who is found under which key
 * (flight_table.c), a flight's guards its progress, its chunks (flight_body.c) and its waiters.
 * Order: table, then flight. Waking happens under the flight's lock, so that a waiter that has left
 * is never woken.
 */
#include "cache/flight_parts.h"

#include "base/must.h"

#include <stdlib.h>

/* --- those that may be stored --- */

/* In no order; a flight of its own is in no table, and one that is in a table leaves that long
 * before it ends. Locks: this one, then a flight's. */
static pthread_mutex_t storable_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list storable = {&storable, &storable};

static void storable_add(struct flight *flight)
{
    pthread_mutex_lock(&storable_lock);
    list_append(&storable, &flight->storable_node);
    pthread_mutex_unlock(&storable_lock);
}

static void storable_remove(struct flight *flight)
{
    pthread_mutex_lock(&storable_lock);
    list_remove(&flight->storable_node);
    pthread_mutex_unlock(&storable_lock);
}

uint64_t flights_oldest_stamp(void)
{
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(&storable_lock);
    list_each(node, &storable)
    {
        struct flight *flight = container_of(node, struct flight, storable_node);
        pthread_mutex_lock(&flight->lock);
        if (flight->is_kept && flight->stamp < oldest)
            oldest = flight->stamp;
        pthread_mutex_unlock(&flight->lock);
    }
    pthread_mutex_unlock(&storable_lock);
    return oldest;
}

/* --- life --- */

struct flight *flight_make(struct flights *table, const struct purge_subject *subject, bool is_kept)
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
    flight->is_kept = is_kept;
    flight->best_rank = FLIGHT_RANKS;
    list_init(&flight->waiters);
    if (is_kept)
        storable_add(flight);
    return flight;
}

struct flight *flight_new_private(const struct purge_subject *subject, bool is_kept)
{
    return flight_make(NULL, subject, is_kept);
}

struct flight *flight_ref(struct flight *flight)
{
    atomic_fetch_add(&flight->refs, 1);
    return flight;
}

static void flight_free(struct flight *flight)
{
    MUST(list_is_empty(&flight->waiters) && !list_is_linked(&flight->table_node));
    storable_remove(flight);
    flight_free_chunks(flight);
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

/* --- the fetch side --- */

void flight_wake_all(struct flight *flight)
{
    list_each(node, &flight->waiters)
    {
        struct waiter *waiter = container_of(node, struct waiter, node);
        waiter->wake(waiter);
    }
}

void flight_restamp(struct flight *flight, uint64_t stamp)
{
    pthread_mutex_lock(&flight->lock);
    MUST(!flight->table && flight->phase == FLIGHT_WAITING);
    flight->stamp = stamp;
    pthread_mutex_unlock(&flight->lock);
}

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
    flight_wake_all(flight);
    pthread_mutex_unlock(&flight->lock);
}

void flight_forgo_storing(struct flight *flight)
{
    flight_hide(flight);
    pthread_mutex_lock(&flight->lock);
    flight->is_kept = false;
    flight_trim(flight);
    pthread_mutex_unlock(&flight->lock);
}

static void finish(struct flight *flight, enum flight_phase phase, unsigned failure)
{
    flight_hide(flight);
    pthread_mutex_lock(&flight->lock);
    MUST(flight->phase == FLIGHT_WAITING || flight->phase == FLIGHT_STREAMING);
    flight->phase = phase;
    flight->failure = failure;
    flight->is_waiting_for_room = false; /* nobody's reading holds up a renderer any more */
    flight->on_room = flight->on_deserted = NULL;
    flight_wake_all(flight);
    pthread_mutex_unlock(&flight->lock);
}

void flight_end(struct flight *flight)
{
    finish(flight, FLIGHT_DONE, 0);
}

void flight_fail(struct flight *flight, unsigned failure)
{
    finish(flight, FLIGHT_FAILED, failure);
}

/* --- waiters --- */

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

void waiter_attach(struct waiter *waiter, struct flight *flight)
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
    flight_trim(flight);
    if (flight->waiter_count == 0 && flight->on_deserted)
        flight->on_deserted(flight);
    flight_tell_of_room(flight); /* also when deserted: a refresh reads on for nobody */
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
                                 .is_kept = flight->is_kept,
                                 .head = flight->head,
                                 .available_bytes = flight->received_bytes - waiter->position};
    struct purge_subject tags = {
        .tag_hashes = flight->tag_hashes, .tag_count = flight->tag_count, .stamp = flight->stamp};
    pthread_mutex_unlock(&flight->lock);
    if (tags.tag_count > 0)
        view->is_tag_purged = purge_check_kinds(purges, &tags, 1u << PURGE_TAG) != PURGE_ALIVE;
}
