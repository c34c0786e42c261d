/* What the master does about what happens. */
#include "edge/proc/master_parts.h"

#include "base/log.h"
#include "edge/origin/origin.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_START_TRIES = 5 /* crashes before varve ever served: then it gives up */ };

/* --- the end --- */

static void kill_all(struct master *master)
{
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].state != CHILD_NONE)
            child_kill(master, &master->children[i]);
    spawns_kill(master->spawns);
}

bool master_has_children(const struct master *master)
{
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].state != CHILD_NONE)
            return true;
    return false;
}

static void stop(struct master *master, int status)
{
    if (master->is_stopping)
        return;
    master->is_stopping = true;
    master->status = status;
    atomic_store(&master->shared->is_stopping, true);
    if (master->reload.is_running)
        reload_fail(master, RELOAD_FAILED, SLICE("varve is stopping"));
    /* Else connections would wait in a backlog that nobody empties any more. */
    listeners_close(&master->listeners, NULL);
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].state != CHILD_NONE)
            child_drain(master, &master->children[i], master->policy->shutdown_drain);
}

static void interrupt(struct master *master)
{
    master->interrupts++;
    if (master->interrupts > 1)
        kill_all(master);
    else
        stop(master, EXIT_SUCCESS);
}

/* --- signals --- */

static void reopen_logs(struct master *master)
{
    log_file_prepare(master->policy->access_log_path, &master->user);
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].state != CHILD_NONE)
            kill(master->children[i].pid, SIGUSR1);
}

static void reap(struct master *master)
{
    int status;
    for (unsigned i = 0; i < WORKER_PLACES; i++) {
        struct child *child = &master->children[i];
        if (child->state != CHILD_NONE && waitpid(child->pid, &status, WNOHANG) == child->pid)
            master_on_exit(master, child, status);
    }
    spawns_reap(master->spawns, clock_now().mono);
}

void master_on_signal(struct master *master, int signal_number)
{
    switch (signal_number) {
    case SIGHUP:
        atomic_fetch_add(&master->shared->reloads_asked, 1);
        break;
    case SIGTERM:
        stop(master, EXIT_SUCCESS);
        break;
    case SIGINT:
        interrupt(master);
        break;
    case SIGUSR1:
        reopen_logs(master);
        break;
    case SIGCHLD:
        reap(master);
        break;
    }
}

/* --- a worker is ready --- */

void master_on_ready(struct master *master, struct child *child)
{
    if (child->state != CHILD_STARTING)
        return;
    log_info("worker ready", {"pid", LOG_NUMBER(child->pid)});
    if (child->is_reload)
        reload_commit(master); /* looks for the old one while this is still STARTING */
    child->is_reload = false;
    child->has_served = true;
    child_move(master, child, CHILD_SERVING);
    master->failed_starts = 0;
    if (!master->was_ready && master->options->on_ready)
        master->options->on_ready(master->options->arg, master->policy);
    master->was_ready = true;
}

/* --- a worker is gone --- */

static bool is_second(struct master *master, mono_time *last)
{
    mono_time now = clock_now().mono, before = *last;
    *last = now;
    return before.ms && mono_since(now, before).ms <= master->timing.crash_window.ms;
}

/* Twice is no accident: something in the store kills whoever reads it (semantics 9.3). */
static bool is_store_to_blame(struct master *master, const struct child *child, int wait_status)
{
    int number = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    bool was_inside = atomic_load(&master->shared->places[child->place].in_store) > 0;
    if (number == SIGBUS)
        return is_second(master, &master->last_store_crash[0]);
    if ((number == SIGSEGV || number == SIGABRT) && was_inside)
        return is_second(master, &master->last_store_crash[1]);
    return false;
}

/* It does, or will. */
static bool is_serving(struct master *master)
{
    return child_in(master, CHILD_SERVING) || child_in(master, CHILD_STARTING);
}

static void renew_store(struct master *master)
{
    char text[STATE_ERROR_BYTES];
    master->last_store_crash[0] = master->last_store_crash[1] = (mono_time){0};
    if (state_set_aside(&master->store, "workers crashed in it twice", clock_now().wall, text))
        log_error("store set aside", {"detail", slice_of_string(text)});
    else
        log_error("store cannot be set aside", {"detail", slice_of_string(text)});
    if (is_serving(master)) /* it still has the old files open */
        atomic_fetch_add(&master->shared->reloads_asked, 1);
}

static void log_exit(const struct child *child, int wait_status)
{
    bool is_signal = WIFSIGNALED(wait_status);
    int code = is_signal ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    bool is_expected = child->state == CHILD_DRAINING && !is_signal && code == 0;
    struct log_field fields[] = {
        {"pid", LOG_NUMBER(child->pid)}, {is_signal ? "signal" : "status", LOG_NUMBER(code)}, {0}};
    if (is_expected)
        log_line(LOG_LEVEL_INFO, "worker left", fields);
    else
        log_line(LOG_LEVEL_ERROR, "worker died", fields);
}

