/*
 * See spawn.h. All renderers together: which are wanted, whose turn it is to be restarted, and the
 * traffic with the rest of the master.
 */
#include "edge/proc/spawn.h"

#include "base/log.h"
#include "edge/proc/spawn_parts.h"
#include "edge/proc/spawn_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* The body may remove the place it looks at. */
#define EACH(one, all_of)                                                                          \
    struct list *node_ = (all_of)->all.next, *next_ = node_->next;                                 \
    node_ != &(all_of)->all && ((one) = container_of(node_, struct spawned, node));                \
    node_ = next_, next_ = node_->next

/* --- places --- */

static void set_address(struct spawned *spawned, const struct spawn_plan *plan)
{
    if (plan->unix_path.len) {
        struct sockaddr_un *local = (struct sockaddr_un *)&spawned->address;
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, plan->unix_path.ptr, plan->unix_path.len);
        spawned->address_bytes = sizeof(*local);
        return;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)&spawned->address;
    *v4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(plan->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    spawned->address_bytes = sizeof(*v4);
}

/* Takes the plan. */
static void add_place(struct spawns *spawns, struct spawn_plan *plan, mono_time now)
{
    char key[SLOT_KEY_BYTES];
    struct spawned *spawned = mem_alloc(sizeof(*spawned));
    spawned->output.out.fd = spawned->output.err.fd = -1;
    set_address(spawned, plan);
    if (spawns->count < SPAWNED_MAX)
        spawned->slots =
            slots_attach(spawns->slots, slot_key(&spawned->address, key), spawns->master);
    if (!spawned->slots) {
        log_error("too many workers: renderer not started", {"worker", plan->name});
        plan_free(plan);
        free(spawned);
        return;
    }
    spawned->spawns = spawns;
    spawned->plan = plan;
    spawned->shared = slots_renderer(spawned->slots);
    spawned->is_wanted = true;
    slots_set_gate(spawns->slots, spawned->slots, GATE_HELD, now);
    spawned_move(spawned, SPAWNED_OFF, DURATION_MAX, now);
    list_append(&spawns->all, &spawned->node);
    spawns->count++;
}

static void remove_place(struct spawned *spawned, mono_time now)
{
    struct spawns *spawns = spawned->spawns;
    spawned_answer(spawned, RESTART_SKIPPED);
    /* it may be listed by others */
    slots_set_gate(spawns->slots, spawned->slots, GATE_OPEN, now);
    slots_detach(spawns->slots, spawned->slots, spawns->master);
    if (spawned->plan->unix_path.len)
        unlink(spawned->plan->unix_path.ptr);
    list_remove(&spawned->node);
    spawns->count--;
    plan_free(spawned->plan);
    plan_free(spawned->next);
    free(spawned);
}

static struct spawned *find_place(struct spawns *spawns, slice url)
{
    struct spawned *spawned;
    for (EACH(spawned, spawns))
        if (slice_equal(spawned->plan->url, url))
            return spawned;
    return NULL;
}

/* What differs only in what the master does with it needs no new process. */
static void change_plan(struct spawned *spawned, struct spawn_plan *plan)
{
    plan_free(spawned->next);
    spawned->next = NULL;
    if (spawned->wants_restart && spawned->why == RESTART_CHANGED) { /* it may be changed back */
        spawned->wants_restart = spawned_owes_answer(spawned);
        spawned->why = RESTART_ASKED;
    }
    if (!plan_is_like(spawned->plan, plan)) {
        spawned->next = plan;
        spawned->wants_restart = true;
        spawned->why = RESTART_CHANGED;
        return;
    }
    spawned_take_plan(spawned, plan);
}

static void want(struct spawns *spawns, const struct origin_config *origin, size_t index,
                 bool is_in_force)
{
    mono_time now = clock_now().mono;
    struct spawned *spawned = find_place(spawns, origin->workers[index].url);
    if (!spawned) {
        add_place(spawns, plan_new(origin, index), now);
        return;
    }
    spawned->is_wanted = true;
    spawned_return(spawned, now);
    if (is_in_force)
        change_plan(spawned, plan_new(origin, index));
}

static void start_guard(struct spawns *spawns)
{
    struct spawned *spawned;
    if (!guard_start(&spawns->guard)) {
        log_error("cannot start the guard of the renderers",
                  {"error", slice_of_string(strerror(errno))});
        return;
    }
    for (EACH(spawned, spawns))
        if (spawned->pid)
            guard_watch(&spawns->guard, spawned->pid);
}

void spawns_want(struct spawns *spawns, const struct policy *policy, bool is_in_force)
{
    struct spawned *spawned;
    for (EACH(spawned, spawns))
        spawned->is_wanted = spawned->is_wanted && !is_in_force;
    for (size_t i = 0; i < policy->origin_count; i++)
        for (size_t j = 0; policy->origins[i].spawn.is_set && j < policy->origins[i].worker_count;
             j++)
            want(spawns, &policy->origins[i], j, is_in_force);
    if (spawns->count > 0 && !spawns->guard.pid)
        start_guard(spawns);
}

/* --- one at a time --- */

static bool is_sibling(const struct spawned *a, const struct spawned *b)
{
    return a != b && slice_equal(a->plan->origin, b->plan->origin);
}

static bool is_recycled(const struct spawned *spawned)
{
    return spawned->why == RESTART_RENDERS || spawned->why == RESTART_MEMORY ||
           spawned->why == RESTART_ERRORS;
}

