/* Is an origin without a worker? Part of its pool, under the pool's lock. */
#pragma once

#include "edge/origin/origin.h"

struct pool;

struct outage {
    bool is_down;    /* since nobody was to be had, nobody has been ready */
    bool is_muted;   /* this process ends, and the next one tells */
    mono_time since; /* of the last change; 0: none yet */
    duration lasted; /* the state before that */
    mono_time told;  /* when the log last told of it */
    unsigned untold; /* changes since then */
    outage_visitor changed;
    void *arg;
};

/* Is nobody to be had now, so that nobody waits? */
bool outage_is_hopeless(const struct pool *pool);
/* Something may have changed. */
void outage_look(struct pool *pool, mono_time now);
/* The same, and tells the log what came too fast for it. Once a second. */
void outage_tell(struct pool *pool, mono_time now);
/* Takes the lock itself. */
void outage_mute(struct pool *pool);
