/*
 * Inside the master (edge/proc/master*.c, child.c, reload.c), for nobody else.
 *
 * A child moves NONE → STARTING → SERVING → DRAINING → NONE; DYING (SIGKILL was sent) can follow
 * any of them. At most one is STARTING, one SERVING, and one DRAINING or DYING; never more than
 * WORKER_PLACES together. master_settle() looks at these states after each event and starts what is
 * missing, so no event handler needs to know what else is going on.
 */
#pragma once

#include "edge/proc/listeners.h"
#include "edge/proc/master.h"
#include "edge/proc/protocol.h"
#include "edge/proc/shared.h"
#include "edge/proc/spawn.h"
#include "edge/proc/state.h"

enum child_state { CHILD_NONE, CHILD_STARTING, CHILD_SERVING, CHILD_DRAINING, CHILD_DYING };

struct child {
    enum child_state state; /* child_move() alone changes it */
    mono_time since;        /* of the state */
    mono_time deadline;     /* STARTING, DRAINING: then SIGKILL. Else DURATION_MAX */
    pid_t pid;
    unsigned place;
    int ready;                      /* read end of its ready pipe; -1: closed */
    bool is_reload;                 /* STARTING: for a reload, with that reload's policy */
    bool has_served;                /* it was ready once */
    char report[RELOAD_TEXT_BYTES]; /* what it said on the ready pipe */
    size_t report_length;
};

struct reload {
    bool is_running; /* its worker is STARTING */
    uint64_t ticket; /* answers all that were asked up to here */
    struct policy *policy;
    struct listener_set listeners;
    uint64_t store_bytes; /* its worker's; the master's when that one is ready */
    bool was_synced;      /* the store, before */
};

struct master {
    const struct master_options *options;
    struct master_timing timing;
    struct arena arena;    /* as long as the master: texts that outlive a policy */
    struct policy *policy; /* in force */
    struct listener_set listeners;
    int admin, signals, ask, memory;
    struct shared *shared;
    struct store_state store;
    struct user_identity user;
    uint64_t store_bytes;
    slice admin_listen; /* in `arena` */
    struct child children[WORKER_PLACES];
    struct spawns *spawns;
    struct reload reload;
    /* respawn */
    bool is_respawn_due;
    mono_time respawn_at;
    duration backoff;
    /* A worker could not take the file on disk (EXIT_BAD_POLICY): it is bad, or another one by now,
     * or names what cannot be had: a certificate, the user, the access log, a token. The next one
     * takes the policy that is in force here. */
    bool from_memory;
    mono_time last_store_crash[2]; /* SIGBUS; SEGV or ABRT inside the store. 0: none */
    /* end */
    bool was_ready, is_stopping, is_last_exit_clean;
    unsigned failed_starts, interrupts;
    int status;
};

/* child.c */
void child_move(struct master *master, struct child *child, enum child_state state);
struct child *child_in(struct master *master, enum child_state state); /* or NULL */
/* Starts a worker with this policy and these sockets in a free place. False: logged. */
bool child_start(struct master *master, struct policy *policy, const struct listener_set *listeners,
                 bool is_reload);
/* Asks it to leave: it has `drain` to finish, and is killed some time after that. May be repeated:
 * the nearer deadline counts. */
void child_drain(struct master *master, struct child *child, duration drain);
void child_kill(struct master *master, struct child *child);
/* Reads the ready pipe as far as it goes. True: it has just become ready. */
bool child_listen(struct child *child);

/* reload.c */
/* Checks and starts; the answer comes with the worker's. */
void reload_begin(struct master *master);
/* The reload's worker accepts: it takes over. */
void reload_commit(struct master *master);
void reload_fail(struct master *master, enum reload_result why, slice text);
/* Logs what the policy says and hardly means, when it comes into force. */
void reload_warn(const struct policy *policy);

/* master_events.c */
void master_on_ready(struct master *master, struct child *child);
void master_on_exit(struct master *master, struct child *child, int wait_status);
void master_on_signal(struct master *master, int signal_number);
bool master_has_children(const struct master *master); /* worker processes */
/* Kills what is overdue, starts what is missing. */
void master_settle(struct master *master);
/* Milliseconds until something is due; -1: nothing is. */
int master_patience(const struct master *master);
