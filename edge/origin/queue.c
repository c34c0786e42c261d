#include "edge/origin/queue.h"

#include "base/must.h"

void queue_init(struct queue *queue)
{
    *queue = (struct queue){0};
    for (size_t i = 0; i <= QUEUE_RANKS; i++)
        list_init(&queue->ranks[i]);
    list_init(&queue->ages);
}

static void count(struct queue *queue, const struct queue_entry *entry, int by)
{
    unsigned *counter = entry->rank == QUEUE_BACKGROUND ? &queue->background : &queue->waiting;
    *counter += (unsigned)by;
}

void queue_add(struct queue *queue, struct queue_entry *entry, unsigned rank, bool at_front)
{
    MUST(rank <= QUEUE_BACKGROUND);
    entry->rank = rank;
    if (at_front)
        list_prepend(&queue->ranks[rank], &entry->by_rank);
    else
        list_append(&queue->ranks[rank], &entry->by_rank);
    entry->by_age = (struct list){0};
    if (rank != QUEUE_BACKGROUND && at_front)
        list_prepend(&queue->ages, &entry->by_age);
    else if (rank != QUEUE_BACKGROUND)
        list_append(&queue->ages, &entry->by_age);
    count(queue, entry, 1);
}

void queue_remove(struct queue *queue, struct queue_entry *entry)
{
    list_remove(&entry->by_rank);
    list_remove(&entry->by_age);
    count(queue, entry, -1);
}

void queue_move(struct queue *queue, struct queue_entry *entry, unsigned rank)
{
    MUST(rank <= QUEUE_BACKGROUND);
    if (rank == entry->rank)
        return;
    if (rank == QUEUE_BACKGROUND || entry->rank == QUEUE_BACKGROUND) {
        queue_remove(queue, entry);
        queue_add(queue, entry, rank, false);
        return;
    }
    list_remove(&entry->by_rank);
    list_append(&queue->ranks[rank], &entry->by_rank);
    entry->rank = rank;
}

/* --- the order --- */

static bool is_turn_of_oldest(const struct queue *queue)
{
    return queue->turn % QUEUE_OLDEST_EVERY == QUEUE_OLDEST_EVERY - 1;
}

static struct queue_entry *first_from(const struct queue *queue, unsigned rank)
{
    for (; rank <= QUEUE_BACKGROUND; rank++)
        if (!list_is_empty(&queue->ranks[rank]))
            return container_of(queue->ranks[rank].next, struct queue_entry, by_rank);
    return NULL;
}

static struct queue_entry *next_by_rank(const struct queue *queue, const struct queue_entry *after)
{
    if (after->by_rank.next != &queue->ranks[after->rank])
        return container_of(after->by_rank.next, struct queue_entry, by_rank);
    return first_from(queue, after->rank + 1);
}

static struct queue_entry *next_by_age(const struct queue *queue, const struct queue_entry *after)
{
    const struct list *next = after ? after->by_age.next : queue->ages.next;
    if (next != &queue->ages)
        return container_of(next, struct queue_entry, by_age);
    return first_from(queue, QUEUE_BACKGROUND);
}

struct queue_entry *queue_next(const struct queue *queue, const struct queue_entry *after)
{
    bool is_person = !after || after->rank != QUEUE_BACKGROUND;
    if (is_turn_of_oldest(queue) && is_person)
        return next_by_age(queue, after);
    return after ? next_by_rank(queue, after) : first_from(queue, 0);
}

void queue_served(struct queue *queue)
{
    queue->turn++;
}

/* --- who may have what is free, who may wait --- */

bool queue_is_reserved(unsigned reserved, unsigned free_slots, unsigned live_slots)
{
    if (live_slots > 0 && reserved > live_slots - 1)
        reserved = live_slots - 1;
    return free_slots <= reserved && live_slots > 0;
}

void render_mean_note(struct render_mean *mean, duration render)
{
    enum { RENDERS = 32, LONGEST_MS = 24 * 3600 * 1000 };
    int64_t us = (render.ms < LONGEST_MS ? render.ms : LONGEST_MS) * 1000;
    if (mean->count < RENDERS)
        mean->count++;
    mean->us += (us - mean->us) / mean->count;
}

static uint64_t scaled(const struct queue_limits *limits, unsigned at, unsigned live_slots)
{
    return limits->per_slot ? (uint64_t)at * live_slots : at;
}

static bool waits_too_long(const struct queue_load *load)
{
    if (load->live_slots == 0 || load->render_us <= 0)
        return false;
    uint64_t wait_us = (uint64_t)load->waiting * (uint64_t)load->render_us / load->live_slots;
    return wait_us / 1000 > (uint64_t)load->first_byte.ms;
}

enum queue_verdict queue_admit(const struct queue_limits *limits, const struct queue_load *load,
                               bool has_shell)
{
    unsigned at = has_shell ? limits->shell_at : limits->shed_at;
    if (load->waiting < scaled(limits, at, load->live_slots) && !waits_too_long(load))
        return QUEUE_WAIT;
    return has_shell ? QUEUE_SHELL : QUEUE_SHED;
}
