/*
 * Taking and freeing slots needs no lock: a process that dies in the middle leaves either the old
 * word or the new one. The directory of workers changes rarely and has a robust lock, which
 * survives the death of its holder: each change of it is one field that may be read half-way.
 */
#include "edge/origin/slots.h"

#include "base/must.h"
#include "edge/origin/origin.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { ATTACHED_MAX = 8, ADDRESS_MAX_BYTES = 128 };
enum { STATE_BITS = 3, PID_BITS = 22, SINCE_SHIFT = STATE_BITS + PID_BITS };

struct attachment {
    atomic_int pid; /* 0: none */
    unsigned count;
    atomic_uint connections; /* any thread of that process */
};

struct slot_worker {
    /* directory: under the lock */
    char address[ADDRESS_MAX_BYTES]; /* a longer one: cut, its hash tells it apart */
    size_t address_bytes;            /* 0: this row is free */
    uint64_t address_hash;
    struct attachment attached[ATTACHED_MAX];
    /* any process */
    struct renderer renderer;
    atomic_uint used;
    _Atomic uint64_t slots[SLOTS_PER_WORKER_MAX];
};

struct table {
    pthread_mutex_t lock;
    _Atomic uint32_t freed;
    struct slot_worker workers[SLOT_WORKERS_MAX];
};

size_t slots_region_bytes(void)
{
    return sizeof(struct table);
}

