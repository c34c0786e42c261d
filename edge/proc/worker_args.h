/*
 * What the master tells a worker on its command line: the options from which it reads the policy
 * again, and the numbers of the descriptors that it inherits. A child of the same binary reads it,
 * in the next instant; it is no interface for people.
 *
 *   varve worker --config F --listen A --shell F --store P --origin U
 *                --shared 4 --ready 5 --ask 6 --admin 7 --lock 3 --place 0 --bytes 8589934592
 *                --fixed TEXT --on 8=:8080 --on 9=unix:/run/varve.sock
 */
#pragma once

#include "edge/proc/listeners.h"
#include "policy/load.h"

enum { WORKER_ARGV_MAX = 2 * LISTEN_MAX + 32 };

struct worker_args {
    struct policy_options options;
    struct listener_set listeners;
    int shared, ready, ask; /* memfd; write end of the ready pipe; eventfd that wakes the master */
    int admin;              /* -1: none */
    int lock;               /* of the store, held by being open; -1: no store */
    unsigned place;         /* in shared->places */
    slice fixed;            /* policy_fixed_text() of the policy in force */
    uint64_t store_bytes;   /* size of the store in force: it does not shrink under a reload */
};

/* argv for execv(), NULL at its end, in the arena. */
char **worker_args_format(const struct worker_args *args, const char *program, struct arena *arena);
/* The settings that no reload changes (semantics 9.2), as one text: equal texts, equal settings. */
slice policy_fixed_text(const struct policy *policy, struct arena *arena);
/* False: not what worker_args_format() wrote. Slices point into argv. */
bool worker_args_parse(int argc, char **argv, struct worker_args *args);
