/* See file_blob.h. Opened without waiting: a pipe in the place of a file would stop the process. */
#include "edge/request/file_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 4 << 20, PATH_BYTES = 4096 };

/* An empty file is refused: an editor may be about to write it. */
static struct blob *read_whole(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return NULL;
    if (!S_ISREG(status.st_mode) || status.st_size <= 0 || status.st_size > FILE_MAX_BYTES) {
        errno = EFBIG;
        return NULL;
    }
    struct blob *blob = blob_new((size_t)status.st_size);
    ssize_t length = read(fd, blob->bytes, blob->len);
    if (length == (ssize_t)blob->len)
        return blob;
    if (length >= 0)
        errno = EAGAIN; /* it is being written */
    blob_unref(&blob);
    return NULL;
}

struct blob *file_blob(slice path, char *error, size_t error_bytes)
{
    char name[PATH_BYTES];
    int length = snprintf(name, sizeof(name), "%" SLICE_FMT, SLICE_ARG(path));
    errno = ENAMETOOLONG;
    int fd = length < PATH_BYTES ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    struct blob *blob = fd < 0 ? NULL : read_whole(fd);
    if (!blob)
        snprintf(error, error_bytes, "cannot read \"%.80s\": %s", name,
                 errno == EFBIG ? "it must be a file of 1 byte to 4 MiB" : strerror(errno));
    if (fd >= 0)
        close(fd);
    return blob;
}
