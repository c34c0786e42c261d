/*
 * The world of the whole-steps fuzzer: a real server (edge/request, cache, policy) whose loop,
 * clock, clients and origin are made of plain data. One thread runs it all; only the cache's own
 * threads, with a store, are beside it, and they are waited for. Time moves when the script says
 * so.
 *
 * The functions listed in `wrapped` are varve's; here are those that take their place.
 */
#pragma once

#include "base/list.h"
#include "edge/server.h"
#include "tests/fuzz/edge/steps/visit.h"

enum { VISITS_MAX = 24 };

struct render;

/* A purge, as the model knows it. */
struct purge {
    enum purge_kind kind;
    bool is_soft;
    const struct target *target; /* URL, PREFIX (its path), HOST */
    unsigned tag;                /* TAG: 1 or 2 */
    const struct render *by;     /* an unsafe request whose success it is; else NULL */
    int64_t at_ms;               /* of that */
    uint64_t event;
};

struct world {
    struct rules rules;
    struct policy *policy;
    struct server server;
    struct loop loop;
    h2o_evloop_t evloop; /* only its time is read */
    struct instant now;
    struct visit visits[VISITS_MAX];
    unsigned visit_count;
    bool is_busy, is_down; /* the origin */
    void *purge_region;
    char store[64]; /* directory; empty: RAM only */
};

extern struct world world;

/* Begins with empty everything. */
void world_begin(const struct rules *rules);
/* A new worker process under other rules: what is in RAM goes, purges and store stay. All visits
 * must be over. */
void world_reload(const struct rules *rules);
void world_end(void);
/* A request comes in. */
void world_visit(struct visit *visit);
/* Until nothing moves any more without time, origin or clients doing something. */
void world_run(void);
/* Time passes; timers fire on the way. */
void world_wait(int64_t ms);
/* Until all is answered: nothing is held back, time passes. */
void world_settle(void);
void world_purge(const struct purge *purge);

/* loop.c */
bool loop_step(void);
void loop_advance(int64_t ms);
bool loop_next_due(int64_t *ms);
void loop_check_empty(void);
/* calls.c */
bool calls_step(void);
/* Lets call number `which` of those that are held back go on; false: there is none. */
bool calls_release(unsigned which);
size_t calls_count(void);
/* sink.c */
bool sinks_step(void);
/* The client leaves, in its way. */
void sink_leave(struct visit *visit);
