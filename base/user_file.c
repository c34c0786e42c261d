/* See user_file.h. */
#include "base/user_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL_MAX_BYTES = 4 << 20, PATH_BYTES = 4096 };

static const char NOT_SMALL[] = "it must be a file of 1 byte to 4 MiB";

/* NULL: it will do. */
static const char *objection_to(const struct stat *status, enum user_file_rule rule)
{
    if (!S_ISREG(status->st_mode))
        return rule == USER_FILE_PLAIN ? "it is not a file" : NOT_SMALL;
    if (rule == USER_FILE_PLAIN)
        return NULL;
    if (status->st_size <= 0 || status->st_size > SMALL_MAX_BYTES)
        return NOT_SMALL;
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

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool has_control(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return true;
    return false;
}

const char *user_file_token(slice file, slice *token)
{
    *token = SLICE_NONE;
    while (file.len && is_white(file.ptr[0]))
        file = slice_from(file, 1);
    while (file.len && is_white(file.ptr[file.len - 1]))
        file.len--;
    if (file.len == 0)
        return "there is no token in it";
    if (has_control(file))
        return "a token is one line, without control characters";
    *token = file;
    return NULL;
}

bool user_file_read_token(slice path, char bytes[USER_TOKEN_MAX], slice *token, const char **cause)
{
    size_t length;
    int fd = user_file_open(path, USER_FILE_SECRET, &length, cause), code = 0;
    if (fd < 0)
        return false;
    ssize_t got = length <= USER_TOKEN_MAX ? read(fd, bytes, length) : 0;
    if (got < 0)
        *cause = strerror(code = errno);
    else if (length > USER_TOKEN_MAX)
        *cause = "the token is too long (the limit is 1024 bytes)";
    else if ((size_t)got < length)
        *cause = "it is being written";
    else
        *cause = user_file_token(slice_of(bytes, (size_t)got), token);
    close(fd);
    errno = code;
    return *cause == NULL;
}
