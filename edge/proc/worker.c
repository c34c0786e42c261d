/* See worker.h. What the worker says to the master goes through the ready pipe: READY_BYTE when it
 * accepts connections, or the text of why it cannot. */
#include "edge/proc/worker.h"

#include "base/log.h"
#include "base/must.h"
#include "edge/proc/privileges.h"
#include "edge/proc/protocol.h"
#include "edge/proc/signals.h"
#include "edge/proc/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SPARE_FILES = 256 /* LMDB, logs, loops, origins' assets: beside the clients' connections */
};

static void say(int ready, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(ready, bytes, length); /* blocking; a pipe takes 64 KiB at once */
        if (written <= 0)
            return;
        bytes += written;
        length -= (size_t)written;
    }
}

static int fail_with(struct worker_args *args, slice text, int status)
{
    char report[RELOAD_TEXT_BYTES];
    slice rest = text, line;
    while (slice_next(&rest, '\n', &line))
        if (line.len)
            log_error("the worker cannot start", {"error", line});
    reload_text_write(report, text);
    if (args->ready >= 0)
        say(args->ready, report, strlen(report));
    return status;
}

int worker_fail(const struct worker_setup *setup, slice text)
{
    return fail_with(setup->args, text, EXIT_FAILURE);
}

int worker_refuse(const struct worker_setup *setup, slice text)
{
    return fail_with(setup->args, text, EXIT_BAD_POLICY);
}

int worker_drop_privileges(const struct worker_setup *setup)
{
    char error[256];
    struct user_identity user;
    if (!user_find(setup->policy->user, &user, error))
        return worker_refuse(setup, slice_of_string(error));
    if (user.name[0] == '\0')
        return 0;
    int code = privileges_drop(&user);
    if (code) {
        snprintf(error, sizeof(error), "user: cannot become %.100s: %.100s", user.name,
                 strerror(code));
        return worker_fail(setup, slice_of_string(error));
    }
    if (!die_with_parent(setup->shared->master))
        return EXIT_FAILURE;
    return 0;
}

int worker_ready(const struct worker_setup *setup)
{
    static const char READY[] = {READY_BYTE};
    int status = worker_drop_privileges(setup);
    if (status)
        return status;
    MUST(setup->args->ready >= 0);
    say(setup->args->ready, READY, sizeof(READY));
    close(setup->args->ready);
    setup->args->ready = -1;
    return 0;
}

mono_time worker_drain_deadline(const struct worker_setup *setup)
{
    int64_t deadline = atomic_load(&setup->place->drain_deadline);
    return (mono_time){deadline ? deadline : INT64_MAX};
}

/* --- reload --- */

void worker_wake_master(const struct worker_setup *setup)
{
    uint64_t one = 1;
    if (write(setup->args->ask, &one, sizeof(one)) != (ssize_t)sizeof(one))
        log_warn("cannot wake the master", {"error", slice_of_string(strerror(errno))});
}

uint64_t worker_ask_reload(const struct worker_setup *setup)
{
    uint64_t ticket = atomic_fetch_add(&setup->shared->reloads_asked, 1) + 1;
    worker_wake_master(setup);
    return ticket;
}

bool worker_reload_done(const struct worker_setup *setup, uint64_t ticket,
                        enum reload_result *result, char text[RELOAD_TEXT_BYTES])
{
    const struct shared *shared = setup->shared;
    if (atomic_load(&shared->reloads_done) < ticket)
        return false;
    *result = (enum reload_result)atomic_load(&shared->reload_result);
    memcpy(text, shared->reload_text, RELOAD_TEXT_BYTES);
    text[RELOAD_TEXT_BYTES - 1] = '\0'; /* a next reload may be writing it at this moment */
    return true;
}

/* --- life --- */

/* Between the master's reading of the policy and ours its file may have been edited. */
static bool is_the_masters(const struct policy *policy, const struct worker_args *args,
                           struct arena *arena)
{
    if (policy->listen_count != args->listeners.count ||
        !slice_equal(policy_fixed_text(policy, arena), args->fixed))
        return false;
    for (size_t i = 0; i < policy->listen_count; i++)
        if (!slice_equal(policy->listen[i].address, slice_of_string(args->listeners.at[i].address)))
            return false;
    return true;
}

