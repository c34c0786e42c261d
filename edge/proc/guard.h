/*
 * Who outlives the master, for one moment: a small process that waits until the master is gone and
 * then kills the process groups of all renderers. PR_SET_PDEATHSIG reaches a renderer itself, but
 * not what it started (`npm start` is a shell that starts node). Master only.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct guard {
    pid_t pid; /* 0: none */
    int pipe;  /* write end; when it closes, the master is gone */
};

/* False with errno. */
bool guard_start(struct guard *guard);
void guard_watch(const struct guard *guard, pid_t group);
void guard_forget(const struct guard *guard, pid_t group);
/* True: it has died by itself, and is none any more. */
bool guard_reap(struct guard *guard);
/* Ends it; what it still watches is killed. */
void guard_stop(struct guard *guard);
