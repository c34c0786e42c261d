/* What cache.c and cache_look.c share. For these alone; others see cache.h. */
#pragma once

#include "cache/cache.h"
#include "cache/reader.h"
#include "cache/store.h"
#include "cache/vary_table.h"
#include "cache/writer.h"

#include <pthread.h>

struct cache {
    struct cache_config config;
    struct ram *ram;
    struct vary_table *vary;
    struct store *store; /* NULL: RAM only; so are the next three */
    struct writer *writer;
    struct readers *readers;
    pthread_mutex_t admin_mtx; /* for the reader below */
    struct store_reader *admin_reader;
    _Atomic uint64_t oldest_before; /* what cache_oldest_stamp() found last time */
};