static bool may_restart(struct spawned *spawned)
{
    struct spawned *other;
    unsigned count = 1, serving = spawned->state == SPAWNED_READY;
    if (spawned->state == SPAWNED_STARTING)
        return true; /* it serves nobody yet */
    if (spawned_is_between(spawned))
        return false;
    for (EACH(other, spawned->spawns)) {
        if (!is_sibling(spawned, other))
            continue;
        if (spawned_is_between(other))
            return false;
        count++;
        serving += other->state == SPAWNED_READY;
    }
    return !is_recycled(spawned) || spawn_may_recycle(count, serving);
}

/* What was broken by the first is not to break the others, too. */
void spawned_failed(struct spawned *spawned)
{
    struct spawned *other;
    bool was_rolled = spawned->is_rolled;
    spawned->is_rolled = false;
    spawned_answer(spawned, RESTART_LOST);
    if (!was_rolled)
        return;
    log_error("rolling restart given up: a renderer did not come back; the others stay as they are",
              {"worker", spawned->plan->name}, {"stderr", output_recent(&spawned->output)});
    for (EACH(other, spawned->spawns)) {
        if (!is_sibling(spawned, other) || !other->wants_restart)
            continue;
        other->wants_restart = false;
        spawned_answer(other, RESTART_SKIPPED);
    }
}

static void hear_asks(struct spawned *spawned)
{
    uint64_t asked = atomic_load(&spawned->shared->restart_asked);
    if (asked <= spawned->restart_ticket)
        return;
    spawned->restart_ticket = asked;
    spawned->wants_restart = true;
    spawned->why = RESTART_ASKED;
}

void spawns_settle(struct spawns *spawns, bool may_end, mono_time now)
{
    struct spawned *spawned;
    for (EACH(spawned, spawns)) {
        output_read(&spawned->output, now);
        output_tell_dropped(&spawned->output, now);
        hear_asks(spawned);
        if (!spawned->is_wanted && may_end && !spawns->is_stopping)
            spawned_leave(spawned, now);
        if (!spawns->is_stopping && spawned->wants_restart && spawned->is_wanted &&
            may_restart(spawned))
            spawned_restart(spawned, now);
        if (!spawned->is_wanted && spawned->state == SPAWNED_OFF)
            remove_place(spawned, now);
        else
            spawned_tick(spawned, now);
    }
}

mono_time spawns_due(const struct spawns *spawns, mono_time now)
{
    struct spawned *spawned;
    mono_time due = {INT64_MAX};
    for (EACH(spawned, spawns)) {
        mono_time one = spawned_due(spawned, now);
        due = one.ms < due.ms ? one : due;
    }
    return due;
}

/* --- events --- */

size_t spawns_poll(const struct spawns *spawns, struct pollfd wait[SPAWN_FDS_MAX])
{
    struct spawned *spawned;
    size_t count = 0;
    for (EACH(spawned, spawns)) {
        wait[count++] = (struct pollfd){.fd = spawned->output.out.fd, .events = POLLIN};
        wait[count++] = (struct pollfd){.fd = spawned->output.err.fd, .events = POLLIN};
    }
    return count;
}

/* What it started goes with it: killed before its own exit is taken, while its number cannot be
 * another's yet. */
static bool take_exit(const struct spawned *spawned, int *status)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)spawned->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != spawned->pid)
        return false;
    kill(-spawned->pid, SIGKILL);
    return waitpid(spawned->pid, status, 0) == spawned->pid;
}

void spawns_reap(struct spawns *spawns, mono_time now)
{
    int status;
    struct spawned *spawned;
    for (EACH(spawned, spawns))
        if (spawned->pid && take_exit(spawned, &status))
            spawned_on_exit(spawned, status, now);
    if (guard_reap(&spawns->guard))
        start_guard(spawns);
}

/* --- life --- */

struct spawns *spawns_new(void *slots, pid_t master)
{
    struct spawns *spawns = mem_alloc(sizeof(*spawns));
    spawns->slots = slots;
    spawns->master = master;
    list_init(&spawns->all);
    return spawns;
}

void spawns_stop(struct spawns *spawns)
{
    struct spawned *spawned;
    mono_time now = clock_now().mono;
    if (spawns->is_stopping)
        return;
    spawns->is_stopping = true;
    for (EACH(spawned, spawns)) {
        spawned->is_wanted = spawned->is_restarting = false;
        if (spawned->pid && spawned->state != SPAWNED_STOPPING && spawned->state != SPAWNED_DYING)
            spawned_stop(spawned, now);
    }
}

void spawns_kill(struct spawns *spawns)
{
    struct spawned *spawned;
    mono_time now = clock_now().mono;
    spawns_stop(spawns);
    for (EACH(spawned, spawns))
        if (spawned->pid)
            spawned_kill(spawned, now);
}

bool spawns_are_gone(const struct spawns *spawns)
{
    return list_is_empty(&spawns->all);
}

void spawns_free(struct spawns *spawns)
{
    struct spawned *spawned;
    mono_time now = clock_now().mono;
    if (!spawns)
        return;
    for (EACH(spawned, spawns)) {
        if (spawned->pid) {
            kill(-spawned->pid, SIGKILL);
            waitpid(spawned->pid, NULL, 0);
            output_close(&spawned->output, now);
        }
        remove_place(spawned, now);
    }
    guard_stop(&spawns->guard);
    free(spawns);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void spawns_leave_to_parent(struct spawns *spawns)
{
    struct spawned *spawned;
    for (EACH(spawned, spawns)) {
        close_fd(spawned->output.out.fd);
        close_fd(spawned->output.err.fd);
    }
    if (spawns->guard.pid)
        close_fd(spawns->guard.pipe);
}
