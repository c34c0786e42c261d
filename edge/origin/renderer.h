/*
 * What master and workers tell each other about a renderer that varve runs itself (`spawn`). It
 * lies beside the renderer's slots (slots.h), in the shared memory: found by address, and there as
 * long as the master has the renderer. The master writes the gate and the process's figures; the
 * workers count what it answers, and ask for restarts.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Who may be sent to a worker. Of a worker that varve does not run it is always OPEN. */
enum gate {
    GATE_OPEN,
    GATE_HELD,   /* it drains or starts: nobody new, but it is worth waiting for */
    GATE_CLOSED, /* there is no process: as good as down */
};

/* Label `why` of varve_renderer_restarts_total. */
enum restart_why {
    RESTART_DIED,    /* by itself */
    RESTART_STARTUP, /* it was not ready in time */
    RESTART_ASKED,   /* varve restart */
    RESTART_CHANGED, /* its block of the policy changed */
    RESTART_STUCK,   /* a render took longer than slot_max */
    RESTART_RENDERS, /* spawn.recycle */
    RESTART_MEMORY,
    RESTART_ERRORS,
    RESTART_WHY_COUNT
};

static inline const char *restart_why_name(enum restart_why why)
{
    static const char *const NAMES[RESTART_WHY_COUNT] = {"died",  "startup", "asked",  "changed",
                                                         "stuck", "renders", "memory", "errors"};
    return NAMES[why];
}

/* What came of a restart that was asked for. */
enum restart_end {
    RESTART_CAME_BACK,
    RESTART_LOST,    /* it did not come up */
    RESTART_SKIPPED, /* another one was lost before it, or it is there no more */
};

struct renderer {
    /* master */
    atomic_int gate;          /* enum gate; slots_set_gate() alone changes it … */
    _Atomic int64_t gate_ms;  /* … and says when: monotonic; 0: it never did */
    atomic_int pid;           /* 0: no process */
    _Atomic uint32_t readied; /* how often it became ready: what was known of it before is old */
    _Atomic uint64_t memory_bytes, restarts[RESTART_WHY_COUNT];
    _Atomic uint64_t restart_done; /* answers all that were asked for up to here */
    atomic_int restart_end;        /* … and how that ended */
    /* workers */
    _Atomic uint64_t restart_asked;
    _Atomic int64_t drained_ms; /* monotonic; by the operator since then (`varve slots drain`):
                                   nobody new, as if down; 0: not */
    _Atomic uint32_t warmed;    /* `readied` + 1 when it was warmed up; 0: it is cold */
    _Atomic uint64_t renders, errors; /* answers; those of 5xx, and breaks in the middle */
};
