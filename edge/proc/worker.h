/*
 * The worker process: what stands around the server itself. The master executes `varve worker …`
 * with the numbers of the descriptors that it hands over; worker_main() turns these into a `struct
 * worker_setup` and calls edge_serve(). Signals reach it as a callback.
 *
 * The order of a start, for edge_serve():
 *   1. what needs root: certificates and keys (front_new);
 *   2. worker_drop_privileges();
 *   3. purge_attach, cache_open, origins_new, loops;
 *   4. worker_on_drain(), then worker_ready(): from here on the old worker, if there is one,
 * leaves. What fails before 4 goes through worker_fail(), so that whoever asked for the reload is
 * told.
 */
#pragma once

#include "base/clock.h"
#include "edge/proc/shared.h"
#include "edge/proc/worker_args.h"
#include "policy/config.h"

/* Made by worker_main(); constant while edge_serve() runs. */
struct worker_setup {
    const struct policy *policy;
    struct shared *shared;
    struct worker_place *place; /* this worker's: `in_store` is for cache_config.in_store */
    const int *listeners;       /* listening sockets, in the order of policy->listen */
    size_t listener_count;
    int admin;                /* listening socket of the admin API; -1: none */
    slice data_path;          /* STORE, for cache_config.path; it exists. Empty: no store */
    slice purges_path;        /* the purge log; empty: memory only */
    struct worker_args *args; /* private to worker.c */
};

/*
 * Serves until worker_is_draining() and everything is answered, or worker_drain_deadline() has
 * come; then closes the store and returns the exit status: 0 only if all that was stored was
 * written and synced (semantics 9.3). Written in edge/serve.c.
 */
int edge_serve(const struct worker_setup *setup);

/* Becomes `user` of the policy, for all threads. Idempotent. 0, or the exit status to return:
 * worker_fail() was called. */
__attribute__((warn_unused_result)) int worker_drop_privileges(const struct worker_setup *setup);

/* The worker accepts connections. Once; gives up root if that was not done before. 0, or the exit
 * status to return. */
__attribute__((warn_unused_result)) int worker_ready(const struct worker_setup *setup);

/* The worker cannot start: `text` (one or more lines) goes to the log and to who asked for the
 * reload. Returns the exit status for edge_serve() to return. */
__attribute__((warn_unused_result)) int worker_fail(const struct worker_setup *setup, slice text);
/* The same where the policy is to blame, or a file that it names. */
__attribute__((warn_unused_result)) int worker_refuse(const struct worker_setup *setup, slice text);

/*
 * `drain` is called once, when the master asks this worker to leave: on the signal thread, or
 * inside this call if that was before. It must not block: post to the loops. Replaces an earlier
 * one; NULL removes it, and after that returns it is not running.
 */
void worker_on_drain(void (*drain)(void *arg), void *arg);
bool worker_is_draining(void); /* any thread */
/* When to break off what is still open; DURATION_MAX while not draining. It may come nearer while
 * draining (a stop during a reload). The master kills a worker that is still there 5 s later. */
mono_time worker_drain_deadline(const struct worker_setup *setup);

/* Has the master look at what was asked of it in the shared memory. Any thread. */
void worker_wake_master(const struct worker_setup *setup);
/* Asks the master to reload; the answer is there when worker_reload_done(ticket). Any thread. */
uint64_t worker_ask_reload(const struct worker_setup *setup);
/* Has the reload of that ticket been decided? Then: did it work, and if not, why (a line or more).
 * To be polled, some ten times a second; it may take as long as reload.drain. */
bool worker_reload_done(const struct worker_setup *setup, uint64_t ticket,
                        enum reload_result *result, char text[RELOAD_TEXT_BYTES]);

/* `varve worker …`: the exit status. 2: the policy is bad, or not the one the master has. */
int worker_main(int argc, char **argv);
/* The same without exec, with the policy that the master holds (see child.c). */
int worker_enter(struct worker_args *args, struct policy *policy);
