/* What this machine, or the control group that we run in, has to offer (semantics 9.5). */
#include "policy/loader.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 512, THREADS_MAX = 256, STORE_FILES_MAX = 1000 };

/* The first line that begins with `prefix`, without it and without the newline. */
static bool read_line(const char *path, const char *prefix, char line[LINE_BYTES], slice *value)
{
    FILE *file = fopen(path, "re");
    bool found = false;
    if (!file)
        return false;
    while (!found && fgets(line, LINE_BYTES, file)) {
        *value = slice_of_string(line);
        if (value->len && value->ptr[value->len - 1] == '\n')
            value->len--;
        found = slice_starts_with(*value, slice_of_string(prefix));
        *value = slice_from(*value, strlen(prefix));
    }
    fclose(file);
    return found;
}

/* Our control group's directory (cgroup v2), cut to its parent with each call of parent_group(). */
static bool own_group(const char *root, char path[PATH_BYTES])
{
    char name[PATH_BYTES], line[LINE_BYTES];
    slice group;
    snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
    if (!read_line(name, "0::", line, &group))
        return false;
    int length = snprintf(path, PATH_BYTES, "%s/sys/fs/cgroup%" SLICE_FMT, root, SLICE_ARG(group));
    return length > 0 && length < PATH_BYTES - 32;
}

static bool parent_group(const char *root, char path[PATH_BYTES])
{
    size_t top = strlen(root) + strlen("/sys/fs/cgroup");
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) < top)
        return false;
    *slash = 0;
    return true;
}

static void lower_to(uint64_t *limit, const char *directory, const char *file)
{
    char path[PATH_BYTES + 64], line[LINE_BYTES];
    slice text;
    uint64_t bytes;
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    if (read_line(path, "", line, &text) && slice_to_u64(text, &bytes) && bytes < *limit)
        *limit = bytes;
}

static uint64_t total_memory(const char *root)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    slice text;
    uint64_t kib;
    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    if (!read_line(path, "MemTotal:", line, &text))
        return UINT64_MAX;
    while (text.len && text.ptr[0] == ' ')
        text = slice_from(text, 1);
    text = slice_until(text, slice_find(text, ' ', 0));
    return slice_to_u64(text, &kib) && kib < UINT64_MAX / 1024 ? kib * 1024 : UINT64_MAX;
}

uint64_t machine_memory_bytes(const char *root)
{
    uint64_t limit = total_memory(root);
    char group[PATH_BYTES], version1[PATH_BYTES];
    if (own_group(root, group)) {
        do
            lower_to(&limit, group, "memory.max");
        while (parent_group(root, group));
    }
    snprintf(version1, sizeof(version1), "%s/sys/fs/cgroup/memory", root);
    lower_to(&limit, version1, "memory.limit_in_bytes");
    return limit;
}

/* Processors that "QUOTA PERIOD" allows, rounded up; UINT_MAX: no limit. */
static unsigned quota_threads(slice text)
{
    size_t space = slice_find(text, ' ', 0);
    uint64_t quota, period;
    if (!slice_to_u64(slice_until(text, space), &quota) ||
        !slice_to_u64(slice_from(text, space + 1), &period) || period == 0 ||
        quota > UINT64_MAX - period)
        return THREADS_MAX;
    uint64_t count = (quota + period - 1) / period;
    return count == 0 ? 1 : count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

static unsigned affinity_threads(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

unsigned machine_threads(const char *root)
{
    unsigned threads = affinity_threads();
    char group[PATH_BYTES], path[PATH_BYTES + 64], line[LINE_BYTES];
    slice text;
    if (!own_group(root, group))
        return threads;
    do {
        snprintf(path, sizeof(path), "%s/cpu.max", group);
        if (!read_line(path, "", line, &text))
            continue;
        unsigned allowed = quota_threads(text);
        if (allowed < threads)
            threads = allowed;
    } while (parent_group(root, group));
    return threads;
}

/* Bytes on disk of the files in a directory, and of those one level below. */
static uint64_t directory_bytes(const char *path, unsigned levels)
{
    uint64_t sum = 0;
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    const struct dirent *entry;
    for (unsigned i = 0; i < STORE_FILES_MAX && (entry = readdir(directory)); i++) {
        struct stat status;
        char name[PATH_BYTES];
        int length = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || length >= PATH_BYTES || lstat(name, &status) != 0)
            continue;
        if (S_ISREG(status.st_mode))
            sum += (uint64_t)status.st_blocks * 512;
        else if (S_ISDIR(status.st_mode) && levels > 0)
            sum += directory_bytes(name, levels - 1);
    }
    closedir(directory);
    return sum;
}

uint64_t machine_free_disk_bytes(slice path)
{
    char name[PATH_BYTES];
    struct statvfs disk;
    if (path.len == 0 || path.len >= sizeof(name))
        return 0;
    memcpy(name, path.ptr, path.len);
    name[path.len] = 0;
    uint64_t own = directory_bytes(name, 1);
    while (statvfs(name, &disk) != 0) { /* not there yet: ask its parents */
        char *slash = strrchr(name, '/');
        if (!slash)
            return statvfs(".", &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
        if (slash == name && slash[1] == 0)
            return 0;
        slash[slash == name] = 0;
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize + own;
}
