/*
 * The purge file: codec, replay, append, rewrite. The region's mutex already keeps our own workers
 * apart; the lock file does so for processes that share the store and not the region, and an
 * appender whose file was replaced by another's rename opens the new one.
 */
#include "cache/purge_file.h"

#include "base/arena.h"
#include "cache/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAGIC_BYTES = 8, BODY_BYTES = 32, RECORD_BYTES = 40, BATCH_RECORDS = 256 };

static const char magic[MAGIC_BYTES] = "varvepg1";

/* --- codec --- */

static void put_u64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static uint64_t checksum(const uint8_t *bytes)
{
    return hash_of(slice_of((const char *)bytes, BODY_BYTES));
}

static void encode(uint8_t *bytes, const struct purge_record *record)
{
    uint64_t head = (uint64_t)record->kind | (uint64_t)record->is_soft << 8 |
                    (uint64_t)record->prefix_bytes << 32;
    put_u64(bytes, head);
    put_u64(bytes + 8, record->value);
    put_u64(bytes + 16, record->host);
    put_u64(bytes + 24, record->stamp);
    put_u64(bytes + 32, checksum(bytes));
}

static bool decode(const uint8_t *bytes, struct purge_record *record)
{
    uint64_t head = get_u64(bytes);
    *record = (struct purge_record){.kind = (enum purge_record_kind)(head & 0xff),
                                    .is_soft = head >> 8 & 1,
                                    .prefix_bytes = (uint32_t)(head >> 32),
                                    .value = get_u64(bytes + 8),
                                    .host = get_u64(bytes + 16),
                                    .stamp = get_u64(bytes + 24)};
    bool has_key = record->kind == RECORD_VALUE    ? record->value != 0
                   : record->kind == RECORD_PREFIX ? record->host != 0
                                                   : true;
    return get_u64(bytes + 32) == checksum(bytes) && (head & 0xff) < RECORD_KIND_COUNT &&
           (head >> 8 & 0xfffffe) == 0 && has_key && record->stamp < PURGE_STAMP_MAX;
}

/* --- descriptors --- */

static char *path_print(slice path, const char *suffix)
{
    size_t suffix_bytes = strlen(suffix) + 1;
    char *text = mem_alloc(path.len + suffix_bytes);
    memcpy(text, path.ptr, path.len);
    memcpy(text + path.len, suffix, suffix_bytes);
    return text;
}

static int lock(struct purge_file *file)
{
    int result;
    do
        result = flock(file->lock_fd, LOCK_EX);
    while (result < 0 && errno == EINTR);
    return result < 0 ? errno : 0;
}

static void unlock(struct purge_file *file)
{
    flock(file->lock_fd, LOCK_UN);
}

int purge_file_open(struct purge_file *file, slice path, bool sync)
{
    char *lock_path = path_print(path, ".lock");
    int lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640), error = errno;
    free(lock_path);
    if (lock_fd < 0)
        return error;
    *file = (struct purge_file){path_print(path, ""), path_print(path, ".new"), -1, lock_fd, sync};
    return 0;
}

void purge_file_close(struct purge_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    close(file->lock_fd);
    free(file->path);
    free(file->new_path);
}

static bool is_at_path(const struct purge_file *file)
{
    struct stat open_status, path_status;
    return file->fd >= 0 && fstat(file->fd, &open_status) == 0 &&
           stat(file->path, &path_status) == 0 && open_status.st_ino == path_status.st_ino &&
           open_status.st_dev == path_status.st_dev;
}

/* Makes `fd` the file that is at the path now. */
static int reopen(struct purge_file *file)
{
    if (is_at_path(file))
        return 0;
    int fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    return 0;
}

