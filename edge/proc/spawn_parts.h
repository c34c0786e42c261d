/*
 * Inside the supervision of renderers (edge/proc/spawn*.c), for nobody else.
 *
 * A place has one address, and at most one process:
 *
 *   OFF → STARTING → READY → DRAINING → STOPPING → DYING → OFF
 *
 * STARTING ends when the process takes a connection, or when ready_timeout has passed (STOPPING).
 * DRAINING waits for the requests under way, STOPPING for SIGTERM to do its work, DYING for
 * SIGKILL. A process can die in each of them. spawned_move() alone changes the state.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "edge/origin/slots.h"
#include "edge/proc/guard.h"
#include "edge/proc/privileges.h"
#include "edge/proc/renderer_output.h"
#include "edge/proc/spawn.h"
#include "edge/proc/spawn_rules.h"

enum { SPAWN_LATE_MS = 1000 /* what slot_max ends is over by then */ };

enum spawned_state {
    SPAWNED_OFF,
    SPAWNED_STARTING,
    SPAWNED_READY,
    SPAWNED_DRAINING,
    SPAWNED_STOPPING,
    SPAWNED_DYING
};

/* What of a policy a process is made from: a copy, with an arena of its own. */
struct spawn_plan {
    struct arena arena;
    slice origin, name;   /* "renderer", "renderer/0" */
    slice url, unix_path; /* of the worker; the path is empty: a port of 127.0.0.1 */
    uint16_t port;
    slice program, directory, user;
    char **argv;
    struct spawn_variable *env;
    size_t env_count;
    duration ready_timeout, grace, slot_max;
    struct recycle_limits recycle;
};

struct spawned {
    struct spawns *spawns;
    struct list node;
    struct spawn_plan *plan, *next; /* NULL, or what the next process is made from */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct slot_worker *slots;
    struct renderer *shared;
    struct renderer_output output;
    enum spawned_state state;
    mono_time since, deadline; /* of the state */
    mono_time looked;          /* last look at a process that starts or serves */
    pid_t pid;
    mono_time started, start_at; /* last start; next one (OFF) */
    pid_t last_group;            /* of the process before it, which ended then; 0: none */
    mono_time ended;
    uint64_t renders_before;    /* when it became ready */
    struct error_window errors; /* since then */
    unsigned failures;          /* fruitless starts in a row */
    bool is_wanted;
    bool is_leaving;         /* as it was not wanted: until its end, or until it is wanted again */
    bool wants_restart;      /* not yet begun */
    enum restart_why why;    /* of that, or of the restart under way */
    bool is_restarting;      /* its end is wanted, and a new process after it */
    bool is_rolled;          /* by a rolling restart, until it is ready or has failed */
    uint64_t restart_ticket; /* of `varve restart`: taken up to here */
};

struct spawns {
    void *slots;
    pid_t master;
    struct guard guard;
    struct list all; /* in the order of the policy */
    size_t count;
    bool is_stopping;
};

/* --- spawn_plan.c --- */

struct spawn_plan *plan_new(const struct origin_config *origin, size_t index);
void plan_free(struct spawn_plan *plan);
/* Would a process made from one be like a process made from the other? */
bool plan_is_like(const struct spawn_plan *a, const struct spawn_plan *b);

/* --- spawn_process.c --- */

/* A process in a group of its own, its output in two pipes. -1 with errno. */
pid_t process_start(const struct spawned *spawned, int *out, int *err);
/* Does somebody listen at its address? */
bool process_is_listening(const struct spawned *spawned);
uint64_t process_memory_bytes(pid_t pid);

/* --- spawn_life.c --- */

void spawned_move(struct spawned *spawned, enum spawned_state state, duration limit, mono_time now);
/* In place of the one that it has; its output is logged under the plan's name. */
void spawned_take_plan(struct spawned *spawned, struct spawn_plan *plan);
void spawned_start(struct spawned *spawned, mono_time now);
/* Takes it out of service for a restart: from now on nobody new, then SIGTERM. */
void spawned_restart(struct spawned *spawned, mono_time now);
void spawned_stop(struct spawned *spawned, mono_time now);
void spawned_kill(struct spawned *spawned, mono_time now);
void spawned_on_exit(struct spawned *spawned, int wait_status, mono_time now);
/* Drains and ends it: it is not wanted any more. */
void spawned_leave(struct spawned *spawned, mono_time now);
/* It is wanted again: a new process follows the one that leaves. */
void spawned_return(struct spawned *spawned, mono_time now);
/* What is due in its state; and when to look again. */
void spawned_tick(struct spawned *spawned, mono_time now);
mono_time spawned_due(const struct spawned *spawned, mono_time now);
/* Is it out of service, and will be back in a moment? */
bool spawned_is_between(const struct spawned *spawned);
/* Was `varve restart` asked for, and is not answered yet? */
bool spawned_owes_answer(const struct spawned *spawned);
void spawned_answer(struct spawned *spawned, enum restart_end end);

/* --- spawn_look.c --- */

/* Restarts it if it is stuck; wants that if it is worn out. */
void spawned_look(struct spawned *spawned, mono_time now);

/* --- spawn.c --- */

/* It did not come up: ends the rolling restart that it was part of. */
void spawned_failed(struct spawned *spawned);
