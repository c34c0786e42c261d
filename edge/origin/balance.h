/*
 * Which of the workers that could take a request now takes it: a pure function of what they look
 * like. The pool asks it, and whoever wants to compare the ways of choosing can ask it too.
 */
#pragma once

#include "base/clock.h"
#include "policy/config.h"

struct balance_worker {
    bool is_free;         /* it may be asked now, and has room */
    bool is_try;          /* it was down: this request would be its try */
    mono_time idle_since; /* of its longest-idle free slot */
    unsigned busy;        /* requests that it has now */
};

/* What a way of choosing remembers. Zeroed memory is a beginning; `random` may be seeded. */
struct balance_state {
    size_t next; /* round-robin: where to look first */
    uint64_t random;
};

/*
 * Index of the worker, or -1 if none is free. A try goes first whatever the way: else a worker
 * would stay down for as long as others can take the load.
 */
int balance_choose(enum balance balance, const struct balance_worker *workers, size_t count,
                   struct balance_state *state);
