/* The life of one renderer: what is done in each state, and what its end means. */
#include "edge/proc/spawn_parts.h"

#include "base/log.h"
#include "edge/proc/spawn_rules.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READY_EVERY_MS = 50, /* a process that starts is asked so often whether it listens */
    LOOK_EVERY_MS = 500, /* one that serves is looked at so often */
    SETTLE_MS = 50,      /* a worker process that saw the gate open has taken its slot by then */
    LEAVE_MS = 1000,     /* what was killed has left by then */
    RUN_PATH_BYTES = 128
};

void spawned_move(struct spawned *spawned, enum spawned_state state, duration limit, mono_time now)
{
    spawned->state = state;
    spawned->since = spawned->looked = now;
    spawned->deadline = mono_after(now, limit);
}

static void set_gate(struct spawned *spawned, enum gate gate, mono_time now)
{
    if (slots_gate(spawned->slots) != gate)
        slots_set_gate(spawned->spawns->slots, spawned->slots, gate, now);
}

bool spawned_owes_answer(const struct spawned *spawned)
{
    return atomic_load(&spawned->shared->restart_done) < spawned->restart_ticket;
}

void spawned_answer(struct spawned *spawned, enum restart_end end)
{
    if (!spawned_owes_answer(spawned))
        return;
    atomic_store(&spawned->shared->restart_end, (int)end);
    atomic_store(&spawned->shared->restart_done, spawned->restart_ticket);
}

bool spawned_is_between(const struct spawned *spawned)
{
    switch (spawned->state) {
    case SPAWNED_READY:
        return false;
    case SPAWNED_OFF:
    case SPAWNED_STARTING:
        return spawned->failures == 0;
    default:
        return true;
    }
}

/* --- starting --- */

void spawned_take_plan(struct spawned *spawned, struct spawn_plan *plan)
{
    plan_free(spawned->plan);
    spawned->plan = plan;
    spawned->output.name = plan->name;
}

/* While it is away. Who waits for one that fails again and again is told: it may take long. */
static enum gate gate_while_away(const struct spawned *spawned)
{
    return spawned->failures <= 1 ? GATE_HELD : GATE_CLOSED;
}

static void fail_start(struct spawned *spawned, mono_time now)
{
    spawned->failures = spawn_failures(spawned->failures, false, (duration){0});
    spawned->start_at = spawn_next_start(spawned->failures, spawned->started, now);
    spawned_move(spawned, SPAWNED_OFF, DURATION_MAX, now);
    set_gate(spawned, gate_while_away(spawned), now);
}

/* The directory of the sockets, of which the renderer's user may make some; and no old one. */
static void prepare_socket(const struct spawn_plan *plan)
{
    char path[RUN_PATH_BYTES], error[256];
    struct user_identity user;
    const char *name = strrchr(plan->unix_path.ptr, '/');
    int length = snprintf(path, sizeof(path), "%.*s", (int)(name - plan->unix_path.ptr),
                          plan->unix_path.ptr);
    if (length < (int)sizeof(path) && mkdir(path, 0700) == 0 &&
        user_find(plan->user, &user, error) && user.name[0] != '\0' &&
        lchown(path, user.uid, user.gid) != 0)
        log_warn("cannot give a directory to the renderers' user", {"path", slice_of_string(path)},
                 {"error", slice_of_string(strerror(errno))});
    unlink(plan->unix_path.ptr);
}

static bool make_process(struct spawned *spawned, mono_time now)
{
    int out, err;
    const struct spawn_plan *plan = spawned->plan;
    if (process_is_listening(spawned)) {
        log_error("renderer not started: another process listens at its address",
                  {"worker", plan->name}, {"address", plan->url});
        return false;
    }
    if (plan->unix_path.len)
        prepare_socket(plan);
    spawned->pid = process_start(spawned, &out, &err);
    spawned->started = clock_now().mono;
    if (spawned->pid < 0) {
        spawned->pid = 0;
        log_error("renderer not started", {"worker", plan->name},
                  {"error", slice_of_string(strerror(errno))});
        return false;
    }
    output_open(&spawned->output, plan->name, out, err, now);
    guard_watch(&spawned->spawns->guard, spawned->pid);
    return true;
}

/* What the last process had started was killed with it, but holds the address until it is gone.
 * Without this it would be taken for another's. */
static bool is_predecessor_there(const struct spawned *spawned, mono_time now)
{
    return spawned->last_group && mono_since(now, spawned->ended).ms < LEAVE_MS &&
           kill(-spawned->last_group, 0) == 0 && process_is_listening(spawned);
}

