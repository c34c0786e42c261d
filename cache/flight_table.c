/*
 * The table of flights: who is found under which key. Its lock guards that alone; order: table,
 * then flight.
 */
#include "cache/flight_parts.h"
#include "cache/key_map.h"

#include "base/must.h"

#include <stdlib.h>

enum { BUCKETS = 1024, LEFT_COUNTERS = 1024 };

struct flights {
    pthread_mutex_t lock;
    struct list buckets[BUCKETS];
    size_t count;
    _Atomic uint64_t left[LEFT_COUNTERS]; /* by a part of the URL's key; changes under the lock */
};

struct flights *flights_new(void)
{
    struct flights *flights = mem_alloc(sizeof(*flights));
    pthread_mutex_init(&flights->lock, NULL);
    for (size_t i = 0; i < BUCKETS; i++)
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
    return &flights->buckets[key_word(key, 0) % BUCKETS];
}

static _Atomic uint64_t *left_of(struct flights *flights, const struct key *url_key)
{
    return &flights->left[key_word(url_key, 0) % LEFT_COUNTERS];
}

uint64_t flights_left(struct flights *flights, const struct key *url_key)
{
    return atomic_load(left_of(flights, url_key));
}

static struct flight *find_locked(struct flights *flights, const struct key *key, slice key_text)
{
    struct list *bucket = bucket_of(flights, key);
    list_each(node, bucket)
    {
        struct flight *flight = container_of(node, struct flight, table_node);
        if (key_equal(&flight->key, key) && slice_equal(flight->key_text, key_text))
            return flight;
    }
    return NULL;
}

/* `key_text` lives as long as the flight. */
static void link_locked(struct flights *flights, struct flight *flight, const struct key *key,
                        slice key_text)
{
    flight->key = *key;
    flight->key_text = key_text;
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

/* It is not found under this key any more: what it made is in memory, or else the union that gives
 * it another key. */
static void leave_locked(struct flights *flights, struct flight *flight)
{
    if (list_is_linked(&flight->table_node))
        atomic_fetch_add(left_of(flights, &flight->url_key), 1);
    unlink_locked(flights, flight);
}

void flight_hide(struct flight *flight)
{
    if (!flight->table)
        return;
    pthread_mutex_lock(&flight->table->lock);
    leave_locked(flight->table, flight);
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
            leave_locked(flight->table, flight);
        pthread_mutex_unlock(&flight->table->lock);
    }
    return is_deserted;
}

void flight_rekey(struct flight *flight, const struct key *key, slice key_text)
{
    struct flights *flights = flight->table;
    if (!flights)
        return;
    slice copy = arena_copy(&flight->arena, key_text);
    pthread_mutex_lock(&flights->lock);
    if (list_is_linked(&flight->table_node)) {
        leave_locked(flights, flight);
        /* a flight that is there already stays: whoever finds it is answered as well */
        if (!find_locked(flights, key, copy))
            link_locked(flights, flight, key, copy);
    }
    pthread_mutex_unlock(&flights->lock);
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

/* The one that is there, unless it is older than a purge. */
static struct flight *find_alive_locked(struct flights *flights, const struct flight_wanted *wanted,
                                        const struct purge_table *purges)
{
    struct flight *flight = find_locked(flights, &wanted->key, wanted->key_text);
    if (!flight || !is_purged(flight, purges))
        return flight;
    unlink_locked(flights, flight);
    return NULL;
}

static bool has_left_since(struct flights *flights, const struct flight_wanted *wanted)
{
    return wanted->left_before != flights_left(flights, &wanted->url_key);
}

/* NULL: one has left since memory was asked. */
static struct flight *start_locked(struct flights *flights, const struct flight_wanted *wanted,
                                   const struct purge_subject *subject)
{
    if (!wanted->has_looked_back && has_left_since(flights, wanted))
        return NULL;
    struct flight *flight = flight_make(flights, subject, true);
    flight->url_key = wanted->url_key;
    link_locked(flights, flight, &wanted->key, arena_copy(&flight->arena, wanted->key_text));
    return flight;
}

struct flight *flight_join(struct flights *flights, const struct flight_wanted *wanted,
                           const struct purge_table *purges, const struct purge_subject *subject,
                           struct waiter *waiter, bool *is_leader)
{
    pthread_mutex_lock(&flights->lock);
    struct flight *flight = find_alive_locked(flights, wanted, purges);
    bool is_there = flight != NULL;
    if (!is_there)
        flight = start_locked(flights, wanted, subject);
    *is_leader = flight && !is_there;
    if (flight) {
        waiter->is_leader = *is_leader;
        waiter_attach(waiter, flight);
        if (*is_leader)
            atomic_fetch_sub(&flight->refs, 1); /* the maker's; the waiter has one of its own */
    }
    pthread_mutex_unlock(&flights->lock);
    return flight;
}

struct flight *flight_start_refresh(struct flights *flights, const struct flight_wanted *wanted,
                                    const struct purge_table *purges,
                                    const struct purge_subject *subject)
{
    pthread_mutex_lock(&flights->lock);
    bool is_there = find_alive_locked(flights, wanted, purges) != NULL;
    struct flight *flight = is_there ? NULL : start_locked(flights, wanted, subject);
    pthread_mutex_unlock(&flights->lock);
    return flight;
}
