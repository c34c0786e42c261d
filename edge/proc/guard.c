/* See guard.h. What the master writes: a process group to watch, or the same negated to forget. */
#include "edge/proc/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS_MAX = 1024, OWN_PIPE = 3 };

/* --- the guard --- */

struct groups {
    int32_t at[GROUPS_MAX];
    unsigned count;
};

static void note(struct groups *groups, int32_t word)
{
    if (word > 1 && groups->count < GROUPS_MAX)
        groups->at[groups->count++] = word;
    for (unsigned i = 0; word < -1 && i < groups->count; i++) {
        if (groups->at[i] != -word)
            continue;
        groups->at[i] = groups->at[--groups->count];
        return;
    }
}

static _Noreturn void watch(void)
{
    static struct groups groups;
    int32_t word;
    ssize_t got;
    while ((got = read(OWN_PIPE, &word, sizeof(word))) != 0)
        if (got == (ssize_t)sizeof(word))
            note(&groups, word);
        else if (got > 0 || errno != EINTR)
            break;
    for (unsigned i = 0; i < groups.count; i++)
        kill(-groups.at[i], SIGKILL);
    _exit(0);
}

/* Nothing of the master's stays open here: no socket, no lock, no log. Signals of a terminal or of
 * a service manager are the master's to follow. */
static _Noreturn void become_guard(int pipe)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "varve-guard");
    setsid();
    int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < OWN_PIPE; fd++)
        dup2(nowhere, fd);
    if (pipe != OWN_PIPE)
        dup2(pipe, OWN_PIPE);
    close_range(OWN_PIPE + 1, ~0u, 0);
    watch();
}

/* --- the master --- */

bool guard_start(struct guard *guard)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        become_guard(ends[0]);
    int error = errno;
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        errno = error;
        return false;
    }
    *guard = (struct guard){.pid = pid, .pipe = ends[1]};
    return true;
}

/* Four bytes into a pipe of 64 KiB that is read at once; a guard that died is noticed elsewhere. */
static void tell(const struct guard *guard, int32_t word)
{
    ssize_t written = guard->pid ? write(guard->pipe, &word, sizeof(word)) : 0;
    (void)written;
}

void guard_watch(const struct guard *guard, pid_t group)
{
    tell(guard, group);
}

void guard_forget(const struct guard *guard, pid_t group)
{
    tell(guard, -group);
}

bool guard_reap(struct guard *guard)
{
    if (!guard->pid || waitpid(guard->pid, NULL, WNOHANG) != guard->pid)
        return false;
    close(guard->pipe);
    *guard = (struct guard){0};
    return true;
}

void guard_stop(struct guard *guard)
{
    if (!guard->pid)
        return;
    close(guard->pipe);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *guard = (struct guard){0};
}
