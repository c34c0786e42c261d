/*
 * Lines go into bounded buffers, one for stderr and one for the access log; a thread swaps each
 * full one for an empty one and writes it. A line is copied under a mutex that is never held over a
 * system call, so a caller waits for a memcpy at most. What does not fit is dropped and counted,
 * and the thread says so in the log once there is room again.
 *
 * Without the thread (before log_start, after log_stop, in a forked child) lines of the log are
 * written to stderr directly and access lines are dropped.
 */
#include "base/log.h"

#include "base/arena.h"
#include "base/log_format.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 20,
    POLL_MS = 100,
    STOP_PATIENCE = 10, /* polls without room, when stopping */
};

struct sink {
    int fd; /* writer thread only, once started; -1: none */
    /* shared: hold state.mutex */
    char *filling;
    size_t used;
    /* writer thread only */
    char *writing;
    bool is_failing; /* the last write was not complete */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* shared: hold mutex */
    bool is_started, is_stopping, wants_reopen;
    struct sink log, access;
    /* writer thread only */
    char *access_path;
    uint64_t dropped_told;
    /* start and stop only */
    pthread_t thread;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static atomic_int level_limit = LOG_LEVEL_INFO;
static _Atomic uint64_t dropped;
static atomic_bool is_impatient; /* log_stop() waits: not for ever on a pipe that nobody reads */

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_limit, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_limit, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

static void count_dropped(uint64_t lines)
{
    atomic_fetch_add_explicit(&dropped, lines, memory_order_relaxed);
}

/* --- callers --- */

/* Hold the mutex. */
static bool sink_add(struct sink *sink, const char *bytes, size_t count)
{
    if (BUFFER_BYTES - sink->used < count) {
        count_dropped(1);
        return false;
    }
    memcpy(sink->filling + sink->used, bytes, count);
    sink->used += count;
    pthread_cond_signal(&state.work);
    return true;
}

void log_line(enum log_level level, const char *phrase, const struct log_field *fields)
{
    if (!log_is_on(level))
        return;
    struct log_text text;
    log_format(&text, clock_now().wall, level, phrase, fields);
    pthread_mutex_lock(&state.mutex);
    bool is_started = state.is_started;
    if (is_started)
        sink_add(&state.log, text.bytes, text.used);
    pthread_mutex_unlock(&state.mutex);
    if (!is_started && write(STDERR_FILENO, text.bytes, text.used) != (ssize_t)text.used)
        count_dropped(1);
}

bool log_access(slice line)
{
    bool is_taken = false;
    pthread_mutex_lock(&state.mutex);
    if (!state.is_started)
        count_dropped(1);
    else if (!state.access_path)
        is_taken = true; /* the access log is off */
    else
        is_taken = sink_add(&state.access, line.ptr, line.len);
    pthread_mutex_unlock(&state.mutex);
    return is_taken;
}

/* --- the thread --- */

static bool is_file(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* One write that cannot block for long: into a pipe, PIPE_BUF bytes when poll() finds room. */
static ssize_t write_some(int fd, const char *bytes, size_t count, bool is_regular)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (!is_regular) {
        if (count > 4096)
            count = 4096;
        if (poll(&ready, 1, POLL_MS) == 0)
            return 0;
    }
    ssize_t written = write(fd, bytes, count);
    return written < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : written;
}

/* Returns how many bytes reached the descriptor. */
static size_t write_all(int fd, const char *bytes, size_t count)
{
    bool is_regular = is_file(fd);
    size_t done = 0;
    for (unsigned stalls = 0; done < count && stalls < STOP_PATIENCE;) {
        ssize_t written = write_some(fd, bytes + done, count - done, is_regular);
        if (written < 0)
            break;
        stalls = written == 0 && atomic_load(&is_impatient) ? stalls + 1 : 0;
        done += (size_t)written;
    }
    return done;
}

static uint64_t count_lines(const char *bytes, size_t count)
{
    uint64_t lines = 0;
    for (const char *end = bytes + count; bytes < end; lines++) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        bytes = newline ? newline + 1 : end;
    }
    return lines;
}

/* Hold the mutex; it is released while writing. */
static void sink_flush(struct sink *sink)
{
    size_t used = sink->used;
    char *bytes = sink->filling;
    if (used == 0)
        return;
    sink->filling = sink->writing;
    sink->writing = bytes;
    sink->used = 0;
    pthread_mutex_unlock(&state.mutex);
    size_t done = sink->fd >= 0 ? write_all(sink->fd, bytes, used) : 0;
    sink->is_failing = done < used;
    if (sink->is_failing)
        count_dropped(count_lines(bytes + done, used - done));
    pthread_mutex_lock(&state.mutex);
}

