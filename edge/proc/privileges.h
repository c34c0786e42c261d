/*
 * Giving up root. The master stays root (it must open ports and reopen logs), the worker, which
 * reads what strangers send, does not.
 */
#pragma once

#include "base/slice.h"

#include <sys/types.h>

enum { USER_NAME_BYTES = 256 };

struct user_identity {
    char name[USER_NAME_BYTES]; /* empty: stay who we are */
    uid_t uid;
    gid_t gid;
};

/*
 * Whom to become: `user` of the policy when this process is root, else nobody (name stays empty).
 * False with a line in `error` (>= 256 bytes) when there is no such user.
 */
bool user_find(slice user, struct user_identity *identity, char *error);

/*
 * Becomes that user for good: groups, gid, uid, of all threads. Idempotent; an empty name does
 * nothing. 0 or errno.
 */
__attribute__((warn_unused_result)) int privileges_drop(const struct user_identity *identity);

/* SIGKILL for this process when its parent dies; false: the parent is gone already. To be called
 * again after a change of user, which clears it (prctl(2)). */
bool die_with_parent(pid_t parent);

/* Raises the limit of open files to the hard limit; returns what it is now. */
unsigned long raise_file_limit(void);

/* Makes an access log that the user can reopen: created if missing and then given to the user; an
 * existing file is left alone. Does nothing for "-", an empty path, or without a user. */
void log_file_prepare(slice path, const struct user_identity *identity);

/* Gives a directory and what is in it to the user, unless it is the user's already. 0 or errno. */
__attribute__((warn_unused_result)) int give_tree(const char *path,
                                                  const struct user_identity *identity);
