/* See master.h: making everything that outlives workers, and the loop. */
#include "edge/proc/master.h"

#include "base/log.h"
#include "edge/proc/master_parts.h"
#include "edge/proc/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int refuse(const char *text, int status)
{
    fprintf(stderr, "varve: %s\n", text);
    return status;
}

/* --- start --- */

static duration or_default(duration given, int64_t ms)
{
    return given.ms ? given : (duration){ms};
}

static struct master_timing timing_of(struct master_timing given)
{
    return (struct master_timing){
        .backoff_first = or_default(given.backoff_first, 100),
        .backoff_max = or_default(given.backoff_max, 5000),
        .backoff_reset = or_default(given.backoff_reset, 10000),
        .start_limit = or_default(given.start_limit, 120000),
        .kill_grace = or_default(given.kill_grace, KILL_GRACE_MS),
        .crash_window = or_default(given.crash_window, 60000),
    };
}

static void init(struct master *master, const struct master_options *options)
{
    *master = (struct master){.options = options,
                              .timing = timing_of(options->timing),
                              .admin = -1,
                              .signals = -1,
                              .ask = -1,
                              .memory = -1,
                              .store = {.lock = -1}};
    master->backoff = master->timing.backoff_first;
    arena_init(&master->arena);
    for (unsigned i = 0; i < WORKER_PLACES; i++) {
        master->children[i].place = i;
        master->children[i].ready = -1;
        master->children[i].deadline = (mono_time){INT64_MAX};
    }
}

static int load_policy(struct master *master)
{
    static struct diag diag; /* too large for the stack; at start only */
    struct arena arena;
    arena_init(&arena);
    diag_init(&diag, &arena);
    master->policy = policy_load(&master->options->policy, &diag);
    if (!master->policy) {
        slice text = diag_text(&diag);
        fprintf(stderr, "%" SLICE_FMT, SLICE_ARG(text));
    } else {
        master->store_bytes = master->policy->store_bytes;
        master->admin_listen = arena_copy(&master->arena, master->policy->admin_listen);
        log_set_level((enum log_level)master->policy->log_level);
        reload_warn(master->policy);
    }
    arena_fini(&arena);
    return master->policy ? 0 : EXIT_BAD_POLICY;
}

static int open_store(struct master *master)
{
    char text[STATE_ERROR_BYTES];
    const struct policy *policy = master->policy;
    switch (state_open(&master->store, arena_copy(&master->arena, policy->store_path),
                       policy->durability_sync, &master->user, clock_now().wall, text)) {
    case STORE_OPENED:
        return 0;
    case STORE_SET_ASIDE:
        log_warn("store set aside", {"detail", slice_of_string(text)});
        return 0;
    case STORE_IN_USE:
        return refuse(text, EXIT_BAD_POLICY);
    default:
        return refuse(text, EXIT_FAILURE);
    }
}

static int open_admin(struct master *master)
{
    char error[LISTEN_ERROR_BYTES];
    if (master->admin_listen.len == 0)
        return 0;
    master->admin = listener_open(master->admin_listen, 0660, error);
    if (master->admin < 0)
        return refuse(error, EXIT_FAILURE);
    return listener_give(master->admin_listen, &master->user) == 0
               ? 0
               : refuse("admin.listen: cannot be given to the user", EXIT_FAILURE);
}

static int open_sockets(struct master *master)
{
    char error[LISTEN_ERROR_BYTES];
    if (!listeners_open(master->policy, NULL, &master->listeners, error))
        return refuse(error, EXIT_FAILURE);
    return open_admin(master);
}

static int open_descriptors(struct master *master)
{
    master->shared = shared_make(&master->memory);
    master->ask = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!master->shared || master->ask < 0)
        return refuse(strerror(errno), EXIT_FAILURE);
    return 0;
}

static int start(struct master *master)
{
    char error[256];
    master->signals = signals_open(); /* first: a signal during the start is not lost */
    if (master->signals < 0)
        return refuse(strerror(errno), EXIT_FAILURE);
    int status = load_policy(master);
    if (status)
        return status;
    if (!user_find(master->policy->user, &master->user, error))
        return refuse(error, EXIT_BAD_POLICY);
    raise_file_limit();
    status = open_store(master); /* before the sockets: a second instance is told by its store */
    if (!status)
        status = open_sockets(master);
    if (!status)
        status = open_descriptors(master);
    if (status)
        return status;
    log_file_prepare(master->policy->access_log_path, &master->user);
    master->spawns = spawns_new(shared_slots(master->shared), master->shared->master);
    spawns_want(master->spawns, master->policy, true);
    return child_start(master, master->policy, &master->listeners, false) ? 0 : EXIT_FAILURE;
}

/* --- loop --- */

static void take_signals(struct master *master)
{
    struct signalfd_siginfo info;
    while (read(master->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        master_on_signal(master, (int)info.ssi_signo);
}

static void take_asks(struct master *master)
{
    uint64_t count; /* what was asked stands in the shared memory; this only wakes */
    while (read(master->ask, &count, sizeof(count)) > 0)
        continue;
}

static void wait_for_something(struct master *master)
{
    struct pollfd wait[2 + WORKER_PLACES + SPAWN_FDS_MAX] = {
        {.fd = master->signals, .events = POLLIN}, {.fd = master->ask, .events = POLLIN}};
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        wait[2 + i] = (struct pollfd){.fd = master->children[i].ready, .events = POLLIN};
    size_t count = 2 + WORKER_PLACES + spawns_poll(master->spawns, wait + 2 + WORKER_PLACES);
    poll(wait, count, master_patience(master));
}

/* Each turn looks at everything: there are few descriptors. */
static void turn(struct master *master)
{
    wait_for_something(master);
    for (unsigned i = 0; i < WORKER_PLACES; i++)
        if (master->children[i].ready >= 0 && child_listen(&master->children[i]))
            master_on_ready(master, &master->children[i]);
    take_signals(master);
    take_asks(master);
    master_settle(master);
}

/* --- end --- */

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void fini(struct master *master)
{
    spawns_free(master->spawns);
    listeners_close(&master->listeners, NULL);
    if (master->admin >= 0)
        listener_unlink(master->admin_listen);
    close_fd(master->admin);
    close_fd(master->signals);
    close_fd(master->ask);
    shared_unmap(master->shared);
    close_fd(master->memory);
    state_close(&master->store);
    policy_free(master->policy);
    arena_fini(&master->arena);
}

static void run(struct master *master)
{
    while (!master->is_stopping || master_has_children(master) || !spawns_are_gone(master->spawns))
        turn(master);
    if (!master->is_last_exit_clean)
        return; /* the state stays "dirty": fine unless the machine goes down now */
    int error = state_write_clean(&master->store);
    if (error)
        log_warn("cannot mark the store as clean", {"error", slice_of_string(strerror(error))});
}

int master_run(const struct master_options *options)
{
    struct master *master = mem_alloc(sizeof(*master));
    init(master, options);
    master->status = start(master);
    if (master->status == 0)
        run(master);
    int status = master->status;
    fini(master);
    free(master);
    return status;
}
