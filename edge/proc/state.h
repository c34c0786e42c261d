/*
 * The directory of the store: its lock, and the file STORE/state that says whether what LMDB left
 * there can be trusted (semantics 9.3). LMDB itself notices neither a torn nor a short file, so
 * this is decided outside it, by the master, before any worker opens it.
 *
 *   STORE/lock      held exclusively while any process of this varve lives; holds the master's pid
 *   STORE/state     format, boot id, clean, synced; replaced by rename
 *   STORE/purges    the purge log (cache/purge.h); never set aside: old purges harm no new store
 *   STORE/f1/       LMDB, of format 1 (cache/store.c)
 *   STORE/admin.sock
 *   STORE.bad-TIME/ what was set aside last (STORE/bad-TIME where the parent may not be written)
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "edge/proc/privileges.h"

enum { STORE_FORMAT = 1, STATE_ERROR_BYTES = 512 };

struct store_state {
    slice path; /* of the directory; empty: there is no store, and all functions do nothing */
    int lock;   /* fd, or -1 */
    struct user_identity owner;
    bool is_synced; /* what is in it was written with durability: sync from the beginning */
};

enum store_open { STORE_OPENED, STORE_SET_ASIDE, STORE_IN_USE, STORE_UNUSABLE };

/*
 * Makes the directory (0700), takes the lock, judges what is there, sets it aside if it cannot be
 * trusted, and writes the state "dirty". `path` must live as long as `state`. A line for the user
 * in `text` (STATE_ERROR_BYTES) unless STORE_OPENED; after STORE_IN_USE and STORE_UNUSABLE nothing
 * is held.
 */
enum store_open state_open(struct store_state *state, slice path, bool sync,
                           const struct user_identity *owner, wall_time now, char *text);
/* The last worker has exited after a synced close. 0 or errno. */
__attribute__((warn_unused_result)) int state_write_clean(const struct store_state *state);
/* Workers from now on write with this durability. 0 or errno. */
__attribute__((warn_unused_result)) int state_set_sync(struct store_state *state, bool sync);
/* Takes back the last state_set_sync(), whose worker has ended: syncs what it wrote. Everybody else
 * has synced. 0 or errno. */
__attribute__((warn_unused_result)) int state_restore_sync(struct store_state *state);
/* Sets the store aside while varve runs and begins a new one; a line in `text`. False: it could not
 * be moved. */
bool state_set_aside(struct store_state *state, const char *why, wall_time now, char *text);
void state_close(struct store_state *state);

/* "STORE/purges"; empty without a store. */
slice store_purges_path(slice store, struct arena *arena);
