/*
 * Is there another process at a worker's address than before? The last exit from quarantine
 * (semantics 7.5): a slot whose answer never comes is free when a connect is refused, for then
 * nobody listens there, and a later one succeeds. A connect that succeeds proves nothing by itself:
 * the kernel accepts them for a process that loops.
 *
 * While a slot is stuck nothing may be sent there, so somebody has to knock: a bare connect now and
 * then, closed at once. Atomics alone; any thread.
 */
#pragma once

#include "base/clock.h"

#include <stdatomic.h>

struct rebirth {
    _Atomic int64_t refused_ms;     /* the last refusal; 0: none */
    _Atomic int64_t gone_before_ms; /* what was there before this moment is gone */
    _Atomic int64_t next_knock_ms;
};

/* `problem`: errno of a connect that failed. False: it was no refusal, and says nothing. */
bool rebirth_note_failure(struct rebirth *rebirth, int problem, mono_time now);
/* A connect that was begun at `begun` has succeeded. */
void rebirth_note_success(struct rebirth *rebirth, mono_time begun);
/* Is what was sent there at `then` lost with its process? */
bool rebirth_is_gone(const struct rebirth *rebirth, mono_time then);
/* May the caller knock now? One in a second at first, later one in five. `then`: since when it
 * waits. */
bool rebirth_may_knock(struct rebirth *rebirth, mono_time then, mono_time now);
