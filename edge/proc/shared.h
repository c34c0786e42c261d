/*
 * The memory that the master and all worker processes share: one memfd, made by the master before
 * the first worker, mapped by each. It outlives workers, so counters, purges and slots survive a
 * reload. Each module formats its own region.
 */
#pragma once

#include "base/counters.h"
#include "base/slice.h"
#include "edge/proc/mode.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { TICKET_KEY_BYTES = 80, WORKER_PLACES = 2, RELOAD_TEXT_BYTES = 4096 };

/*
 * What belongs to one worker process. There are two places: the worker that serves, and the one
 * that starts beside it or drains. A place is the worker's from its start until the master has
 * reaped it.
 */
struct worker_place {
    atomic_int in_store;            /* threads of this worker inside LMDB (semantics 9.3) */
    _Atomic int64_t drain_deadline; /* mono_time in ms; 0: not draining. The master writes it */
};

enum reload_result {
    RELOAD_OK,
    RELOAD_REFUSED, /* the policy has errors, or what it names */
    RELOAD_FAILED,  /* for another reason: an address in use, a worker that died */
};

struct shared {
    uint64_t magic, bytes;
    pid_t master;
    uint64_t offset_slots, offset_purges, offset_counters;
    unsigned char ticket_key[TICKET_KEY_BYTES]; /* random, made once */
    struct worker_place places[WORKER_PLACES];
    _Atomic uint64_t reloads_asked, reloads_done;
    atomic_int reload_result; /* of the reload `reloads_done`; unless OK, reload_text says why */
    char reload_text[RELOAD_TEXT_BYTES];
    atomic_int is_draining_worker; /* a worker process is draining */
    atomic_int is_stopping;        /* varve is: no worker comes after those that drain */
    struct mode_word mode;         /* `varve mode` */
};

/* Makes and formats it; returns the mapping and its fd. NULL with errno. */
struct shared *shared_make(int *fd);
/* Maps what shared_make() made. NULL with errno; EPROTO: not such memory, or of another build. */
struct shared *shared_map(int fd);
void shared_unmap(struct shared *shared);
void *shared_slots(struct shared *shared);
void *shared_purges(struct shared *shared);
void *shared_counters(struct shared *shared);
/* `text` as lines, without the last one's end, 0-terminated. Where not all of them fit: the first
 * ones, how many there are beside them, and where those are shown. */
void reload_text_write(char into[RELOAD_TEXT_BYTES], slice text);
