/*
 * See state.h. The lock is a flock(): it belongs to the open file, which every worker inherits, so
 * it is free only when the last process that may write to the store is gone, also after kill -9 of
 * the master.
 *
 * STORE/state is text of exactly this form; anything else is "cannot be trusted":
 *
 *   varve-store format=1 boot=0123456789abcdef clean=0 synced=0\n
 */
#include "edge/proc/state.h"

#include "cache/store.h"
#include "edge/proc/set_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_BYTES = 128,
    PATH_LIMIT = 2048,   /* of store.path: leaves room for the names behind it */
    LOCK_WAIT_MS = 3000, /* for the workers of a master that was killed to be gone */
    LOCK_STEP_MS = 10
};

struct record {
    unsigned format;
    uint64_t boot;
    unsigned is_clean, is_synced;
};

static bool join(char out[PATH_MAX], slice directory, const char *name)
{
    int length = snprintf(out, PATH_MAX, "%" SLICE_FMT "/%s", SLICE_ARG(directory), name);
    return length > 0 && length < PATH_MAX;
}

static int format_record(char line[LINE_BYTES], const struct record *record)
{
    return snprintf(line, LINE_BYTES,
                    "varve-store format=%u boot=%016" PRIx64 " clean=%u synced=%u\n",
                    record->format, record->boot, record->is_clean, record->is_synced);
}

/* Strict: what is read must be what would be written. `line` is followed by a NUL byte. */
static bool parse_record(slice line, struct record *record)
{
    char again[LINE_BYTES];
    if (sscanf(line.ptr, "varve-store format=%9u boot=%16" SCNx64 " clean=%1u synced=%1u",
               &record->format, &record->boot, &record->is_clean, &record->is_synced) != 4 ||
        record->is_clean > 1 || record->is_synced > 1)
        return false;
    int length = format_record(again, record);
    return slice_equal(line, slice_of(again, (size_t)length));
}

/* --- reading and judging --- */

/* 1: read; 0: there is none; -1: unreadable or nonsense. */
static int read_record(slice store, struct record *record)
{
    char path[PATH_MAX], line[LINE_BYTES + 1] = {0};
    if (!join(path, store, "state"))
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    ssize_t length = read(fd, line, LINE_BYTES);
    close(fd);
    return length > 0 && parse_record(slice_of(line, (size_t)length), record) ? 1 : -1;
}

static bool is_same_boot(uint64_t boot)
{
    return boot != 0 && boot == clock_boot_id();
}

/* Why the data cannot be trusted, or NULL. */
static const char *judge(int read_result, const struct record *record, slice store)
{
    if (read_result <= 0)
        return read_result == 0 ? "it has no state file" : "its state file is damaged";
    if (record->format != STORE_FORMAT)
        return "it was written in another format";
    if (!record->is_clean && !record->is_synced && !is_same_boot(record->boot))
        return "the machine went down while it was written";
    if (!store_file_is_whole(store))
        return "its data file is shorter than its last page";
    return NULL;
}

/* --- writing --- */

static int sync_directory(slice store)
{
    char path[PATH_MAX];
    if (!join(path, store, "."))
        return ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static int write_whole(const char *path, const char *line, size_t length)
{
    unlink(path); /* left by a crash; O_EXCL then makes sure that this is a file of ours */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    ssize_t written = write(fd, line, length);
    int error = written < 0 ? errno : (size_t)written < length ? ENOSPC : 0;
    if (!error && fsync(fd) != 0)
        error = errno;
    close(fd);
    return error;
}

static int write_record(const struct store_state *state, bool is_clean)
{
    char line[LINE_BYTES], path[PATH_MAX], fresh[PATH_MAX];
    struct record record = {STORE_FORMAT, clock_boot_id(), is_clean, state->is_synced};
    int length = format_record(line, &record);
    if (!join(path, state->path, "state") || !join(fresh, state->path, "state.new"))
        return ENAMETOOLONG;
    int error = write_whole(fresh, line, (size_t)length);
    if (error)
        return error;
    if (rename(fresh, path) != 0)
        return errno;
    return sync_directory(state->path);
}

int state_write_clean(const struct store_state *state)
{
    return state->path.len ? write_record(state, true) : 0;
}

int state_set_sync(struct store_state *state, bool sync)
{
    /* Once unsynced, what is in the file stays unsynced: sync only ever goes away here. */
    if (state->path.len == 0 || sync || !state->is_synced)
        return 0;
    state->is_synced = false;
    return write_record(state, false);
}

int state_restore_sync(struct store_state *state)
{
    int error = store_file_sync(state->path);
    if (error)
        return error;
    state->is_synced = true;
    return write_record(state, false);
}

/* --- directory and lock --- */

static int make_directory(slice path)
{
    char text[PATH_MAX];
    if (path.len > PATH_LIMIT)
        return ENAMETOOLONG;
    for (size_t end = 1; end <= path.len; end++) {
        if (end < path.len && path.ptr[end] != '/')
            continue;
        snprintf(text, sizeof(text), "%" SLICE_FMT, (int)end, path.ptr);
        if (mkdir(text, end == path.len ? 0700 : 0755) != 0 && errno != EEXIST)
            return errno;
    }
    return 0;
}

/* A directory of our own, not a link to somewhere, and not open to others' writing. */
static bool directory_is_safe(slice path, const struct user_identity *owner, char *text)
{
    char name[PATH_MAX];
    struct stat status;
    snprintf(name, sizeof(name), "%" SLICE_FMT, SLICE_ARG(path));
    const char *wrong = NULL;
    if (lstat(name, &status) != 0)
        wrong = strerror(errno);
    else if (S_ISLNK(status.st_mode))
        wrong = "is a symbolic link; name the directory itself";
    else if (!S_ISDIR(status.st_mode))
        wrong = "is not a directory";
    else if (status.st_uid != geteuid() && !(owner->name[0] && status.st_uid == owner->uid))
        wrong = "belongs to another user";
    else if (chmod(name, 0700) != 0)
        wrong = strerror(errno);
    if (wrong)
        snprintf(text, STATE_ERROR_BYTES, "store.path: %.300s: %s", name, wrong);
    return wrong == NULL;
}

static pid_t read_pid(int fd)
{
    char digits[24] = {0};
    if (pread(fd, digits, sizeof(digits) - 1, 0) <= 0)
        return 0;
    long pid = strtol(digits, NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* A process that was killed and not yet reaped by its parent holds nothing any more. */
static bool is_zombie(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    const char *name_end = length > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' && (name_end[2] == 'Z' || name_end[2] == 'X');
}

static bool is_alive(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

/* Waits only where the holder's master is gone: its workers die with it, but not in the same
 * instant. */
static bool lock_file(int fd)
{
    for (int waited = 0;; waited += LOCK_STEP_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK || waited >= LOCK_WAIT_MS || is_alive(read_pid(fd)))
            return false;
        poll(NULL, 0, LOCK_STEP_MS);
    }
}

static int write_pid(int fd)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, digits, (size_t)length, 0) != length)
        return errno ? errno : ENOSPC;
    return 0;
}

