/*
 * A reload: read and check the new policy, open its sockets, start a worker with it beside the old
 * one, and let the old one go when the new one accepts. Whatever fails before that leaves
 * everything as it was. (semantics 9.1, 9.2)
 */
#include "edge/proc/master_parts.h"

#include "base/log.h"

#include <string.h>

/* --- the answer --- */

/* Counted where it outlives the worker that was asked. */
static void count(struct master *master, bool is_ok)
{
    struct counters *counters = counters_attach(shared_counters(master->shared));
    counter_add(
        counters_series(counters, is_ok ? SLICE("varve_config_reloads_total{result=\"ok\"}")
                                        : SLICE("varve_config_reloads_total{result=\"failed\"}")),
        1);
}

static void answer(struct master *master, enum reload_result result, slice text)
{
    struct shared *shared = master->shared;
    count(master, result == RELOAD_OK);
    reload_text_write(shared->reload_text, text);
    atomic_store(&shared->reload_result, result);
    atomic_store(&shared->reloads_done, master->reload.ticket);
}

static void log_lines(slice text)
{
    for (slice line; slice_next(&text, '\n', &line);)
        if (line.len)
            log_error("reload failed; the old policy stays in force", {"error", line});
}

/*
 * Its worker is gone, and nobody else wrote without syncing: with what it left on the disk, the
 * store is as it was. Not while varve stops, for then the worker may still be there.
 */
static void restore_sync(struct master *master)
{
    if (!master->reload.was_synced || master->store.is_synced || master->is_stopping)
        return;
    int error = state_restore_sync(&master->store);
    if (error)
        log_warn("cannot mark the store as synced", {"error", slice_of_string(strerror(error))});
}

/* Frees what the reload had prepared. */
static void drop(struct master *master)
{
    struct reload *reload = &master->reload;
    listeners_close(&reload->listeners, &master->listeners);
    policy_free(reload->policy);
    reload->policy = NULL;
    reload->is_running = false;
}

void reload_fail(struct master *master, enum reload_result why, slice text)
{
    if (text.len == 0)
        text = SLICE("the new worker died before it was ready");
    log_lines(text);
    restore_sync(master); /* before the caller is told that nothing has changed */
    answer(master, why, text);
    drop(master);
    spawns_want(master->spawns, master->policy, true); /* ends what was started for it */
}

/* --- what may not change (semantics 9.2) --- */

static void refuse(struct diag *diag, const struct policy *policy, const char *what)
{
    diag_add(diag, policy->path, 0, 0, "%s by a reload: restart varve", what);
}

static bool is_allowed(const struct master *master, const struct policy *fresh, struct diag *diag)
{
    const struct policy *old = master->policy;
    if (!slice_equal(fresh->store_path, old->store_path))
        refuse(diag, fresh, "store.path cannot be changed");
    if (fresh->store_bytes < master->store_bytes && !fresh->store_bytes_is_default)
        refuse(diag, fresh, "store.size cannot become smaller");
    if (!slice_equal(fresh->user, old->user))
        refuse(diag, fresh, "user cannot be changed");
    if (!slice_equal(fresh->admin_listen, old->admin_listen))
        refuse(diag, fresh, "admin.listen cannot be changed");
    return diag->count == 0;
}

/* --- steps --- */

void reload_warn(const struct policy *policy)
{
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < policy->warnings->count; i++) {
        const struct diag_error *warning = &policy->warnings->errors[i];
        log_warn("policy", {"at", diag_place(warning, &arena)}, {"warning", warning->text});
    }
    slice more = diag_more(policy->warnings, "warning", &arena);
    if (more.len)
        log_warn("policy", {"at", policy->path}, {"warning", more});
    arena_fini(&arena);
}

static bool open_sockets(struct master *master, struct diag *diag)
{
    char error[LISTEN_ERROR_BYTES];
    struct reload *reload = &master->reload;
    if (listeners_open(reload->policy, &master->listeners, &reload->listeners, error))
        return true;
    diag_add(diag, reload->policy->path, 0, 0, "%s", error);
    return false;
}

static enum reload_result prepare(struct master *master, struct diag *diag)
{
    struct reload *reload = &master->reload;
    reload->policy = policy_load(&master->options->policy, diag);
    if (!reload->policy || !is_allowed(master, reload->policy, diag))
        return RELOAD_REFUSED;
    return open_sockets(master, diag) ? RELOAD_OK : RELOAD_FAILED;
}

static void start(struct master *master)
{
    struct reload *reload = &master->reload;
    log_file_prepare(reload->policy->access_log_path, &master->user);
    /* before its worker starts, which writes as soon as it opens the store */
    int error = state_set_sync(&master->store, reload->policy->durability_sync);
    if (error) {
        reload_fail(master, RELOAD_FAILED, slice_of_string(strerror(error)));
        return;
    }
    master->from_memory = false; /* a fresh file: it gets its chance */
    reload->store_bytes = master->store_bytes;
    if (reload->policy->store_bytes > reload->store_bytes) /* else a default: the disk is fuller */
        reload->store_bytes = reload->policy->store_bytes;
    reload->is_running = true;
    spawns_want(master->spawns, reload->policy, false);
    if (!child_start(master, reload->policy, &reload->listeners, true))
        reload_fail(master, RELOAD_FAILED, SLICE("cannot start a process (see the log)"));
}

void reload_begin(struct master *master)
{
    static struct diag diag; /* too large for the stack, and only one reload runs at a time */
    struct arena arena;
    struct reload *reload = &master->reload;
    arena_init(&arena);
    diag_init(&diag, &arena);
    reload->ticket = atomic_load(&master->shared->reloads_asked);
    reload->was_synced = master->store.is_synced;
    log_info("reloading", {"path", master->options->policy.path});
    enum reload_result result = prepare(master, &diag);
    if (result == RELOAD_OK)
        start(master);
    else
        reload_fail(master, result, diag_text(&diag));
    arena_fini(&arena);
}

void reload_commit(struct master *master)
{
    struct reload *reload = &master->reload;
    struct policy *old = master->policy;
    struct child *leaving = child_in(master, CHILD_SERVING);
    listeners_close(&master->listeners, &reload->listeners);
    master->listeners = reload->listeners;
    master->policy = reload->policy;
    master->store_bytes = reload->store_bytes;
    reload->listeners.count = 0;
    reload->policy = NULL;
    reload->is_running = false;
    log_set_level((enum log_level)master->policy->log_level);
    spawns_want(master->spawns, master->policy, true);
    reload_warn(master->policy);
    log_info("reloaded", {"path", master->policy->path});
    answer(master, RELOAD_OK, SLICE_NONE); /* before the old worker leaves: it may be who asked */
    if (leaving)
        child_drain(master, leaving, old->reload_drain);
    policy_free(old);
}
