/*
 * Who of those that wait for a slot is next, and who may wait at all (semantics 7.3, 7.4). Pure: no
 * clock, no lock, no worker; the owner guards it.
 *
 * Order: rank (0 is the best), within a rank arrival. Of every four turns one is the oldest's,
 * whatever its rank, so that a flood of the best does not starve the others. Behind those who have
 * a place of their own come those who have one on loan (fair.h), in order of arrival; behind all
 * people come renders in the background.
 */
#pragma once

#include "base/clock.h"
#include "base/list.h"

/* As many ranks as classes are allowed; one more is for those without a class. */
enum { QUEUE_RANKS = 65, QUEUE_BACKGROUND = QUEUE_RANKS, QUEUE_OLDEST_EVERY = 4 };

struct queue_entry {
    struct list by_rank, by_age; /* linked while waiting; by_age: people, unless lent */
    unsigned rank;               /* below QUEUE_RANKS, or QUEUE_BACKGROUND */
    bool is_lent;                /* its place: by_rank is in queue->loans */
};

struct queue {
    struct list ranks[QUEUE_RANKS + 1];
    struct list ages, loans;
    unsigned waiting; /* people */
    unsigned lent;    /* of these */
    unsigned background;
    unsigned turn;
};

void queue_init(struct queue *queue);
/* `at_front` of its rank, and as the oldest: it has waited before. */
void queue_add(struct queue *queue, struct queue_entry *entry, unsigned rank, bool at_front);
/* With a place on loan: behind all who have one of their own. */
void queue_lend(struct queue *queue, struct queue_entry *entry, unsigned rank);
/* Its place is its own from now on: behind those of its rank. */
void queue_keep(struct queue *queue, struct queue_entry *entry);
void queue_remove(struct queue *queue, struct queue_entry *entry);
/* Its best waiter is of another class now; it keeps its place by age, and goes behind those of its
 * new rank. */
void queue_move(struct queue *queue, struct queue_entry *entry, unsigned rank);

/*
 * The next in turn, behind `after` (NULL: the first). An entry that cannot use what is free is
 * passed over by asking on. NULL: no more. Nothing may be added or removed between two calls.
 */
struct queue_entry *queue_next(const struct queue *queue, const struct queue_entry *after);
/* Somebody was served. */
void queue_served(struct queue *queue);

/*
 * Are the slots that are free kept for better classes (semantics 7.4)? `reserved`: the last so
 * many, but never all.
 */
bool queue_is_reserved(unsigned reserved, unsigned free_slots, unsigned live_slots);
/*
 * How long a slot is busy with one render: the mean of all so far, then one that has forgotten half
 * of the past after some twenty. In microseconds: renders may take few milliseconds, and what is
 * rounded off adds up with every one that waits.
 */
struct render_mean {
    int64_t us;
    unsigned count;
};
void render_mean_note(struct render_mean *mean, duration render);

/* --- who may wait --- */

struct queue_load {
    unsigned waiting;    /* people, before this one */
    unsigned live_slots; /* 0: nobody waits, whatever the limits */
    int64_t render_us;   /* a slot is busy so long with one, on average; 0: not known yet */
    duration first_byte; /* nobody waits longer than this */
};

struct queue_limits {
    unsigned shell_at, shed_at; /* waiting renders */
    bool per_slot;              /* times live slots */
};

enum queue_verdict { QUEUE_WAIT, QUEUE_SHELL, QUEUE_SHED };

/* How many may wait, by that limit; nobody where no slot lives. */
uint64_t queue_places(const struct queue_limits *limits, unsigned live_slots, bool has_shell);
/* `has_shell`: this request may be given the shell instead. */
enum queue_verdict queue_admit(const struct queue_limits *limits, const struct queue_load *load,
                               bool has_shell);
