/*
 * One memfd with a header and three regions, each starting on a page. The size is sealed, so that
 * no process can cut it short under the others (which would be SIGBUS for all of them).
 */
#include "edge/proc/shared.h"

#include "base/utf8.h"
#include "cache/purge.h"
#include "edge/origin/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, NOTE_BYTES = 100 };
static const uint64_t MAGIC = 0x3176726168537676; /* "vvShrv1" */

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Offsets and total size; they depend on this build alone. */
static struct shared layout(void)
{
    struct shared plan = {.magic = MAGIC};
    plan.offset_slots = whole_pages(sizeof(struct shared));
    plan.offset_purges = plan.offset_slots + whole_pages(slots_region_bytes());
    plan.offset_counters = plan.offset_purges + whole_pages(purge_table_bytes());
    plan.bytes = plan.offset_counters + whole_pages(counters_region_bytes());
    return plan;
}

static struct shared *map(int fd, uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int fill_random(void *bytes, size_t count)
{
    ssize_t got = getrandom(bytes, count, 0); /* up to 256 bytes come whole: getrandom(2) */
    if (got == (ssize_t)count)
        return 0;
    if (got >= 0)
        errno = EIO;
    return -1;
}

static int format(struct shared *shared, const struct shared *plan)
{
    if (fill_random(shared->ticket_key, sizeof(shared->ticket_key)) != 0)
        return -1;
    shared->bytes = plan->bytes;
    shared->master = getpid();
    shared->offset_slots = plan->offset_slots;
    shared->offset_purges = plan->offset_purges;
    shared->offset_counters = plan->offset_counters;
    mode_init(&shared->mode, clock_now().mono);
    slots_region_init(shared_slots(shared));
    purge_table_init(shared_purges(shared));
    counters_region_init(shared_counters(shared));
    shared->magic = plan->magic;
    return 0;
}

struct shared *shared_make(int *fd)
{
    struct shared plan = layout(), *shared = NULL;
    int memory = memfd_create("varve", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0)
        return NULL;
    if (ftruncate(memory, (off_t)plan.bytes) != 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        goto fail;
    shared = map(memory, plan.bytes);
    if (!shared || format(shared, &plan) != 0)
        goto fail;
    *fd = memory;
    return shared;
fail:;
    int error = errno;
    if (shared)
        munmap(shared, plan.bytes);
    close(memory);
    errno = error;
    return NULL;
}

static bool is_ours(const struct shared *shared, const struct shared *plan)
{
    return shared->magic == plan->magic && shared->bytes == plan->bytes &&
           shared->offset_slots == plan->offset_slots &&
           shared->offset_purges == plan->offset_purges &&
           shared->offset_counters == plan->offset_counters;
}

struct shared *shared_map(int fd)
{
    struct shared plan = layout();
    struct stat status;
    if (fstat(fd, &status) != 0)
        return NULL;
    if ((uint64_t)status.st_size != plan.bytes) {
        errno = EPROTO;
        return NULL;
    }
    struct shared *shared = map(fd, plan.bytes);
    if (shared && !is_ours(shared, &plan)) {
        munmap(shared, plan.bytes);
        errno = EPROTO;
        return NULL;
    }
    return shared;
}

void shared_unmap(struct shared *shared)
{
    if (shared)
        munmap(shared, shared->bytes);
}

void *shared_slots(struct shared *shared)
{
    return (char *)shared + shared->offset_slots;
}

void *shared_purges(struct shared *shared)
{
    return (char *)shared + shared->offset_purges;
}

void *shared_counters(struct shared *shared)
{
    return (char *)shared + shared->offset_counters;
}

/* --- what a reload says --- */

/* As many lines as have room, or what of a very long one has. */
static slice first_lines(slice text, size_t room)
{
    slice first = utf8_until(text, room);
    size_t end = first.len;
    while (end > 0 && end < text.len && text.ptr[end] != '\n')
        end--;
    return end ? slice_until(text, end) : first;
}

static size_t count_ends(slice text)
{
    size_t count = 0;
    for (size_t at = slice_find(text, '\n', 0); at < text.len; at = slice_find(text, '\n', at + 1))
        count++;
    return count;
}

void reload_text_write(char into[RELOAD_TEXT_BYTES], slice text)
{
    char note[NOTE_BYTES] = "";
    while (text.len && text.ptr[text.len - 1] == '\n')
        text.len--;
    bool fits = text.len < RELOAD_TEXT_BYTES;
    slice shown = fits ? text : first_lines(text, RELOAD_TEXT_BYTES - NOTE_BYTES);
    slice rest = slice_from(text, shown.len);
    size_t lines = count_ends(rest);
    if (lines)
        snprintf(note, sizeof(note), "%s\n%zu more line%s: see `varve check`, or the log",
                 rest.ptr[0] == '\n' ? "" : "…", lines, lines == 1 ? "" : "s");
    else if (rest.len)
        snprintf(note, sizeof(note), "…");
    snprintf(into, RELOAD_TEXT_BYTES, "%" SLICE_FMT "%s", SLICE_ARG(shown), note);
}