/* Before varve ever served: a worker that says no means it; one that crashes gets some tries. */
static void judge_first_start(struct master *master, int wait_status)
{
    if (WIFEXITED(wait_status)) {
        int status = WEXITSTATUS(wait_status);
        stop(master, status == EXIT_BAD_POLICY ? EXIT_BAD_POLICY : EXIT_FAILURE);
    } else if (++master->failed_starts >= FIRST_START_TRIES) {
        log_error("the worker does not start; giving up", {0});
        stop(master, EXIT_FAILURE);
    }
}

static void on_failed_start(struct master *master, struct child *child, int wait_status)
{
    bool is_refused = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_BAD_POLICY;
    if (child->is_reload && master->reload.is_running) {
        reload_fail(master, is_refused ? RELOAD_REFUSED : RELOAD_FAILED,
                    slice_of(child->report, child->report_length));
        return;
    }
    master->from_memory = is_refused;
    if (!master->was_ready && !master->is_stopping)
        judge_first_start(master, wait_status);
}

void master_on_exit(struct master *master, struct child *child, int wait_status)
{
    enum child_state was = child->state;
    child_listen(child); /* what it said last */
    if (child->ready >= 0)
        close(child->ready);
    child->ready = -1;
    log_exit(child, wait_status);
    slots_owner_died(shared_slots(master->shared), child->pid);
    bool is_bad_store = is_store_to_blame(master, child, wait_status);
    if (was == CHILD_SERVING &&
        mono_since(clock_now().mono, child->since).ms >= master->timing.backoff_reset.ms)
        master->backoff = master->timing.backoff_first;
    child_move(master, child, CHILD_NONE);
    master->is_last_exit_clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    if (is_bad_store)
        renew_store(master);
    if (was == CHILD_STARTING || (was == CHILD_DYING && !child->has_served))
        on_failed_start(master, child, wait_status);
}

/* --- what is missing --- */

static void kill_overdue(struct master *master)
{
    mono_time now = clock_now().mono;
    for (unsigned i = 0; i < WORKER_PLACES; i++) {
        struct child *child = &master->children[i];
        if (child->state == CHILD_NONE || child->deadline.ms > now.ms)
            continue;
        log_warn("worker killed: it did not leave, or start, in time",
                 {"pid", LOG_NUMBER(child->pid)});
        child_kill(master, child);
    }
}

static void respawn(struct master *master)
{
    mono_time now = clock_now().mono;
    if (!master->is_respawn_due) {
        master->is_respawn_due = true;
        master->respawn_at = mono_after(now, master->backoff);
        duration doubled = duration_add(master->backoff, master->backoff);
        master->backoff = duration_min(doubled, master->timing.backoff_max);
    }
    if (master->respawn_at.ms > now.ms || !child_in(master, CHILD_NONE))
        return;
    master->is_respawn_due = false;
    child_start(master, master->policy, &master->listeners, false);
}

static bool may_reload(struct master *master)
{
    const struct shared *shared = master->shared;
    return atomic_load(&shared->reloads_asked) > atomic_load(&shared->reloads_done) &&
           !child_in(master, CHILD_STARTING) && !child_in(master, CHILD_DRAINING) &&
           !child_in(master, CHILD_DYING);
}

/* Renderers serve until the last request is answered. */
static void settle_spawns(struct master *master)
{
    bool is_alone = !child_in(master, CHILD_DRAINING) && !child_in(master, CHILD_DYING);
    if (master->is_stopping && !master_has_children(master))
        spawns_stop(master->spawns);
    spawns_settle(master->spawns, is_alone && !master->reload.is_running, clock_now().mono);
}

void master_settle(struct master *master)
{
    kill_overdue(master);
    settle_spawns(master);
    if (master->is_stopping)
        return;
    if (may_reload(master))
        reload_begin(master);
    if (is_serving(master))
        master->is_respawn_due = false;
    else
        respawn(master);
}

int master_patience(const struct master *master)
{
    mono_time now = clock_now().mono, due = spawns_due(master->spawns, now);
    bool has_place = false;
    for (unsigned i = 0; i < WORKER_PLACES; i++) {
        const struct child *child = &master->children[i];
        has_place |= child->state == CHILD_NONE;
        if (child->state != CHILD_NONE && child->deadline.ms < due.ms)
            due = child->deadline;
    }
    if (master->is_respawn_due && has_place && master->respawn_at.ms < due.ms)
        due = master->respawn_at;
    if (due.ms == INT64_MAX)
        return -1;
    int64_t wait = mono_since(due, now).ms;
    return wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}
