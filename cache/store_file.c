/*
 * LMDB's file, as the master sees it, which does not open it with LMDB.
 *
 * Is it as long as it says? LMDB opens a truncated one without complaint, and the first
 * read behind its end is a SIGBUS. It has no call for this, so its two meta pages are read here.
 */
#include "cache/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static const char data_file[] = "/f1/data.mdb";

/* The beginning of an LMDB 0.9 page that holds a meta struct, 64-bit. */
struct lmdb_db {
    uint32_t pad; /* of the first one: the page size */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};
struct lmdb_meta_page {
    uint64_t page_number;
    uint16_t pad, flags, lower, upper;
    uint32_t magic, version;
    uint64_t address, map_size;
    struct lmdb_db dbs[2];
    uint64_t last_page, txnid;
};
enum { LMDB_MAGIC = (int)0xBEEFC0DE, LMDB_VERSION = 1 };

static bool read_meta_page(int fd, off_t at, struct lmdb_meta_page *page)
{
    return pread(fd, page, sizeof(*page), at) == (ssize_t)sizeof(*page) &&
           page->magic == (uint32_t)LMDB_MAGIC && page->version == LMDB_VERSION;
}

static bool fd_is_whole(int fd)
{
    struct stat st;
    struct lmdb_meta_page first, second;
    if (fstat(fd, &st) != 0 || !read_meta_page(fd, 0, &first))
        return false;
    uint64_t page_bytes = first.dbs[0].pad;
    if (page_bytes < 512 || page_bytes > 65536 || !read_meta_page(fd, (off_t)page_bytes, &second))
        return false;
    uint64_t last = first.txnid > second.txnid ? first.last_page : second.last_page;
    return last < UINT64_MAX / page_bytes - 1 && (uint64_t)st.st_size >= (last + 1) * page_bytes;
}

/* -1 with errno. */
static int open_data_file(slice path)
{
    char name[PATH_BYTES];
    if (path.len + sizeof(data_file) > sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(name, sizeof(name), "%" SLICE_FMT "%s", SLICE_ARG(path), data_file);
    return open(name, O_RDONLY | O_CLOEXEC);
}

bool store_file_is_whole(slice path)
{
    int fd = open_data_file(path);
    if (fd < 0)
        return errno == ENOENT;
    bool is_whole = fd_is_whole(fd);
    close(fd);
    return is_whole;
}

int store_file_sync(slice path)
{
    int fd = open_data_file(path);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}