static int read_fully(int fd, uint8_t *bytes, size_t count, off_t offset, size_t *done)
{
    *done = 0;
    while (*done < count) {
        ssize_t got = pread(fd, bytes + *done, count - *done, offset + (off_t)*done);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return errno;
        *done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int write_fully(int fd, const uint8_t *bytes, size_t count, off_t offset)
{
    for (size_t done = 0; done < count;) {
        ssize_t written = pwrite(fd, bytes + done, count - done, offset + (off_t)done);
        if (written < 0 && errno != EINTR)
            return errno;
        if (written == 0)
            return EIO;
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static bool has_magic(const struct purge_file *file)
{
    uint8_t bytes[MAGIC_BYTES];
    size_t done;
    return read_fully(file->fd, bytes, sizeof(bytes), 0, &done) == 0 && done == sizeof(bytes) &&
           memcmp(bytes, magic, sizeof(magic)) == 0;
}

/* --- replay --- */

static void replay_batch(const uint8_t *bytes, size_t count,
                         void (*visit)(void *arg, const struct purge_record *record), void *arg,
                         struct purge_replay *replay)
{
    for (size_t i = 0; i + RECORD_BYTES <= count; i += RECORD_BYTES) {
        struct purge_record record;
        replay->records++;
        if (decode(bytes + i, &record))
            visit(arg, &record);
        else
            replay->is_damaged = true;
    }
}

static int replay_locked(struct purge_file *file,
                         void (*visit)(void *arg, const struct purge_record *record), void *arg,
                         struct purge_replay *replay)
{
    uint8_t bytes[RECORD_BYTES * BATCH_RECORDS];
    size_t done = 0;
    int error = reopen(file);
    if (!error && !has_magic(file)) {
        replay->is_damaged = true;
        return 0;
    }
    for (off_t offset = MAGIC_BYTES; !error; offset += (off_t)done) {
        error = read_fully(file->fd, bytes, sizeof(bytes), offset, &done);
        replay_batch(bytes, done, visit, arg, replay);
        if (done < sizeof(bytes))
            break;
    }
    return error;
}

int purge_file_replay(struct purge_file *file,
                      void (*visit)(void *arg, const struct purge_record *record), void *arg,
                      struct purge_replay *replay)
{
    *replay = (struct purge_replay){0};
    int error = lock(file);
    if (error)
        return error;
    error = replay_locked(file, visit, arg, replay);
    unlock(file);
    return error;
}

/* --- append --- */

static int append_locked(struct purge_file *file, const uint8_t bytes[RECORD_BYTES],
                         uint64_t *records)
{
    struct stat status;
    int error = reopen(file);
    if (error)
        return error;
    if (fstat(file->fd, &status) < 0)
        return errno;
    if (status.st_size < MAGIC_BYTES || !has_magic(file))
        return EILSEQ;
    off_t end = status.st_size - (status.st_size - MAGIC_BYTES) % RECORD_BYTES;
    if (end < status.st_size && ftruncate(file->fd, end) < 0)
        return errno;
    error = write_fully(file->fd, bytes, RECORD_BYTES, end);
    if (!error && file->sync && fdatasync(file->fd) < 0)
        error = errno;
    if (!error)
        *records = (uint64_t)(end - MAGIC_BYTES) / RECORD_BYTES + 1;
    return error; /* what was half-written is behind the last whole record: the next one cuts it */
}

int purge_file_append(struct purge_file *file, const struct purge_record *record, uint64_t *records)
{
    uint8_t bytes[RECORD_BYTES];
    encode(bytes, record);
    int error = lock(file);
    if (error)
        return error;
    error = append_locked(file, bytes, records);
    unlock(file);
    return error;
}

/* --- rewrite --- */

struct writer {
    int fd;
    off_t offset;
    size_t used;
    uint8_t bytes[RECORD_BYTES * BATCH_RECORDS];
};

static int writer_flush(struct writer *writer)
{
    int error = write_fully(writer->fd, writer->bytes, writer->used, writer->offset);
    writer->offset += (off_t)writer->used;
    writer->used = 0;
    return error;
}

static int write_record(void *arg, const struct purge_record *record)
{
    struct writer *writer = arg;
    encode(writer->bytes + writer->used, record);
    writer->used += RECORD_BYTES;
    return writer->used == sizeof(writer->bytes) ? writer_flush(writer) : 0;
}

static int write_region(int fd, const struct purge_region *region)
{
    struct writer writer = {.fd = fd, .offset = MAGIC_BYTES};
    int error = write_fully(fd, (const uint8_t *)magic, MAGIC_BYTES, 0);
    if (!error)
        error = purge_region_each(region, write_record, &writer);
    return error ? error : writer_flush(&writer);
}

static int sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? path_print(slice_of(path, (size_t)(slash - path) + 1), "")
                            : path_print(SLICE("."), "");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    free(directory);
    return error;
}

static int rewrite_locked(struct purge_file *file, const struct purge_region *region)
{
    unlink(
        file->new_path); /* left by a crash; O_EXCL then makes sure that this is a file of ours */
    int fd = open(file->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return errno;
    int error = write_region(fd, region);
    if (!error && file->sync && fsync(fd) < 0)
        error = errno;
    if (!error && rename(file->new_path, file->path) < 0)
        error = errno;
    if (error) {
        close(fd);
        unlink(file->new_path);
        return error;
    }
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    return file->sync ? sync_directory(file->path) : 0;
}

int purge_file_rewrite(struct purge_file *file, const struct purge_region *region)
{
    int error = lock(file);
    if (error)
        return error;
    error = rewrite_locked(file, region);
    unlock(file);
    return error;
}
