#include "edge/origin/queue.h"

#include "base/must.h"

void queue_init(struct queue *queue)
{
    *queue = (struct queue){0};
    for (size_t i = 0; i <= QUEUE_RANKS; i++)
        list_init(&queue->ranks[i]);
    list_init(&queue->ages);
    list_init(&queue->loans);
}

static void count(struct queue *queue, const struct queue_entry *entry, int by)
{
    unsigned *counter = entry->rank == QUEUE_BACKGROUND ? &queue->background : &queue->waiting;
    *counter += (unsigned)by;
    queue->lent += (unsigned)(entry->is_lent ? by : 0);
}

void queue_add(struct queue *queue, struct queue_entry *entry, unsigned rank, bool at_front)
{
    MUST(rank <= QUEUE_BACKGROUND);
    entry->rank = rank;
    entry->is_lent = false;
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

void queue_lend(struct queue *queue, struct queue_entry *entry, unsigned rank)
{
    MUST(rank < QUEUE_RANKS);
    *entry = (struct queue_entry){.rank = rank, .is_lent = true};
    list_append(&queue->loans, &entry->by_rank);
    count(queue, entry, 1);
}

void queue_keep(struct queue *queue, struct queue_entry *entry)
{
    queue_remove(queue, entry);
    queue_add(queue, entry, entry->rank, false);
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
    if (!entry->is_lent) {
        list_remove(&entry->by_rank);
        list_append(&queue->ranks[rank], &entry->by_rank);
    }
    entry->rank = rank;
}

/* --- the order --- */

static bool is_turn_of_oldest(const struct queue *queue)
{
    return queue->turn % QUEUE_OLDEST_EVERY == QUEUE_OLDEST_EVERY - 1;
}

static struct queue_entry *entry_at(const struct list *node, const struct list *end)
{
    return node != end ? container_of(node, struct queue_entry, by_rank) : NULL;
}

/* Of the background, behind all people. */
static struct queue_entry *next_in_background(const struct queue *queue, const struct list *node)
{
    const struct list *background = &queue->ranks[QUEUE_BACKGROUND];
    return entry_at(node ? node->next : background->next, background);
}

/* Of the places on loan; behind them the background. */
static struct queue_entry *next_on_loan(const struct queue *queue, const struct list *node)
{
    struct queue_entry *next = entry_at(node ? node->next : queue->loans.next, &queue->loans);
    return next ? next : next_in_background(queue, NULL);
}

static struct queue_entry *first_from(const struct queue *queue, unsigned rank)
{
    for (; rank < QUEUE_RANKS; rank++)
        if (!list_is_empty(&queue->ranks[rank]))
            return entry_at(queue->ranks[rank].next, &queue->ranks[rank]);
    return next_on_loan(queue, NULL);
}

static struct queue_entry *next_by_rank(const struct queue *queue, const struct queue_entry *after)
{
    if (!after)
        return first_from(queue, 0);
    struct queue_entry *next = entry_at(after->by_rank.next, &queue->ranks[after->rank]);
    return next ? next : first_from(queue, after->rank + 1);
}

static struct queue_entry *next_by_age(const struct queue *queue, const struct queue_entry *after)
{
    const struct list *next = after ? after->by_age.next : queue->ages.next;
    if (next != &queue->ages)
        return container_of(next, struct queue_entry, by_age);
    return next_on_loan(queue, NULL);
}

struct queue_entry *queue_next(const struct queue *queue, const struct queue_entry *after)
{
    if (after && after->rank == QUEUE_BACKGROUND)
        return next_in_background(queue, &after->by_rank);
    if (after && after->is_lent)
        return next_on_loan(queue, &after->by_rank);
    return is_turn_of_oldest(queue) ? next_by_age(queue, after) : next_by_rank(queue, after);
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

uint64_t queue_places(const struct queue_limits *limits, unsigned live_slots, bool has_shell)
{
    unsigned at = has_shell ? limits->shell_at : limits->shed_at;
    if (live_slots == 0)
        return 0;
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
    if (load->waiting < queue_places(limits, load->live_slots, has_shell) && !waits_too_long(load))
        return QUEUE_WAIT;
    return has_shell ? QUEUE_SHELL : QUEUE_SHED;
}