void spawned_start(struct spawned *spawned, mono_time now)
{
    if (spawned->next) {
        spawned_take_plan(spawned, spawned->next);
        spawned->next = NULL;
    }
    spawned->is_rolled |= spawned->wants_restart;
    spawned->wants_restart = false; /* a new process is what it wanted */
    bool is_first = spawned->started.ms == 0;
    spawned->started = now;
    spawned->is_restarting = false;
    if (!make_process(spawned, now)) {
        spawned_failed(spawned);
        fail_start(spawned, now);
        return;
    }
    if (!is_first)
        atomic_fetch_add(&spawned->shared->restarts[spawned->why], 1);
    atomic_store(&spawned->shared->pid, spawned->pid);
    set_gate(spawned, gate_while_away(spawned), now);
    spawned_move(spawned, SPAWNED_STARTING, spawned->plan->ready_timeout, now);
    log_info("renderer started", {"worker", spawned->plan->name},
             {"pid", LOG_NUMBER(spawned->pid)});
}

static void become_ready(struct spawned *spawned, mono_time now)
{
    struct renderer *shared = spawned->shared;
    duration start = mono_since(now, spawned->since);
    spawned_move(spawned, SPAWNED_READY, DURATION_MAX, now);
    spawned->renders_before = atomic_load(&shared->renders);
    atomic_store(&shared->memory_bytes, process_memory_bytes(spawned->pid));
    error_window_start(&spawned->errors, atomic_load(&shared->errors));
    spawned->is_rolled = false;
    atomic_fetch_add(&shared->readied, 1);
    set_gate(spawned, GATE_OPEN, now);
    log_info("renderer ready", {"worker", spawned->plan->name}, {"pid", LOG_NUMBER(spawned->pid)},
             {"ms", LOG_NUMBER(start.ms)});
    if (!spawned->wants_restart)
        spawned_answer(spawned, RESTART_CAME_BACK);
}

/* --- ending --- */

static void signal_group(const struct spawned *spawned, int number)
{
    kill(-spawned->pid, number);
}

void spawned_kill(struct spawned *spawned, mono_time now)
{
    signal_group(spawned, SIGKILL);
    spawned_move(spawned, SPAWNED_DYING, DURATION_MAX, now);
}

void spawned_stop(struct spawned *spawned, mono_time now)
{
    set_gate(spawned, spawned->is_restarting ? GATE_HELD : GATE_CLOSED, now);
    signal_group(spawned, SIGTERM);
    spawned_move(spawned, SPAWNED_STOPPING, spawned->plan->grace, now);
}

static void drain(struct spawned *spawned, duration limit, mono_time now)
{
    set_gate(spawned, GATE_HELD, now);
    spawned_move(spawned, SPAWNED_DRAINING, limit, now);
}

void spawned_restart(struct spawned *spawned, mono_time now)
{
    duration limit = spawned->why == RESTART_STUCK
                         ? spawned->plan->grace
                         : duration_add(spawned->plan->slot_max, (duration){SPAWN_LATE_MS});
    log_info("renderer restarts", {"worker", spawned->plan->name},
             {"why", slice_of_string(restart_why_name(spawned->why))});
    spawned->wants_restart = false;
    spawned->is_rolled = spawned->why == RESTART_ASKED || spawned->why == RESTART_CHANGED;
    spawned->failures = 0;
    spawned->start_at = now;
    if (spawned->state == SPAWNED_OFF)
        return;
    spawned->is_restarting = true;
    if (spawned->state == SPAWNED_READY)
        drain(spawned, limit, now);
    else
        spawned_stop(spawned, now);
}

void spawned_leave(struct spawned *spawned, mono_time now)
{
    if (spawned->state != SPAWNED_READY && spawned->state != SPAWNED_STARTING)
        return;
    spawned->is_leaving = true;
    if (spawned->state == SPAWNED_READY)
        drain(spawned, duration_add(spawned->plan->slot_max, (duration){SPAWN_LATE_MS}), now);
    else
        spawned_stop(spawned, now);
}

void spawned_return(struct spawned *spawned, mono_time now)
{
    if (!spawned->is_leaving)
        return;
    spawned->is_leaving = false;
    spawned->is_restarting = true;
    spawned->why = RESTART_CHANGED;
    set_gate(spawned, GATE_HELD, now);
}

/* --- its end --- */

static void log_death(const struct spawned *spawned, int wait_status)
{
    bool is_signal = WIFSIGNALED(wait_status);
    int code = is_signal ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    int64_t wait = mono_since(spawned->start_at, clock_now().mono).ms;
    const char *phrase = spawned->failures >= SPAWN_LOOP
                             ? "renderer is in a crash loop: it dies before it has served anything"
                             : "renderer died";
    log_error(phrase, {"worker", spawned->plan->name}, {"pid", LOG_NUMBER(spawned->pid)},
              {is_signal ? "signal" : "status", LOG_NUMBER(code)},
              {"deaths", LOG_NUMBER(spawned->failures)},
              {"next_try_ms", LOG_NUMBER(wait > 0 ? wait : 0)},
              {"stderr", output_recent(&spawned->output)});
}

