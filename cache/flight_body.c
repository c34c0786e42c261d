/* The bytes of a flight: the fetch appends them, waiters read them (flight.h says what is kept). */
#include "cache/flight_parts.h"

#include "base/must.h"

#include <stdlib.h>

enum { FIRST_CHUNK_BYTES = 16 * 1024, LARGEST_CHUNK_BYTES = 256 * 1024 };

struct chunk {
    struct chunk *next;
    struct blob *blob;
    size_t used;
    uint64_t start; /* position of its first byte in the body */
};

static _Atomic uint64_t buffered_bytes; /* of all chunks of the process */

uint64_t flights_buffered_bytes(void)
{
    return atomic_load_explicit(&buffered_bytes, memory_order_relaxed);
}

/* --- chunks: hold the flight's lock --- */

static void free_chunk(struct chunk *chunk)
{
    atomic_fetch_sub_explicit(&buffered_bytes, chunk->blob->len, memory_order_relaxed);
    blob_unref(&chunk->blob);
    free(chunk);
}

void flight_free_chunks(struct flight *flight)
{
    while (flight->first_chunk) {
        struct chunk *next = flight->first_chunk->next;
        free_chunk(flight->first_chunk);
        flight->first_chunk = next;
    }
}

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

void flight_trim(struct flight *flight)
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

static bool has_left_first_chunk(const struct flight *flight, uint64_t from, uint64_t to)
{
    const struct chunk *first = flight->first_chunk;
    return first && first->next && from < first->next->start && to >= first->next->start;
}

static bool is_far_behind(const struct flight *flight, uint64_t position)
{
    return !flight->is_kept && flight->received_bytes - position > flight->window / 2;
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

void flight_tell_of_room(struct flight *flight)
{
    if (!flight->is_waiting_for_room || is_far_behind(flight, slowest_position(flight)))
        return;
    flight->is_waiting_for_room = false;
    if (flight->on_room)
        flight->on_room(flight);
}

/* --- the fetch side --- */

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
    flight_trim(flight);
    bool has_room = flight->is_kept || flight->received_bytes - slowest_position(flight) <= window;
    if (!flight->is_waiting_for_room) { /* what comes while it is paused does not end the pause */
        flight->is_waiting_for_room = !has_room;
        flight->window = window;
    }
    flight_wake_all(flight);
    pthread_mutex_unlock(&flight->lock);
    return has_room;
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
    uint64_t before = waiter->position;
    while (bytes > 0 && seek(waiter)) {
        size_t left = waiter->chunk->used - waiter->chunk_offset;
        size_t step = bytes < left ? bytes : left;
        waiter->chunk_offset += step;
        waiter->position += step;
        bytes -= step;
    }
    MUST(bytes == 0);
    /* both look at all waiters: only when this one may have been the last */
    if (has_left_first_chunk(flight, before, waiter->position))
        flight_trim(flight);
    if (is_far_behind(flight, before) && !is_far_behind(flight, waiter->position))
        flight_tell_of_room(flight);
    pthread_mutex_unlock(&flight->lock);
}

bool waiter_is_awaited(struct waiter *waiter)
{
    struct flight *flight = waiter->flight;
    pthread_mutex_lock(&flight->lock);
    bool is_awaited = flight->is_waiting_for_room && is_far_behind(flight, waiter->position);
    pthread_mutex_unlock(&flight->lock);
    return is_awaited;
}
