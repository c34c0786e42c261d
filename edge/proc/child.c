/*
 * Worker processes as the master sees them: starting, asking to leave, killing.
 *
 * A worker is executed anew rather than only forked, so that its memory layout and stack canary
 * differ from the last one's: a crash tells an attacker nothing about the next worker. It reads the
 * policy file again. Should that file have been edited into something unusable since the last
 * reload, a respawn would fail although nobody asked for a reload: only then is the worker forked
 * with the policy that the master still holds.
 */
#include "edge/proc/master_parts.h"

#include "base/log.h"
#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const mono_time NEVER = {INT64_MAX};

struct child *child_in(struct master *master, enum child_state state)
{
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].state == state)
            return &master->children[i];
    return NULL;
}

void child_move(struct master *master, struct child *child, enum child_state state)
{
    child->state = state;
    child->since = clock_now().mono;
    if (state == CHILD_STARTING)
        child->deadline = mono_after(child->since, master->timing.start_limit);
    else if (state != CHILD_DRAINING) /* child_drain() sets that one: it may come nearer */
        child->deadline = NEVER;
    atomic_store(&master->shared->is_draining_worker, child_in(master, CHILD_DRAINING) != NULL);
}

/* --- in the new process --- */

static void inherit(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

static void inherit_all(const struct worker_args *args)
{
    const int fds[] = {args->shared, args->ready, args->ask, args->admin, args->lock};
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        inherit(fds[i]);
    for (size_t i = 0; i < args->listeners.count; i++)
        inherit(args->listeners.at[i].fd);
}

static _Noreturn void execute(struct master *master, const struct worker_args *args)
{
    struct arena arena; /* goes with the exec */
    arena_init(&arena);
    const char *program = master->options->program;
    char **argv = worker_args_format(args, program ? program : "varve", &arena);
    inherit_all(args);
    execv(program ? program : "/proc/self/exe", argv);
    dprintf(args->ready, "cannot execute the worker: %s", strerror(errno));
    _exit(EXIT_FAILURE);
}

/* Without exec nothing is closed by itself. */
static _Noreturn void enter(struct master *master, struct worker_args *args, struct policy *policy)
{
    close(master->signals);
    spawns_leave_to_parent(master->spawns);
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].ready >= 0)
            close(master->children[i].ready);
    exit(master->options->enter(args, policy));
}

static _Noreturn void become_worker(struct master *master, struct worker_args *args,
                                    struct policy *policy)
{
    if (!die_with_parent(master->shared->master))
        _exit(EXIT_FAILURE);
    if (master->from_memory && master->options->enter)
        enter(master, args, policy);
    execute(master, args);
}

/* --- in the master --- */

static struct worker_args args_for(struct master *master, const struct policy *policy,
                                   const struct listener_set *listeners, uint64_t store_bytes,
                                   struct arena *arena)
{
    return (struct worker_args){
        .options = master->options->policy,
        .listeners = *listeners,
        .shared = master->memory,
        .ask = master->ask,
        .admin = master->admin,
        .lock = master->store.lock,
        .fixed = policy_fixed_text(policy, arena),
        .store_bytes = store_bytes,
    };
}

static void take_place(struct master *master, struct child *child, pid_t pid, int ready)
{
    child->pid = pid;
    child->ready = ready;
    child->report_length = 0;
    child->has_served = false;
    child_move(master, child, CHILD_STARTING);
    log_info("worker started", {"pid", LOG_NUMBER(pid)});
}

static bool open_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

/* -1: logged. */
static pid_t fork_worker(struct master *master, struct worker_args *args, struct policy *policy)
{
    fflush(NULL); /* or the child would write it a second time */
    pid_t pid = fork();
    if (pid == 0)
        become_worker(master, args, policy);
    if (pid < 0)
        log_error("cannot start a worker", {"error", slice_of_string(strerror(errno))});
    return pid;
}

bool child_start(struct master *master, struct policy *policy, const struct listener_set *listeners,
                 bool is_reload)
{
    int ends[2];
    struct arena arena;
    struct child *child = child_in(master, CHILD_NONE);
    MUST(child);
    if (!open_pipe(ends)) {
        log_error("cannot start a worker", {"error", slice_of_string(strerror(errno))});
        return false;
    }
    arena_init(&arena);
    atomic_store(&master->shared->places[child->place].in_store, 0);
    atomic_store(&master->shared->places[child->place].drain_deadline, 0);
    uint64_t store_bytes = is_reload ? master->reload.store_bytes : master->store_bytes;
    struct worker_args args = args_for(master, policy, listeners, store_bytes, &arena);
    args.place = child->place;
    args.ready = ends[1];
    pid_t pid = fork_worker(master, &args, policy);
    arena_fini(&arena);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    child->is_reload = is_reload;
    take_place(master, child, pid, ends[0]);
    return true;
}

void child_drain(struct master *master, struct child *child, duration drain)
{
    mono_time leave = mono_after(clock_now().mono, drain);
    mono_time deadline = mono_after(leave, master->timing.kill_grace);
    _Atomic int64_t *told = &master->shared->places[child->place].drain_deadline;
    if (child->state == CHILD_DYING)
        return;
    if (child->state == CHILD_DRAINING && child->deadline.ms <= deadline.ms)
        return;
    child->deadline = deadline;
    atomic_store(told, leave.ms > 0 ? leave.ms : 1);
    child_move(master, child, CHILD_DRAINING);
    kill(child->pid, SIGTERM);
}

void child_kill(struct master *master, struct child *child)
{
    kill(child->pid, SIGKILL);
    child_move(master, child, CHILD_DYING);
}

static bool hear(struct child *child, const char *bytes, size_t count)
{
    if (memchr(bytes, READY_BYTE, count))
        return true;
    size_t room = sizeof(child->report) - 1 - child->report_length;
    size_t taken = count < room ? count : room;
    memcpy(child->report + child->report_length, bytes, taken);
    child->report_length += taken;
    child->report[child->report_length] = '\0';
    return false;
}

bool child_listen(struct child *child)
{
    char bytes[512];
    bool is_ready = false;
    while (child->ready >= 0) {
        ssize_t count = read(child->ready, bytes, sizeof(bytes));
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (count > 0)
            is_ready = hear(child, bytes, (size_t)count) || is_ready;
        if (count <= 0 || is_ready) {
            close(child->ready);
            child->ready = -1;
        }
    }
    return is_ready;
}
