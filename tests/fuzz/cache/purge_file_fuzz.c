/*
 * The purge file, whatever is in it: attaching neither crashes nor fails, what was attached can be
 * purged further, and a second start agrees with the first. The first byte of the input chooses:
 * the rest raw, or behind the right magic, or cut into records that get right checksums, so that
 * the fuzzer is not stopped by them.
 */
#include "base/must.h"
#include "cache/key.h"
#include "cache/purge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BODY_BYTES = 32, RECORD_BYTES = 40, INPUT_MAX = 1 << 16 };

static char directory[] = "/tmp/varve-purge-fuzz-XXXXXX", path[64];
static const wall_time now = {1800000000000};

static void remove_files(void)
{
    static const char *const suffixes[] = {"", ".lock", ".new"};
    char name[80];
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
    rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    MUST(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/purges", directory);
    atexit(remove_files);
    return 0;
}

static void put(int fd, const void *bytes, size_t count)
{
    MUST(write(fd, bytes, count) == (ssize_t)count);
}

static void put_record(int fd, const uint8_t *body)
{
    uint64_t sum = hash_of(slice_of((const char *)body, BODY_BYTES));
    put(fd, body, BODY_BYTES);
    put(fd, &sum, sizeof(sum));
}

static void file_make(const uint8_t *bytes, size_t count, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    if (mode != 0)
        put(fd, "varvepg1", 8);
    for (; mode == 2 && count >= BODY_BYTES; bytes += BODY_BYTES, count -= BODY_BYTES)
        put_record(fd, bytes);
    put(fd, bytes, count);
    close(fd);
}

struct attached {
    void *region;
    struct purge_table *table;
};

static struct attached attach(void)
{
    char error[256];
    struct attached attached;
    attached.region = mmap(NULL, purge_table_bytes(), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(attached.region != MAP_FAILED);
    purge_table_init(attached.region);
    attached.table = purge_attach(attached.region, slice_of_string(path), false, now, error);
    MUST(attached.table != NULL || strstr(error, strerror(EOVERFLOW)));
    return attached;
}

static void detach(struct attached *attached)
{
    if (attached->table)
        purge_detach(attached->table);
    munmap(attached->region, purge_table_bytes());
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0 || count > INPUT_MAX)
        return 0;
    file_make(bytes + 1, count - 1, bytes[0] % 3);
    struct attached first = attach();
    if (!first.table) { /* stamps of the year 6429: refused */
        detach(&first);
        return 0;
    }
    struct purge_order order = {.kind = PURGE_URL, .host = SLICE("h"), .path = SLICE("/a")};
    struct purge_subject subject = {.host = order.host, .path = order.path};
    subject.stamp = purge_stamp(first.table);
    uint64_t stamp;
    MUST(purge_check(first.table, &subject) == PURGE_ALIVE); /* nothing is newer than the stamp */
    MUST(purge_add(first.table, &order, now, &stamp) == 0 && stamp > subject.stamp);
    MUST(purge_check(first.table, &subject) == PURGE_DEAD);
    struct attached second = attach();
    MUST(purge_check(second.table, &subject) == PURGE_DEAD);
    struct purge_stats a = purge_stats(first.table), b = purge_stats(second.table);
    MUST(a.floor_stamp == b.floor_stamp && a.prefixes == b.prefixes);
    detach(&first);
    detach(&second);
    return 0;
}
