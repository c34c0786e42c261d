/*
 * The slot table (semantics 7.2): who may ask which worker now. It lies in memory that the master
 * made and all worker processes map, so it outlives reloads, respawns and kill -9. A worker is
 * found by the text of its address, so that its slots are the same ones under an edited
 * configuration and for two origins that name the same renderer.
 *
 * A slot is one 64-bit word, changed only by compare-and-swap:
 *
 *   63             25 24          3 2     0
 *   +----------------+-------------+-------+
 *   | since, in ms   | owner's pid | state |
 *   +----------------+-------------+-------+
 */
#pragma once

#include "base/clock.h"
#include "base/slice.h"
#include "edge/origin/renderer.h"

#include <sys/socket.h>

enum { SLOT_WORKERS_MAX = 256, SLOTS_PER_WORKER_MAX = 1024, SLOT_KEY_BYTES = 160 };

enum slot_state {
    SLOT_FREE,       /* since: when it became free */
    SLOT_BUSY,       /* since: when it was taken */
    SLOT_STUCK,      /* busy for longer than slot_max; the answer may still come */
    SLOT_OWNER_DEAD, /* the process that waited for the answer is gone */
    SLOT_PROBING,    /* was OWNER_DEAD; its owner asks the worker whether it lives */
};

struct slot_view {
    enum slot_state state;
    int owner; /* pid; 0: FREE */
    mono_time since;
};

struct slot_worker;

/*
 * The text by which the slots of an address are found. All loopback addresses count as one there: a
 * renderer listening on "localhost" is often reached by 127.0.0.1 and by ::1, and is still one
 * process.
 */
slice slot_key(const struct sockaddr_storage *address, char buffer[SLOT_KEY_BYTES]);

/*
 * The slots of the worker with this address, for process `pid`. NULL: the table is full. Attached
 * as often as it is detached; a worker that nobody is attached to, and whose slots are free, is
 * forgotten. Any thread.
 */
struct slot_worker *slots_attach(void *region, slice address, int pid);
void slots_detach(void *region, struct slot_worker *worker, int pid);

/* Takes the longest-idle free slot if fewer than `limit` are not free and the gate is open: its
 * index, or -1. */
int slot_take(struct slot_worker *worker, unsigned limit, int pid, mono_time now);
/* FREE, since now; nothing happens if the slot is not `pid`'s. Rings slots_freed(). */
void slot_release(void *region, struct slot_worker *worker, unsigned index, int pid, mono_time now);
/* Changes the state of a slot that `pid` owns; `since` stays. False: it is not `pid`'s. */
bool slot_mark(struct slot_worker *worker, unsigned index, int pid, enum slot_state state);
/* Takes an OWNER_DEAD slot that was taken before `before` for asking the worker: its index, or -1.
 */
int slot_take_dead(struct slot_worker *worker, int pid, mono_time before);
/* Sets every OWNER_DEAD slot taken before `before` free: the worker has answered. */
void slots_revive(void *region, struct slot_worker *worker, mono_time before, mono_time now);

/* When would slot_take() find its slot idle since, and how many are not free? False: none is free.
 */
bool slot_peek(const struct slot_worker *worker, unsigned limit, mono_time *idle_since,
               unsigned *busy);
struct slot_view slot_view(const struct slot_worker *worker, unsigned index);
/* Slots that were ever used: views from here on are FREE. */
unsigned slots_used(const struct slot_worker *worker);
/* Changes whenever any slot of any worker becomes free: other processes compare it. */
uint32_t slots_freed(const void *region);

/* What is known of the process there (`spawn`). Never NULL. Any thread. */
struct renderer *slots_renderer(struct slot_worker *worker);
/* As the master left it. */
enum gate slots_gate(const struct slot_worker *worker);
mono_time slots_gate_since(const struct slot_worker *worker); /* 0: it was never changed */
/* For whoever wants in: the gate, CLOSED while the operator has drained the worker. */
enum gate slots_entry(const struct slot_worker *worker);
mono_time slots_drained_since(const struct slot_worker *worker); /* 0: not drained */
static inline bool slots_is_drained(const struct slot_worker *worker)
{
    return slots_drained_since(worker).ms > 0;
}
/* Stays over reloads and respawns, until it is taken back: since `now`, or before if it was drained
 * already. Rings slots_freed(). */
void slots_drain(void *region, struct slot_worker *worker, bool is_drained, mono_time now);
/* Master. Once it returns, no slot is taken before it is opened again. Rings slots_freed(). */
void slots_set_gate(void *region, struct slot_worker *worker, enum gate gate, mono_time now);
/* Master, when the process is gone: OWNER_DEAD slots are free, for nothing runs there any more. */
void slots_bury_renders(void *region, struct slot_worker *worker, mono_time now);
/* `pid` has one request more, or less, under way there that needs no slot. */
void slots_count_connection(struct slot_worker *worker, int pid, int step);
/* Requests under way there that somebody still hopes for: with a slot that is neither stuck nor a
 * dead owner's, or without one. */
unsigned slots_awaited(const struct slot_worker *worker);
