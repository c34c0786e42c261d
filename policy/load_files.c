/*
 * What a policy names on this machine and varve cannot do without: files to be read, users. Said
 * while the file is checked, with its line, and all at once; not by the process that needs them.
 * Most files are read when root has been given up: then `user` must be able to.
 */
#include "policy/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN = 300, GROUPS_MAX = 256 };

static const char *advice_for(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return ": make it, or give another path";
    case EACCES:
        return ": let varve read it, or give another path";
    default:
        return "";
    }
}

/* In a process of its own, for there is no way back: errno as an exit status. 0 also if it cannot
 * be found out. */
static _Noreturn void try_as(const struct passwd *user, const gid_t *groups, size_t count,
                             const char *path)
{
    if (setgroups(count, groups) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)
        _exit(0);
    _exit(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) >= 0 ? 0 : errno);
}

/* 0, or errno of that user. */
static int open_as(const struct passwd *user, const char *path)
{
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX, status = 0;
    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        count = GROUPS_MAX;
    pid_t child = fork();
    if (child == 0)
        try_as(user, groups, (size_t)count, path);
    if (child < 0)
        return 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/* That of the policy, where varve becomes it; else NULL. */
static const struct passwd *later_user(struct loader *l)
{
    const struct yaml_node *user = yaml_get(l->root, SLICE("user"));
    if (geteuid() != 0 || !user || user->kind != YAML_SCALAR || user->text.len == 0)
        return NULL;
    return getpwnam(arena_copy(&l->scratch, user->text).ptr);
}

static void check_rights(struct loader *l, const struct setting *s, const struct yaml_node *node,
                         slice path)
{
    const struct passwd *user = later_user(l);
    int code = user ? open_as(user, arena_copy(&l->scratch, path).ptr) : 0;
    if (code)
        fail(l, node,
             "\"%" SLICE_FMT "\": cannot read \"%" SLICE_FMT "\" as user \"%s\": %s: let that user "
             "read it, and search the directories above",
             SLICE_ARG(s->key), SLICE_ARG(slice_until(path, SHOWN)), user->pw_name, strerror(code));
}

/* As whoever reads it finds it; *cause and errno as of user_file_open(). */
static bool will_do(slice path, enum user_file_rule rule, const char **cause)
{
    char bytes[USER_TOKEN_MAX];
    slice token;
    size_t length;
    if (rule == USER_FILE_SECRET)
        return user_file_read_token(path, bytes, &token, cause);
    int fd = user_file_open(path, rule, &length, cause);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void check_file(struct loader *l, const struct setting *s, const struct yaml_node *node, slice path)
{
    const char *cause;
    if (!l->checks_machine || s->file == USER_FILE_NONE)
        return;
    if (!will_do(path, s->file, &cause)) {
        fail(l, node, "\"%" SLICE_FMT "\": cannot read \"%" SLICE_FMT "\": %s%s", SLICE_ARG(s->key),
             SLICE_ARG(slice_until(path, SHOWN)), cause, advice_for(errno));
        return;
    }
    if (!s->is_read_as_root)
        check_rights(l, s, node, path);
}

void check_user(struct loader *l, const struct yaml_node *map)
{
    const struct yaml_node *user = yaml_get(map, SLICE("user"));
    bool stays_who_it_is = map == l->root && geteuid() != 0;
    if (!l->checks_machine || stays_who_it_is || !user || user->kind != YAML_SCALAR ||
        user->text.len == 0)
        return;
    if (!getpwnam(arena_copy(&l->scratch, user->text).ptr))
        fail(l, user,
             "\"user\": there is no user \"%" SLICE_FMT "\": make it with adduser --system",
             SLICE_ARG(slice_until(user->text, 64)));
}
