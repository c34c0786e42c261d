/*
 * See set_aside.h. What is moved are the files, not the directory itself: the lock, the admin
 * socket and the purge log stay in force while varve goes on.
 */
#include "edge/proc/set_aside.h"

#include "edge/proc/state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_TRIES = 10, TREE_DEPTH = 8, STAMP_BYTES = 32 };

/* "f1", "f2" …: data of a format; or the state file. */
static bool is_data(const char *name)
{
    if (strcmp(name, "state") == 0)
        return true;
    if (name[0] != 'f' || name[1] == '\0')
        return false;
    for (const char *digit = name + 1; *digit; digit++)
        if (!isdigit((unsigned char)*digit))
            return false;
    return true;
}

/* Calls `visit` for each entry until it returns false; its last answer. */
static bool each_entry(const char *directory, bool (*visit)(void *arg, const char *name), void *arg)
{
    DIR *entries = opendir(directory);
    bool go_on = true;
    if (!entries)
        return true;
    for (struct dirent *entry; go_on && (entry = readdir(entries));)
        go_on = visit(arg, entry->d_name);
    closedir(entries);
    return go_on;
}

static bool is_no_data(void *arg, const char *name)
{
    (void)arg;
    return !is_data(name);
}

bool store_has_data(slice store)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%" SLICE_FMT, SLICE_ARG(store));
    return !each_entry(path, is_no_data, NULL);
}

struct move {
    char from[PATH_MAX], to[PATH_MAX];
    int error;
};

static bool move_entry(void *arg, const char *name)
{
    struct move *move = arg;
    char source[PATH_MAX], target[PATH_MAX];
    if (!is_data(name))
        return true;
    if (snprintf(source, PATH_MAX, "%.3000s/%.255s", move->from, name) >= PATH_MAX ||
        snprintf(target, PATH_MAX, "%.3000s/%.255s", move->to, name) >= PATH_MAX)
        move->error = ENAMETOOLONG;
    else if (rename(source, target) != 0)
        move->error = errno;
    return move->error == 0;
}

/* Makes `prefix`TIME; a name of the same second is stepped over. */
static int make_target(struct move *move, const char *prefix, wall_time now)
{
    char stamp[STAMP_BYTES];
    for (int i = 0; i < NAME_TRIES; i++) {
        time_t seconds = (time_t)(now.ms / 1000 + i);
        struct tm parts;
        if (!gmtime_r(&seconds, &parts) ||
            strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &parts) == 0)
            return EINVAL;
        if (snprintf(move->to, PATH_MAX, "%.3000s%s", prefix, stamp) >= PATH_MAX)
            return ENAMETOOLONG;
        if (mkdir(move->to, 0700) == 0)
            return 0;
        if (errno != EEXIST)
            return errno;
    }
    return EEXIST;
}

static int move_to(struct move *move, const char *prefix, wall_time now)
{
    move->error = make_target(move, prefix, now);
    if (move->error)
        return move->error;
    each_entry(move->from, move_entry, move);
    if (move->error)
        rmdir(move->to); /* stays if something is in it: then it is one of those set aside */
    return move->error;
}

/* --- the older ones --- */

struct older {
    const char *directory, *prefix, *keep; /* names in `directory` that start with `prefix` */
};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    remove(path); /* what cannot be removed stays, and takes room: no reason to stop */
    return 0;
}

static bool remove_older(void *arg, const char *name)
{
    const struct older *older = arg;
    char path[PATH_MAX];
    size_t length = strlen(older->prefix);
    if (strncmp(name, older->prefix, length) != 0 || !isdigit((unsigned char)name[length]) ||
        snprintf(path, PATH_MAX, "%.3000s/%.255s", older->directory, name) >= PATH_MAX ||
        strcmp(path, older->keep) == 0)
        return true;
    nftw(path, remove_entry, TREE_DEPTH, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
    return true;
}

/* STORE.bad-TIME beside the store. */
static void remove_older_beside(const char *store, const char *keep)
{
    char parent[PATH_MAX], prefix[PATH_MAX];
    const char *name = strrchr(store, '/');
    size_t length = name ? (size_t)(name - store) : 1;
    snprintf(parent, PATH_MAX, "%.*s", (int)length, name ? store : ".");
    snprintf(prefix, PATH_MAX, "%.255s.bad-", name ? name + 1 : store);
    each_entry(length ? parent : "/", remove_older, &(struct older){parent, prefix, keep});
}

bool set_aside(slice store, const char *why, wall_time now, char *text)
{
    struct move move = {.error = 0};
    char beside[PATH_MAX], inside[PATH_MAX];
    snprintf(move.from, PATH_MAX, "%" SLICE_FMT, SLICE_ARG(slice_until(store, 3000)));
    snprintf(beside, PATH_MAX, "%.3000s.bad-", move.from);
    snprintf(inside, PATH_MAX, "%.3000s/bad-", move.from);
    if (move_to(&move, beside, now) != 0 && move_to(&move, inside, now) != 0) {
        snprintf(text, STATE_ERROR_BYTES,
                 "the store %.160s cannot be used (%.100s) nor be moved away: %.60s", move.from,
                 why, strerror(move.error));
        return false;
    }
    remove_older_beside(move.from, move.to);
    each_entry(move.from, remove_older, &(struct older){move.from, "bad-", move.to});
    snprintf(text, STATE_ERROR_BYTES, "the store was set aside as %.200s: %.100s; a new one begins",
             move.to, why);
    return true;
}
