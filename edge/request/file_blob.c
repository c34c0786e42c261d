/* See file_blob.h. */
#include "edge/request/file_blob.h"

#include "base/user_file.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* NULL with *cause. */
static struct blob *read_whole(int fd, size_t bytes, const char **cause)
{
    struct blob *blob = blob_new(bytes);
    ssize_t length = read(fd, blob->bytes, blob->len);
    if (length == (ssize_t)blob->len)
        return blob;
    *cause = length < 0 ? strerror(errno) : "it is being written";
    blob_unref(&blob);
    return NULL;
}

struct blob *file_blob(slice path, char *error, size_t error_bytes)
{
    const char *cause = NULL;
    size_t bytes;
    int fd = user_file_open(path, USER_FILE_SMALL, &bytes, &cause);
    struct blob *blob = fd >= 0 ? read_whole(fd, bytes, &cause) : NULL;
    if (!blob)
        snprintf(error, error_bytes, "cannot read \"%" SLICE_FMT "\": %s",
                 SLICE_ARG(slice_until(path, 80)), cause);
    if (fd >= 0)
        close(fd);
    return blob;
}
