/*
 * The master process: owns the listening sockets, the shared memory, the lock of the store and the
 * worker process; it reads the policy but serves nothing. No thread, no LMDB, no TLS in it, so that
 * it has next to nothing to die of (semantics 9).
 */
#pragma once

#include "base/clock.h"
#include "edge/proc/worker_args.h"
#include "policy/load.h"

/* Zero members mean the default. */
struct master_timing {
    duration backoff_first; /* 100 ms, doubled with every death … */
    duration backoff_max;   /* … up to 5 s … */
    duration backoff_reset; /* … and forgotten after 10 s of life */
    duration start_limit;   /* 120 s: a worker that is not ready by then is killed */
    duration kill_grace;    /* KILL_GRACE_MS */
    duration crash_window;  /* 60 s: two crashes inside the store within it set it aside */
};

struct master_options {
    struct policy_options policy;
    const char *program; /* run as `PROGRAM worker …`; NULL: this binary */
    /* Runs a worker in a forked child without exec, with the master's policy: for a respawn while
     * the file on disk is bad (worker_enter()). NULL: never. */
    int (*enter)(struct worker_args *args, struct policy *policy);
    /* The first worker accepts connections. Optional. */
    void (*on_ready)(void *arg, const struct policy *policy);
    void *arg;
    struct master_timing timing;
};

/*
 * Runs until SIGTERM or SIGINT (drain), a second SIGINT (now), or a start that fails. SIGHUP
 * reloads, SIGUSR1 reopens logs. Returns the exit status: 0 stopped, 1 failed, 2 bad configuration
 * or a second instance of the same store. Errors go to stderr.
 */
int master_run(const struct master_options *options);
