/*
 * The reader threads: they answer cache_read questions that only the disk can answer, so that a
 * cold page of the map stalls a thread that nobody waits for and not an event loop. The queue is
 * made of the callers' own structs; each request has at most one, so the limit on requests is its
 * limit.
 */
#pragma once

#include "cache/store.h"
#include "cache/vary_table.h"
#include "cache/writer.h"

struct readers;

enum { READER_THREADS = 2 };

struct readers_config {
    struct store *store;
    struct ram *ram;
    struct vary_table *vary;
    struct writer *writer; /* damaged objects are removed through it */
};

/* NULL: no thread or no reader slot to be had. */
struct readers *readers_start(const struct readers_config *config);
/* Answers what is queued and ends. */
void readers_stop(struct readers *readers);
void readers_post(struct readers *readers, struct cache_read *read);
uint64_t readers_damaged(const struct readers *readers);