static void on_death(struct spawned *spawned, bool was_ready, int wait_status, mono_time now)
{
    bool has_answered =
        was_ready && atomic_load(&spawned->shared->renders) != spawned->renders_before;
    duration lived = was_ready ? mono_since(now, spawned->since) : (duration){0};
    if (spawned->state != SPAWNED_STOPPING && spawned->state != SPAWNED_DYING)
        spawned->why = RESTART_DIED; /* else it was not ready in time */
    spawned->failures = spawn_failures(spawned->failures, has_answered, lived);
    spawned->start_at = spawn_next_start(spawned->failures, spawned->started, now);
    log_death(spawned, wait_status);
    set_gate(spawned, gate_while_away(spawned), now);
    if (spawned->failures > 0)
        spawned_failed(spawned);
}

void spawned_on_exit(struct spawned *spawned, int wait_status, mono_time now)
{
    struct spawns *spawns = spawned->spawns;
    bool was_ready = spawned->state == SPAWNED_READY || spawned->state == SPAWNED_DRAINING;
    output_close(&spawned->output, now);
    guard_forget(&spawns->guard, spawned->pid);
    slots_bury_renders(spawns->slots, spawned->slots, now);
    atomic_store(&spawned->shared->pid, 0);
    atomic_store(&spawned->shared->memory_bytes, 0);
    if (!spawned->is_wanted || spawns->is_stopping || spawned->is_restarting)
        log_info("renderer ended", {"worker", spawned->plan->name},
                 {"pid", LOG_NUMBER(spawned->pid)});
    if (!spawned->is_wanted || spawns->is_stopping)
        set_gate(spawned, GATE_CLOSED, now);
    else if (spawned->is_restarting)
        spawned->start_at = now;
    else
        on_death(spawned, was_ready, wait_status, now);
    spawned->is_leaving = false;
    spawned->last_group = spawned->pid;
    spawned->ended = now;
    spawned->pid = 0;
    spawned_move(spawned, SPAWNED_OFF, DURATION_MAX, now);
}

/* --- what is due --- */

static void tick_starting(struct spawned *spawned, mono_time now)
{
    if (process_is_listening(spawned)) {
        become_ready(spawned, now);
    } else if (spawned->deadline.ms <= now.ms) {
        log_error("renderer is not ready in time: it does not listen at its PORT",
                  {"worker", spawned->plan->name}, {"address", spawned->plan->url});
        spawned->why = RESTART_STARTUP;
        spawned_stop(spawned, now);
    }
}

static void tick_draining(struct spawned *spawned, mono_time now)
{
    bool is_over = slots_awaited(spawned->slots) == 0 || spawned->deadline.ms <= now.ms;
    if (!is_over || mono_since(now, spawned->since).ms < SETTLE_MS)
        return;
    if (spawned->is_restarting && spawned->why == RESTART_STUCK)
        spawned_kill(spawned, now); /* a loop takes no SIGTERM */
    else
        spawned_stop(spawned, now);
}

static bool is_time_to_look(struct spawned *spawned, int64_t every_ms, mono_time now)
{
    if (mono_since(now, spawned->looked).ms < every_ms)
        return false;
    spawned->looked = now;
    return true;
}

void spawned_tick(struct spawned *spawned, mono_time now)
{
    switch (spawned->state) {
    case SPAWNED_OFF:
        if (!spawned->is_wanted || spawned->start_at.ms > now.ms)
            break;
        if (is_predecessor_there(spawned, now))
            spawned->start_at = mono_after(now, (duration){READY_EVERY_MS});
        else
            spawned_start(spawned, now);
        break;
    case SPAWNED_STARTING:
        if (is_time_to_look(spawned, READY_EVERY_MS, now))
            tick_starting(spawned, now);
        break;
    case SPAWNED_READY:
        if (is_time_to_look(spawned, LOOK_EVERY_MS, now))
            spawned_look(spawned, now);
        break;
    case SPAWNED_DRAINING:
        tick_draining(spawned, now);
        break;
    case SPAWNED_STOPPING:
        if (spawned->deadline.ms <= now.ms)
            spawned_kill(spawned, now);
        break;
    case SPAWNED_DYING:
        break;
    }
}

mono_time spawned_due(const struct spawned *spawned, mono_time now)
{
    switch (spawned->state) {
    case SPAWNED_OFF:
        return spawned->is_wanted ? spawned->start_at : (mono_time){INT64_MAX};
    case SPAWNED_STARTING:
        return mono_after(spawned->looked, (duration){READY_EVERY_MS});
    case SPAWNED_READY:
        return mono_after(spawned->looked, (duration){LOOK_EVERY_MS});
    case SPAWNED_DRAINING:
        return mono_after(now, (duration){SETTLE_MS / 2});
    default:
        return spawned->deadline;
    }
}
