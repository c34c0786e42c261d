/* See user_file.h. */
#include "base/user_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL_MAX_BYTES = 4 << 20, PATH_BYTES = 4096 };

/* NULL: it will do. */
static const char *objection_to(const struct stat *status, enum user_file_rule rule)
{
    if (!S_ISREG(status->st_mode))
        return rule == USER_FILE_PLAIN ? "it is not a file"
                                       : "it must be a file of 1 byte to 4 MiB";
    if (rule == USER_FILE_PLAIN)
        return NULL;
    if (status->st_size <= 0 || status->st_size > SMALL_MAX_BYTES)
        return "it must be a file of 1 byte to 4 MiB";
    if (rule == USER_FILE_SECRET && (status->st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return "it is a secret, but others may read or change it: chmod 600 it";
    return NULL;
}

static int open_path(slice path)
{
    char name[PATH_BYTES];
    int length = snprintf(name, sizeof(name), "%" SLICE_FMT, SLICE_ARG(path));
    errno = ENAMETOOLONG;
    return length < PATH_BYTES ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
}

int user_file_open(slice path, enum user_file_rule rule, size_t *bytes, const char **cause)
{
    struct stat status;
    int fd = open_path(path), code = 0;
    const char *objection = NULL;
    if (fd < 0 || fstat(fd, &status) != 0)
        code = errno;
    else
        objection = objection_to(&status, rule);
    if (code == 0 && !objection) {
        *bytes = (size_t)status.st_size;
        return fd;
    }
    *cause = objection ? objection : strerror(code);
    if (fd >= 0)
        close(fd);
    errno = code;
    return -1;
}
