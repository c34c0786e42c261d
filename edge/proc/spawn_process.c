/*
 * One renderer's process: made, and looked at from outside.
 *
 * It is the leader of a process group of its own (a Ctrl-C in varve's terminal is not for it, and
 * what it starts can be ended with it), has nothing of the master's open, no root where it needs
 * none, and dies with the master.
 */
#include "edge/proc/spawn_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATM_BYTES = 128, EXIT_CANNOT_EXECUTE = 127, ERROR_BYTES = 256 };

/* --- in the new process --- */

static _Noreturn void give_up(const char *what, const char *about, int error)
{
    dprintf(STDERR_FILENO, "varve: cannot %s %s: %s\n", what, about, strerror(error));
    _exit(EXIT_CANNOT_EXECUTE);
}

/* What the master blocks and ignores is its own affair. */
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void take_descriptors(int out, int err)
{
    int in = open("/dev/null", O_RDONLY);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(EXIT_CANNOT_EXECUTE);
    close_range(STDERR_FILENO + 1, ~0u, 0);
}

static void become_user(slice name)
{
    char error[ERROR_BYTES];
    struct user_identity user;
    if (!user_find(name, &user, error)) {
        dprintf(STDERR_FILENO, "varve: %s\n", error);
        _exit(EXIT_CANNOT_EXECUTE);
    }
    if (user.name[0] == '\0')
        return;
    const struct passwd *entry = getpwnam(user.name);
    setenv("USER", user.name, 1);
    setenv("LOGNAME", user.name, 1);
    setenv("HOME", entry ? entry->pw_dir : "/", 1);
    int code = privileges_drop(&user);
    if (code)
        give_up("become", user.name, code);
}

/* PORT is what frameworks read; node's server.listen() takes a path there, too. HOST keeps those
 * that read it from listening to the whole network. */
static void set_environment(const struct spawn_plan *plan)
{
    char port[sizeof("65535")];
    snprintf(port, sizeof(port), "%u", plan->port);
    if (plan->unix_path.len == 0)
        setenv("HOST", "127.0.0.1", 1);
    for (size_t i = 0; i < plan->env_count; i++)
        setenv(plan->env[i].name.ptr, plan->env[i].value.ptr, 1);
    setenv("PORT", plan->unix_path.len ? plan->unix_path.ptr : port, 1);
}

static _Noreturn void become_renderer(const struct spawned *spawned, int out, int err)
{
    const struct spawn_plan *plan = spawned->plan;
    setpgid(0, 0);
    take_descriptors(out, err);
    become_user(plan->user);
    if (!die_with_parent(spawned->spawns->master)) /* behind the change of user, which clears it */
        _exit(EXIT_CANNOT_EXECUTE);
    if (chdir(plan->directory.ptr) != 0)
        give_up("enter", plan->directory.ptr, errno);
    set_environment(plan);
    reset_signals();
    execv(plan->program.ptr, plan->argv);
    give_up("execute", plan->program.ptr, errno);
}

/* --- in the master --- */

static bool open_pipes(int out[2], int err[2])
{
    if (pipe2(out, O_CLOEXEC) != 0)
        return false;
    if (pipe2(err, O_CLOEXEC) == 0) {
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        fcntl(err[0], F_SETFL, O_NONBLOCK);
        return true;
    }
    int error = errno;
    close(out[0]);
    close(out[1]);
    errno = error;
    return false;
}

pid_t process_start(const struct spawned *spawned, int *out, int *err)
{
    int outs[2], errs[2];
    if (!open_pipes(outs, errs))
        return -1;
    fflush(NULL); /* or the child would write it a second time */
    pid_t pid = fork();
    int error = errno;
    if (pid == 0)
        become_renderer(spawned, outs[1], errs[1]);
    close(outs[1]);
    close(errs[1]);
    if (pid < 0) {
        close(outs[0]);
        close(errs[0]);
        errno = error;
        return -1;
    }
    setpgid(pid, pid); /* here too: whoever is first */
    *out = outs[0];
    *err = errs[0];
    return pid;
}

bool process_is_listening(const struct spawned *spawned)
{
    int fd = socket(spawned->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool is_connected =
        connect(fd, (const struct sockaddr *)&spawned->address, spawned->address_bytes) == 0;
    if (!is_connected && errno == EINPROGRESS && spawned->address.ss_family != AF_UNIX) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        int code = 0;
        socklen_t bytes = sizeof(code);
        /* over loopback the answer is there already; a full backlog is an answer, too */
        is_connected = poll(&ready, 1, 0) == 1 &&
                       getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &bytes) == 0 && code == 0;
    }
    close(fd);
    return is_connected;
}

uint64_t process_memory_bytes(pid_t pid)
{
    char path[64], text[STATM_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t count = read(fd, text, sizeof(text));
    close(fd);
    slice rest = slice_of(text, count > 0 ? (size_t)count : 0), word = SLICE_NONE;
    uint64_t pages;
    if (!slice_next(&rest, ' ', &word) || !slice_next(&rest, ' ', &word) ||
        !slice_to_u64(word, &pages))
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