static int access_open(const char *path)
{
    if (strcmp(path, "-") == 0)
        return STDOUT_FILENO;
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void access_close(int fd)
{
    if (fd > STDERR_FILENO)
        close(fd);
}

/* Keeps the old file when the new one cannot be opened: better there than nowhere. */
static void access_reopen(void)
{
    if (!state.access_path)
        return;
    int fd = access_open(state.access_path);
    if (fd < 0) {
        log_error("access log not reopened", {"path", slice_of_string(state.access_path)},
                  {"errno", LOG_NUMBER(errno)});
        return;
    }
    access_close(state.access.fd);
    state.access.fd = fd;
}

/* Hold the mutex. Not while the log itself fails: each such line would be a dropped one again. */
static void tell_dropped(void)
{
    uint64_t now = log_dropped();
    if (now == state.dropped_told || state.log.is_failing)
        return;
    struct log_text text;
    struct log_field fields[] = {{"lines", LOG_NUMBER((int64_t)(now - state.dropped_told))}, {0}};
    log_format(&text, clock_now().wall, LOG_LEVEL_WARN, "log lines dropped", fields);
    if (sink_add(&state.log, text.bytes, text.used))
        state.dropped_told = now;
}

static void *write_lines(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&state.mutex);
    for (;;) {
        while (!state.log.used && !state.access.used && !state.wants_reopen && !state.is_stopping)
            pthread_cond_wait(&state.work, &state.mutex);
        if (state.wants_reopen) {
            state.wants_reopen = false;
            pthread_mutex_unlock(&state.mutex);
            access_reopen();
            pthread_mutex_lock(&state.mutex);
        }
        sink_flush(&state.access);
        sink_flush(&state.log);
        tell_dropped();
        if (state.is_stopping && !state.log.used && !state.access.used)
            break;
    }
    state.is_started = false; /* under the same lock: a later line goes straight to stderr */
    pthread_mutex_unlock(&state.mutex);
    return NULL;
}

static void before_fork(void)
{
    pthread_mutex_lock(&state.mutex);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&state.mutex);
}

/* The child has no thread; what is in the buffers is the parent's to write. */
static void after_fork_child(void)
{
    pthread_mutex_init(&state.mutex, NULL);
    pthread_cond_init(&state.work, NULL);
    state.is_started = state.is_stopping = state.wants_reopen = false;
    state.log.used = state.access.used = 0;
}

static void handle_forks(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void sink_fini(struct sink *sink)
{
    free(sink->filling);
    free(sink->writing);
    *sink = (struct sink){.fd = -1};
}

static void sink_init(struct sink *sink, int fd)
{
    sink_fini(sink); /* a forked child inherited buffers */
    *sink = (struct sink){.fd = fd, .filling = mem_alloc(BUFFER_BYTES)};
    sink->writing = mem_alloc(BUFFER_BYTES);
}

static int thread_start(void)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* SIGPIPE too: a lost reader is an error to count */
    int error = pthread_create(&state.thread, NULL, write_lines, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

static char *copy_path(slice path)
{
    char *copy = path.len ? mem_alloc(path.len + 1) : NULL;
    if (copy)
        memcpy(copy, path.ptr, path.len);
    return copy;
}

/* Takes the path. Hold the mutex. */
static int start(char *path, int fd)
{
    free(state.access_path); /* a forked child's, inherited */
    state.access_path = path;
    sink_init(&state.access, fd);
    sink_init(&state.log, STDERR_FILENO);
    state.is_stopping = state.wants_reopen = false;
    state.dropped_told = log_dropped();
    atomic_store(&is_impatient, false);
    int error = thread_start();
    state.is_started = error == 0;
    return error;
}

int log_start(slice access_path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, handle_forks);
    char *path = copy_path(access_path);
    int fd = path ? access_open(path) : -1;
    int error = path && fd < 0 ? errno : 0;
    pthread_mutex_lock(&state.mutex);
    if (!error)
        error = state.is_started ? EALREADY : start(path, fd);
    pthread_mutex_unlock(&state.mutex);
    if (error) {
        access_close(fd);
        if (state.access_path != path)
            free(path);
    }
    return error;
}

void log_stop(void)
{
    pthread_mutex_lock(&state.mutex);
    bool was_started = state.is_started;
    state.is_stopping = true;
    pthread_cond_signal(&state.work);
    pthread_mutex_unlock(&state.mutex);
    if (!was_started)
        return;
    atomic_store(&is_impatient, true);
    pthread_join(state.thread, NULL);
    access_close(state.access.fd);
    free(state.access_path);
    state.access_path = NULL;
    sink_fini(&state.log);
    sink_fini(&state.access);
}

void log_reopen(void)
{
    pthread_mutex_lock(&state.mutex);
    state.wants_reopen = true;
    pthread_cond_signal(&state.work);
    pthread_mutex_unlock(&state.mutex);
}
