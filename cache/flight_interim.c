/* Interim responses on their way through a flight: from the fetch to the leader, and no further.
 * See flight.h. */
#include "cache/flight.h"

/* Beside its name and value: about what a field costs in any version of HTTP and in memory. */
enum { FIELD_OVERHEAD_BYTES = 32 };

static size_t bytes_of(slice reason_phrase, const struct fields *fields)
{
    size_t bytes = FIELD_OVERHEAD_BYTES + reason_phrase.len;
    for (size_t i = 0; i < fields->count; i++)
        bytes += FIELD_OVERHEAD_BYTES + fields->at[i].name.len + fields->at[i].value.len;
    return bytes;
}

static struct interim *copy_of(struct arena *arena, unsigned status, slice reason_phrase,
                               const struct fields *fields)
{
    struct interim *interim = arena_new(arena, struct interim);
    interim->status = status;
    interim->reason_phrase = arena_copy(arena, reason_phrase);
    fields_init(&interim->fields, arena);
    fields_copy(&interim->fields, fields);
    return interim;
}

static void wake_leader(struct flight *flight)
{
    list_each(node, &flight->waiters)
    {
        struct waiter *waiter = container_of(node, struct waiter, node);
        if (waiter->is_leader)
            waiter->wake(waiter);
    }
}

bool flight_add_interim(struct flight *flight, unsigned status, slice reason_phrase,
                        const struct fields *fields)
{
    /* only the fetch's thread, which this is, changes the figures and the arena before the head */
    size_t bytes = bytes_of(reason_phrase, fields);
    if (flight->interim_count == FLIGHT_MAX_INTERIMS ||
        bytes > FLIGHT_MAX_INTERIM_BYTES - flight->interim_bytes)
        return false;
    struct interim *interim = copy_of(&flight->arena, status, reason_phrase, fields);
    pthread_mutex_lock(&flight->lock);
    if (flight->last_interim)
        flight->last_interim->next = interim;
    else
        flight->first_interim = interim;
    flight->last_interim = interim;
    flight->interim_count++;
    flight->interim_bytes += bytes;
    wake_leader(flight);
    pthread_mutex_unlock(&flight->lock);
    return true;
}

const struct interim *waiter_next_interim(struct waiter *waiter)
{
    struct flight *flight = waiter->flight;
    if (!waiter->is_leader)
        return NULL;
    pthread_mutex_lock(&flight->lock);
    const struct interim *next = waiter->interim ? waiter->interim->next : flight->first_interim;
    if (next)
        waiter->interim = next;
    pthread_mutex_unlock(&flight->lock);
    return next;
}
