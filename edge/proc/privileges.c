/*
 * All that has to do with who we are. Files are given away only when we made them or when the whole
 * directory still is root's: following what the unprivileged user may have put there would let that
 * user have root chown a file of their choice.
 */
#include "edge/proc/privileges.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ERROR_BYTES = 256, PASSWD_BYTES = 16384, TREE_DEPTH = 8 };

bool user_find(slice user, struct user_identity *identity, char *error)
{
    char buffer[PASSWD_BYTES];
    struct passwd entry, *found = NULL;
    *identity = (struct user_identity){0};
    if (user.len == 0 || geteuid() != 0)
        return true;
    int length = snprintf(identity->name, USER_NAME_BYTES, "%" SLICE_FMT, SLICE_ARG(user));
    if (length >= USER_NAME_BYTES ||
        getpwnam_r(identity->name, &entry, buffer, sizeof(buffer), &found) != 0 || !found) {
        snprintf(error, ERROR_BYTES, "user: there is no user \"%.64s\"", identity->name);
        return false;
    }
    identity->uid = found->pw_uid;
    identity->gid = found->pw_gid;
    return true;
}

int privileges_drop(const struct user_identity *identity)
{
    if (identity->name[0] == '\0' || identity->uid == geteuid())
        return 0;
    if (initgroups(identity->name, identity->gid) != 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) != 0)
        return errno;
    return setuid(0) == 0 ? EPERM : 0; /* there must be no way back */
}

bool die_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == parent; /* it may have died before the call */
}

unsigned long raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return raised.rlim_cur;
    return limit.rlim_cur;
}

void log_file_prepare(slice path, const struct user_identity *identity)
{
    char text[PATH_MAX];
    if (identity->name[0] == '\0' || path.len == 0 || path.len >= sizeof(text) ||
        slice_equal(path, SLICE("-")))
        return;
    snprintf(text, sizeof(text), "%" SLICE_FMT, SLICE_ARG(path));
    int fd = open(text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return; /* there already, or the worker will say what is wrong when it opens it */
    if (fchown(fd, identity->uid, identity->gid) != 0)
        log_warn("cannot give the access log to the user", {"path", path},
                 {"error", slice_of_string(strerror(errno))});
    close(fd);
}

static _Thread_local const struct user_identity *new_owner; /* nftw() has no argument for it */

static int give_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return lchown(path, new_owner->uid, new_owner->gid);
}

int give_tree(const char *path, const struct user_identity *identity)
{
    struct stat status;
    if (identity->name[0] == '\0')
        return 0;
    if (lstat(path, &status) != 0)
        return errno;
    if (status.st_uid == identity->uid)
        return 0;
    new_owner = identity;
    return nftw(path, give_entry, TREE_DEPTH, FTW_PHYS | FTW_MOUNT | FTW_DEPTH) == 0 ? 0 : errno;
}