void slots_region_init(void *region)
{
    struct table *table = region;
    memset(table, 0, sizeof(*table));
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    MUST(pthread_mutex_init(&table->lock, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
}

static void table_lock(struct table *table)
{
    int result = pthread_mutex_lock(&table->lock);
    if (result == EOWNERDEAD)
        result = pthread_mutex_consistent(&table->lock);
    MUST(result == 0);
}

/* --- words --- */

static uint64_t word_of(enum slot_state state, int pid, mono_time since)
{
    return (uint64_t)since.ms << SINCE_SHIFT | (uint64_t)(unsigned)pid << STATE_BITS | state;
}

static struct slot_view view_of(uint64_t word)
{
    return (struct slot_view){.state = (enum slot_state)(word & ((1u << STATE_BITS) - 1)),
                              .owner = (int)(word >> STATE_BITS & ((1u << PID_BITS) - 1)),
                              .since = {(int64_t)(word >> SINCE_SHIFT)}};
}

static bool swap(_Atomic uint64_t *slot, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong(slot, &from, to);
}

struct slot_view slot_view(const struct slot_worker *worker, unsigned index)
{
    return view_of(atomic_load(&worker->slots[index]));
}

unsigned slots_used(const struct slot_worker *worker)
{
    return atomic_load(&worker->used);
}

uint32_t slots_freed(const void *region)
{
    return atomic_load(&((const struct table *)region)->freed);
}

static void ring(void *region)
{
    atomic_fetch_add(&((struct table *)region)->freed, 1);
}

/* --- the directory --- */

static uint64_t hash_of(slice s)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * UINT64_C(1099511628211);
    return hash;
}

static bool is_at(const struct slot_worker *worker, slice address)
{
    slice kept = slice_until(address, ADDRESS_MAX_BYTES);
    return worker->address_bytes == address.len && worker->address_hash == hash_of(address) &&
           memcmp(worker->address, kept.ptr, kept.len) == 0;
}

static struct slot_worker *find_worker(struct table *table, slice address)
{
    struct slot_worker *vacant = NULL;
    for (size_t i = 0; i < SLOT_WORKERS_MAX; i++) {
        struct slot_worker *worker = &table->workers[i];
        if (worker->address_bytes > 0 && is_at(worker, address))
            return worker;
        if (worker->address_bytes == 0 && !vacant)
            vacant = worker;
    }
    if (!vacant)
        return NULL;
    slice kept = slice_until(address, ADDRESS_MAX_BYTES);
    memcpy(vacant->address, kept.ptr, kept.len);
    vacant->address_hash = hash_of(address);
    vacant->address_bytes = address.len;
    return vacant;
}

static struct attachment *attachment_of(struct slot_worker *worker, int pid)
{
    for (size_t i = 0; i < ATTACHED_MAX; i++)
        if (worker->attached[i].pid == pid)
            return &worker->attached[i];
    return NULL;
}

struct slot_worker *slots_attach(void *region, slice address, int pid)
{
    struct table *table = region;
    MUST(address.len > 0);
    table_lock(table);
    struct slot_worker *worker = find_worker(table, address);
    struct attachment *mine = worker ? attachment_of(worker, pid) : NULL;
    if (worker && !mine)
        mine = attachment_of(worker, 0);
    if (mine) {
        mine->pid = pid;
        mine->count++;
    }
    pthread_mutex_unlock(&table->lock);
    return mine ? worker : NULL;
}

static bool is_in_use(const struct slot_worker *worker)
{
    if (slots_is_drained(worker))
        return true; /* else it would be forgotten that it is */
    for (size_t i = 0; i < ATTACHED_MAX; i++)
        if (worker->attached[i].pid != 0)
            return true;
    for (unsigned i = 0; i < slots_used(worker); i++)
        if (slot_view(worker, i).state != SLOT_FREE)
            return true;
    return false;
}

static void forget_if_unused(struct slot_worker *worker)
{
    if (is_in_use(worker))
        return;
    for (unsigned i = 0; i < slots_used(worker); i++)
        atomic_store(&worker->slots[i], 0);
    atomic_store(&worker->used, 0);
    memset(&worker->renderer, 0, sizeof(worker->renderer));
    worker->address_bytes = 0;
}

static void let_go(struct attachment *attachment)
{
    attachment->count = 0;
    atomic_store(&attachment->connections, 0);
    atomic_store(&attachment->pid, 0);
}

void slots_detach(void *region, struct slot_worker *worker, int pid)
{
    struct table *table = region;
    table_lock(table);
    struct attachment *mine = attachment_of(worker, pid);
    if (mine && --mine->count == 0)
        let_go(mine);
    forget_if_unused(worker);
    pthread_mutex_unlock(&table->lock);
}

/* --- taking and freeing --- */

/* The longest-idle free slot and how many are not free. A smaller `limit` than a process before us
 * had still counts the slots above it. */
static int find_free(const struct slot_worker *worker, unsigned limit, uint64_t *word,
                     unsigned *busy_count)
{
    unsigned used = slots_used(worker), busy = 0;
    int best = -1;
    for (unsigned i = 0; i < used || i < limit; i++) {
        uint64_t candidate = atomic_load(&worker->slots[i]);
        if (view_of(candidate).state != SLOT_FREE)
            busy++;
        else if (i < limit && (best < 0 || candidate < *word)) {
            best = (int)i; /* state and pid of a free slot are 0: words compare as times */
            *word = candidate;
        }
    }
    *busy_count = busy;
    return busy < limit && slots_entry(worker) == GATE_OPEN ? best : -1;
}

static void raise_used(struct slot_worker *worker, unsigned used)
{
    unsigned old = atomic_load(&worker->used);
    while (old < used && !atomic_compare_exchange_weak(&worker->used, &old, used))
        ;
}

static unsigned clamp(unsigned limit)
{
    return limit < SLOTS_PER_WORKER_MAX ? limit : SLOTS_PER_WORKER_MAX;
}

int slot_take(struct slot_worker *worker, unsigned limit, int pid, mono_time now)
{
    raise_used(worker, clamp(limit)); /* before the swap: slots_owner_died() must see the slot */
    for (;;) {
        uint64_t word;
        unsigned busy;
        int index = find_free(worker, clamp(limit), &word, &busy);
        if (index < 0)
            return -1;
        if (!swap(&worker->slots[index], word, word_of(SLOT_BUSY, pid, now)))
            continue;
        if (slots_entry(worker) == GATE_OPEN) /* again: the master looks at slots behind its gate */
            return index;
        swap(&worker->slots[index], word_of(SLOT_BUSY, pid, now), word);
        return -1;
    }
}

bool slot_peek(const struct slot_worker *worker, unsigned limit, mono_time *idle_since,
               unsigned *busy)
{
    uint64_t word;
    if (find_free(worker, clamp(limit), &word, busy) < 0)
        return false;
    *idle_since = view_of(word).since;
    return true;
}

void slot_release(void *region, struct slot_worker *worker, unsigned index, int pid, mono_time now)
{
    uint64_t word = atomic_load(&worker->slots[index]);
    if (view_of(word).owner == pid && view_of(word).state != SLOT_OWNER_DEAD &&
        swap(&worker->slots[index], word, word_of(SLOT_FREE, 0, now)))
        ring(region);
}

bool slot_mark(struct slot_worker *worker, unsigned index, int pid, enum slot_state state)
{
    uint64_t word = atomic_load(&worker->slots[index]);
    struct slot_view view = view_of(word);
    return view.owner == pid && view.state != SLOT_OWNER_DEAD &&
           swap(&worker->slots[index], word, word_of(state, pid, view.since));
}

int slot_take_dead(struct slot_worker *worker, int pid, mono_time before)
{
    for (unsigned i = 0; i < slots_used(worker); i++) {
        uint64_t word = atomic_load(&worker->slots[i]);
        struct slot_view view = view_of(word);
        if (view.state == SLOT_OWNER_DEAD && view.since.ms < before.ms &&
            swap(&worker->slots[i], word, word_of(SLOT_PROBING, pid, view.since)))
            return (int)i;
    }
    return -1;
}

void slots_revive(void *region, struct slot_worker *worker, mono_time before, mono_time now)
{
    for (unsigned i = 0; i < slots_used(worker); i++) {
        uint64_t word = atomic_load(&worker->slots[i]);
        struct slot_view view = view_of(word);
        if (view.state == SLOT_OWNER_DEAD && view.since.ms < before.ms &&
            swap(&worker->slots[i], word, word_of(SLOT_FREE, 0, now)))
            ring(region);
    }
}

static void bury(struct slot_worker *worker, int pid)
{
    for (unsigned i = 0; i < slots_used(worker); i++) {
        uint64_t word = atomic_load(&worker->slots[i]);
        struct slot_view view = view_of(word);
        if (view.owner == pid && view.state != SLOT_OWNER_DEAD)
            swap(&worker->slots[i], word, word_of(SLOT_OWNER_DEAD, pid, view.since));
    }
    struct attachment *attachment = attachment_of(worker, pid);
    if (attachment)
        let_go(attachment);
    forget_if_unused(worker);
}

void slots_owner_died(void *region, int pid)
{
    struct table *table = region;
    table_lock(table);
    for (size_t i = 0; i < SLOT_WORKERS_MAX; i++)
        if (table->workers[i].address_bytes > 0)
            bury(&table->workers[i], pid);
    pthread_mutex_unlock(&table->lock);
    ring(region); /* a slot may now be another's to ask for */
}

/* --- processes --- */

struct renderer *slots_renderer(struct slot_worker *worker)
{
    return &worker->renderer;
}

enum gate slots_gate(const struct slot_worker *worker)
{
    return (enum gate)atomic_load(&worker->renderer.gate);
}

mono_time slots_gate_since(const struct slot_worker *worker)
{
    return (mono_time){atomic_load(&worker->renderer.gate_ms)};
}

mono_time slots_drained_since(const struct slot_worker *worker)
{
    return (mono_time){atomic_load(&worker->renderer.drained_ms)};
}

enum gate slots_entry(const struct slot_worker *worker)
{
    return slots_is_drained(worker) ? GATE_CLOSED : slots_gate(worker);
}

void slots_drain(void *region, struct slot_worker *worker, bool is_drained, mono_time now)
{
    int64_t not_yet = 0;
    if (is_drained)
        atomic_compare_exchange_strong(&worker->renderer.drained_ms, &not_yet,
                                       now.ms > 0 ? now.ms : 1);
    else
        atomic_store(&worker->renderer.drained_ms, 0);
    ring(region);
}

void slots_set_gate(void *region, struct slot_worker *worker, enum gate gate, mono_time now)
{
    atomic_store(&worker->renderer.gate_ms, now.ms);
    atomic_store(&worker->renderer.gate, (int)gate);
    ring(region);
}

void slots_bury_renders(void *region, struct slot_worker *worker, mono_time now)
{
    slots_revive(region, worker, (mono_time){INT64_MAX}, now);
}

void slots_count_connection(struct slot_worker *worker, int pid, int step)
{
    struct attachment *mine = attachment_of(worker, pid);
    if (mine)
        atomic_fetch_add(&mine->connections, (unsigned)step);
}

unsigned slots_awaited(const struct slot_worker *worker)
{
    unsigned count = 0;
    for (size_t i = 0; i < ATTACHED_MAX; i++)
        count += atomic_load(&worker->attached[i].connections);
    for (unsigned i = 0; i < slots_used(worker); i++)
        count += slot_view(worker, i).state == SLOT_BUSY;
    return count;
}
