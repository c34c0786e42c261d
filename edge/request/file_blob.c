/* See file_blob.h. Opened without waiting: a pipe in the place of a file would stop the process. */
#include "edge/request/file_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 4 << 20, PATH_BYTES = 4096 };

/* NULL: it will do. An empty file is refused: an editor may be about to write it. */
static const char *objection_to(const struct stat *status, bool is_secret)
{
    if (!S_ISREG(status->st_mode) || status->st_size <= 0 || status->st_size > FILE_MAX_BYTES)
        return "it must be a file of 1 byte to 4 MiB";
    if (is_secret && (status->st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return "it is a secret, but others may read or change it: chmod 600 it";
    return NULL;
}

/* NULL with *cause. */
static struct blob *read_whole(int fd, bool is_secret, const char **cause)
{
    struct stat status;
    *cause = fstat(fd, &status) == 0 ? objection_to(&status, is_secret) : strerror(errno);
    if (*cause)
        return NULL;
    struct blob *blob = blob_new((size_t)status.st_size);
    ssize_t length = read(fd, blob->bytes, blob->len);
    if (length == (ssize_t)blob->len)
        return blob;
    *cause = length < 0 ? strerror(errno) : "it is being written";
    blob_unref(&blob);
    return NULL;
}

static struct blob *read_file(slice path, bool is_secret, char *error, size_t error_bytes)
{
    char name[PATH_BYTES];
    const char *cause = NULL;
    struct blob *blob = NULL;
    int length = snprintf(name, sizeof(name), "%" SLICE_FMT, SLICE_ARG(path));
    errno = ENAMETOOLONG;
    int fd = length < PATH_BYTES ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        cause = strerror(errno);
    else
        blob = read_whole(fd, is_secret, &cause);
    if (!blob)
        snprintf(error, error_bytes, "cannot read \"%.80s\": %s", name, cause);
    if (fd >= 0)
        close(fd);
    return blob;
}

struct blob *file_blob(slice path, char *error, size_t error_bytes)
{
    return read_file(path, false, error, error_bytes);
}

struct blob *file_blob_secret(slice path, char *error, size_t error_bytes)
{
    return read_file(path, true, error, error_bytes);
}