/* Each client may need a second descriptor, towards an origin (semantics 9.5). */
static void fit_to_files(struct policy *policy)
{
    unsigned long files = raise_file_limit();
    unsigned long most = files > 2 * SPARE_FILES ? (files - SPARE_FILES) / 2 : SPARE_FILES / 2;
    if (policy->limits.connections <= most)
        return;
    log_warn("limits.connections lowered to fit the limit of open files",
             {"connections", LOG_NUMBER((int64_t)most)}, {"files", LOG_NUMBER((int64_t)files)});
    policy->limits.connections = (unsigned)most;
}

static int serve(struct worker_setup *setup)
{
    int error = worker_signals_start();
    if (error)
        return worker_fail(setup, slice_of_string(strerror(error)));
    int status = edge_serve(setup);
    worker_on_drain(NULL, NULL);
    worker_signals_stop();
    return status;
}

/* The log file is opened as root where we still are: the master made it the user's. */
static int serve_with_log(struct worker_setup *setup)
{
    char text[512];
    log_set_level((enum log_level)setup->policy->log_level);
    int error = log_start(setup->policy->access_log_path);
    if (error) {
        snprintf(text, sizeof(text), "log.access.path: cannot open %" SLICE_FMT ": %s",
                 SLICE_ARG(slice_until(setup->policy->access_log_path, 300)), strerror(error));
        return worker_refuse(setup, slice_of_string(text));
    }
    int status = serve(setup);
    log_stop();
    return status;
}

/*
 * The process ends when this returns. What edge_serve() was given stays until then: a helper thread
 * that nobody waits for (a name that is being looked up) may still read it.
 */
int worker_enter(struct worker_args *args, struct policy *policy)
{
    static int sockets[LISTEN_MAX];
    static struct arena arena;
    int status = EXIT_FAILURE;
    struct shared *shared = shared_map(args->shared);
    if (!shared || args->place >= WORKER_PLACES)
        return fail_with(args, SLICE("cannot map the shared memory"), EXIT_FAILURE);
    arena_init(&arena);
    for (size_t i = 0; i < args->listeners.count; i++)
        sockets[i] = args->listeners.at[i].fd;
    if (args->store_bytes)
        policy->store_bytes = args->store_bytes;
    fit_to_files(policy);
    static struct worker_setup setup;
    setup = (struct worker_setup){
        .policy = policy,
        .shared = shared,
        .place = &shared->places[args->place],
        .listeners = sockets,
        .listener_count = args->listeners.count,
        .admin = args->admin,
        .data_path = policy->store_path,
        .purges_path = store_purges_path(policy->store_path, &arena),
        .args = args,
    };
    if (die_with_parent(shared->master)) /* else nobody is there to serve for */
        status = serve_with_log(&setup);
    if (args->ready >= 0)
        close(args->ready);
    args->ready = -1;
    return status;
}

static void keep_from_children(const struct worker_args *args)
{
    const int own[] = {args->shared, args->ready, args->ask, args->admin, args->lock};
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        if (own[i] >= 0)
            fcntl(own[i], F_SETFD, FD_CLOEXEC);
    for (size_t i = 0; i < args->listeners.count; i++)
        fcntl(args->listeners.at[i].fd, F_SETFD, FD_CLOEXEC);
}

int worker_main(int argc, char **argv)
{
    static struct worker_args args;
    static struct diag diag; /* large; and this runs once per process */
    static struct policy *policy;
    static struct arena arena;
    if (!worker_args_parse(argc, argv, &args)) {
        fputs("varve: `worker` is started by `varve run`, not by hand\n", stderr);
        return EXIT_BAD_POLICY;
    }
    keep_from_children(&args);
    arena_init(&arena);
    diag_init(&diag, &arena);
    policy = policy_load(&args.options, &diag);
    if (!policy)
        return fail_with(&args, diag_text(&diag), EXIT_BAD_POLICY);
    if (!is_the_masters(policy, &args, &arena))
        return fail_with(&args, SLICE("the policy file changed while it was loaded: reload again"),
                         EXIT_BAD_POLICY);
    return worker_enter(&args, policy);
}