static enum store_open take_lock(struct store_state *state, char *text)
{
    char path[PATH_MAX];
    int fd = -1;
    if (join(path, state->path, "lock"))
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        snprintf(text, STATE_ERROR_BYTES, "store.path: cannot make %.300s: %s", path,
                 strerror(errno));
        return STORE_UNUSABLE;
    }
    if (!lock_file(fd)) {
        snprintf(text, STATE_ERROR_BYTES,
                 "store.path: %" SLICE_FMT " is in use by a running varve, pid %d: give this one "
                 "a directory of its own, by store.path or --store DIR",
                 SLICE_ARG(slice_until(state->path, 300)), (int)read_pid(fd));
        close(fd);
        return STORE_IN_USE;
    }
    int error = write_pid(fd);
    if (error) {
        snprintf(text, STATE_ERROR_BYTES, "store.path: cannot write %.300s: %s", path,
                 strerror(error));
        close(fd);
        return STORE_UNUSABLE;
    }
    state->lock = fd;
    return STORE_OPENED;
}

static enum store_open prepare(struct store_state *state, char *text)
{
    int error = make_directory(state->path);
    if (error) {
        snprintf(text, STATE_ERROR_BYTES, "store.path: cannot make %" SLICE_FMT ": %s",
                 SLICE_ARG(slice_until(state->path, 300)), strerror(error));
        return STORE_UNUSABLE;
    }
    if (!directory_is_safe(state->path, &state->owner, text))
        return STORE_UNUSABLE;
    return take_lock(state, text);
}

/* --- the whole --- */

static bool begin(struct store_state *state, char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%" SLICE_FMT, SLICE_ARG(state->path));
    int error = write_record(state, false); /* before there is data: data without state is bad */
    if (!error)
        error = give_tree(path, &state->owner);
    if (error)
        snprintf(text, STATE_ERROR_BYTES, "store.path: cannot write to %.300s: %s", path,
                 strerror(error));
    return error == 0;
}

/* Trusts, or sets aside, what is there. STORE_UNUSABLE: it could do neither. */
static enum store_open settle(struct store_state *state, bool sync, wall_time now, char *text)
{
    struct record record = {0};
    int result = read_record(state->path, &record);
    bool is_empty = !store_has_data(state->path);
    const char *why = is_empty ? NULL : judge(result, &record, state->path);
    state->is_synced = sync && (is_empty || why || record.is_clean || record.is_synced);
    if (!why)
        return STORE_OPENED;
    return set_aside(state->path, why, now, text) ? STORE_SET_ASIDE : STORE_UNUSABLE;
}

enum store_open state_open(struct store_state *state, slice path, bool sync,
                           const struct user_identity *owner, wall_time now, char *text)
{
    *state = (struct store_state){.path = path, .lock = -1, .owner = *owner};
    while (state->path.len > 1 && state->path.ptr[state->path.len - 1] == '/')
        state->path.len--;
    if (path.len == 0)
        return STORE_OPENED;
    enum store_open result = prepare(state, text);
    if (result != STORE_OPENED)
        return result;
    result = settle(state, sync, now, text);
    if (result == STORE_UNUSABLE || !begin(state, text)) {
        state_close(state);
        return STORE_UNUSABLE;
    }
    return result;
}

bool state_set_aside(struct store_state *state, const char *why, wall_time now, char *text)
{
    if (state->path.len == 0 || !set_aside(state->path, why, now, text))
        return false;
    char ignored[STATE_ERROR_BYTES];
    return begin(state, ignored);
}

void state_close(struct store_state *state)
{
    if (state->lock >= 0)
        close(state->lock);
    state->lock = -1;
}

slice store_purges_path(slice store, struct arena *arena)
{
    if (store.len == 0)
        return SLICE_NONE;
    return arena_printf(arena, "%" SLICE_FMT "/purges", SLICE_ARG(store));
}
