/*
 * The renderers that varve runs itself (`origins.NAME.spawn`): started, watched, replaced and ended
 * by the master, so that they outlive reloads and crashes of its worker process (semantics 9.1).
 * The worker process knows them as ordinary workers of their origin. What it must know beside that
 * goes through the slot table (edge/origin/renderer.h): a gate, by which a renderer that starts or
 * drains gets no request, and the process's figures.
 *
 * Master only, one thread: nothing here blocks.
 */
#pragma once

#include "base/clock.h"
#include "policy/config.h"

#include <poll.h>
#include <sys/types.h>

enum { SPAWNED_MAX = 256, SPAWN_FDS_MAX = 2 * SPAWNED_MAX };

struct spawns;

/* `slots`: the region of the slot table. */
struct spawns *spawns_new(void *slots, pid_t master);
/*
 * Wants the processes of this policy: starts what is missing. `is_in_force`: the policy is the one
 * in force now, so processes whose block changed are replaced one by one, and others are ended.
 * Without it (a reload has begun, and may fail) nothing that runs is touched. The policy is not
 * kept.
 */
void spawns_want(struct spawns *spawns, const struct policy *policy, bool is_in_force);
/* Descriptors to wait for; returns how many. */
size_t spawns_poll(const struct spawns *spawns, struct pollfd wait[SPAWN_FDS_MAX]);
/*
 * Does what is due. `may_end`: no worker process of an older policy is left, which may still send
 * requests to renderers that the new one does not want.
 */
void spawns_settle(struct spawns *spawns, bool may_end, mono_time now);
/* When to call spawns_settle() again at the latest. */
mono_time spawns_due(const struct spawns *spawns, mono_time now);
/* SIGCHLD: takes the exit statuses of its own processes. */
void spawns_reap(struct spawns *spawns, mono_time now);
/* Ends all of them, with their grace; after the last worker process has left. */
void spawns_stop(struct spawns *spawns);
void spawns_kill(struct spawns *spawns); /* now */
bool spawns_are_gone(const struct spawns *spawns);
/* Kills what is left. */
void spawns_free(struct spawns *spawns);
/* In a forked child that goes on without exec: closes what is the master's. */
void spawns_leave_to_parent(struct spawns *spawns);
