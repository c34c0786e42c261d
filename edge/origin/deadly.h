/*
 * Renders that kill (semantics 7.7): a key during whose render a worker died twice within 60 s is
 * deadly. It is not rendered for 30 s, then tried once; each further death doubles the time, up to
 * 10 min, and a render that survives ends it. What counts as a death is the caller's to say. Of a
 * worker that closes on everybody the key is innocent: twice the same worker, and a render that
 * ended well in between, count once. So do renders of it on connections to a worker that were there
 * when that died: a process dies with all of them.
 *
 * A bounded table: when a set is full, the key that has been quiet for the longest time gives way,
 * which costs a worker, never a page. Any thread; `now` is the caller's clock. As long as nothing
 * has died lately, asking costs one load.
 */
#pragma once

#include "base/clock.h"
#include "cache/key.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    DEADLY_WITHIN_MS = 60000,   /* so close together are two deaths of the same key */
    DEADLY_FIRST_MS = 30000,    /* so long it is not rendered then */
    DEADLY_LONGEST_MS = 600000, /* doubling up to this */
    DEADLY_MEMORY_MS = 600000,  /* so long after that a death doubles the time */
    DEADLY_TRIAL_MS = 60000,    /* a try that has not ended by then is no reason to wait on */
    DEADLY_SETS = 256,
    DEADLY_WAYS = 4,
};

struct deadly_key {
    struct key key;
    mono_time last_death;  /* 0: the place is free */
    mono_time until;       /* deadly until then */
    mono_time trial_until; /* somebody tries it, after `until` */
    duration length;       /* of the last time; 0: not deadly so far */
    const void *worker;    /* that died last; compared only */
    uint64_t connections;  /* that it had seen by then */
    bool has_survived;     /* since then */
};

struct deadly {
    _Atomic int64_t quiet_after_ms; /* nothing in the table matters after this */
    pthread_mutex_t lock;
    struct deadly_key sets[DEADLY_SETS][DEADLY_WAYS]; /* hold lock */
};

enum deadly_answer {
    DEADLY_NOT,   /* render it */
    DEADLY_TRIAL, /* its time is over: render it, alone; others are told DEADLY_NOW meanwhile */
    DEADLY_NOW,   /* do not */
};

void deadly_init(struct deadly *deadly);
void deadly_fini(struct deadly *deadly);
/* Is it worth waiting for a slot with this? Changes nothing. */
bool deadly_is(struct deadly *deadly, const struct key *key, mono_time now);
/* Right before it is sent. */
enum deadly_answer deadly_admit(struct deadly *deadly, const struct key *key, mono_time now);
struct death {
    const void *worker;
    uint64_t connection;  /* its number among those to this worker */
    uint64_t connections; /* how many there have been so far */
};
/* A worker died of it, or at least during it. True: with this the key has become deadly, and
 * *length says for how long; false too if it is already. */
bool deadly_note_death(struct deadly *deadly, const struct key *key, struct death death,
                       mono_time now, duration *length);
/* It was rendered, and the worker lives: after a trial all is forgotten. */
void deadly_note_survival(struct deadly *deadly, const struct key *key, mono_time now);
