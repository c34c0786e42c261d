/* What a pool is doing now, for those who look (`varve slots`, metrics). */
#include "edge/origin/pool_parts.h"

static unsigned noted_slots(const struct worker *worker)
{
    unsigned slots = worker->pool->config->slots;
    return slots < SLOTS_PER_WORKER_MAX ? slots : SLOTS_PER_WORKER_MAX;
}

void worker_note_render(struct worker *worker, int slot, slice path)
{
    if (slot < 0 || (unsigned)slot >= noted_slots(worker))
        return;
    if (!worker->notes)
        worker->notes = mem_alloc(noted_slots(worker) * sizeof(*worker->notes));
    struct render_note *note = &worker->notes[slot];
    path = slice_until(path, RENDER_NOTE_BYTES);
    note->bytes = (uint8_t)path.len;
    if (path.len > 0)
        memcpy(note->path, path.ptr, path.len);
}

static slice text_of(enum slot_state state)
{
    switch (state) {
    case SLOT_STUCK:
        return SLICE("stuck");
    case SLOT_OWNER_DEAD:
        return SLICE("owner dead");
    case SLOT_PROBING:
        return SLICE("asked after");
    case SLOT_FREE:
    case SLOT_BUSY:
        break;
    }
    return SLICE("busy");
}

static void visit_slots(const struct worker *worker, render_visitor visit, void *arg)
{
    for (unsigned i = 0; i < slots_used(worker->slots); i++) {
        struct slot_view view = slot_view(worker->slots, i);
        bool is_ours = view.owner == worker->pool->pid && worker->notes && i < noted_slots(worker);
        slice path = is_ours ? slice_of(worker->notes[i].path, worker->notes[i].bytes) : SLICE_NONE;
        if (view.state != SLOT_FREE)
            visit(arg, worker->name, i, text_of(view.state), path, view.since);
    }
}

void pool_each_render(struct pool *pool, render_visitor visit, void *arg)
{
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++)
        if (pool->workers[i]->slots && pool->workers[i]->state != WORKER_GONE)
            visit_slots(pool->workers[i], visit, arg);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_is_awaiting(struct pool *pool)
{
    bool is_awaiting = false;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct slot_worker *slots = pool->workers[i]->slots;
        for (unsigned k = 0; slots && k < slots_used(slots); k++) {
            struct slot_view view = slot_view(slots, k);
            is_awaiting |= view.state == SLOT_BUSY && view.owner == pool->pid;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return is_awaiting;
}

struct waiting_line {
    unsigned count;
    mono_time oldest;
};

static void count_waiting(const struct list *list, struct waiting_line lines[QUEUE_RANKS + 1])
{
    for (struct list *node = list->next; node != list; node = node->next) {
        const struct queue_entry *entry = container_of(node, struct queue_entry, by_rank);
        mono_time since = container_of(entry, struct slot_waiter, entry)->since;
        struct waiting_line *line = &lines[entry->rank];
        if (line->count++ == 0 || since.ms < line->oldest.ms)
            line->oldest = since;
    }
}

static void count_queue(const struct queue *queue, struct waiting_line lines[QUEUE_RANKS + 1])
{
    for (unsigned rank = 0; rank <= QUEUE_BACKGROUND; rank++)
        count_waiting(&queue->ranks[rank], lines);
    count_waiting(&queue->loans, lines);
}

void pool_each_waiting(struct pool *pool, waiting_visitor visit, void *arg)
{
    struct waiting_line lines[QUEUE_RANKS + 1] = {{0}};
    pthread_mutex_lock(&pool->lock);
    count_queue(&pool->slot_queue, lines);
    count_queue(&pool->connection_queue, lines);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned rank = 0; rank <= QUEUE_BACKGROUND; rank++)
        if (lines[rank].count > 0)
            visit(arg, rank, lines[rank].count, lines[rank].oldest);
}

/* --- figures --- */

unsigned pool_waiting(const struct pool *pool)
{
    return pool->slot_queue.waiting + pool->slot_queue.background + pool->connection_queue.waiting +
           pool->connection_queue.background;
}

static void count_slots(const struct worker *worker, struct origin_state *state)
{
    unsigned used = worker->slots ? slots_used(worker->slots) : 0;
    for (unsigned i = 0; i < used; i++) {
        enum slot_state slot = slot_view(worker->slots, i).state;
        state->busy_slots += slot != SLOT_FREE;
        state->quarantined += slot != SLOT_FREE && slot != SLOT_BUSY;
    }
}

static bool is_there(const struct worker *worker)
{
    return worker->state != WORKER_GONE;
}

struct origin_state pool_state(struct pool *pool)
{
    struct origin_state state = {0};
    pthread_mutex_lock(&pool->lock);
    state.waiting = pool_waiting(pool);
    state.is_hopeless = outage_is_hopeless(pool);
    state.is_down = pool->outage.is_down;
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct worker *worker = pool->workers[i];
        state.workers += is_there(worker);
        state.live_workers += worker_is_live(worker);
        state.live_slots += worker_counts(pool, i, worker_is_open) ? pool->config->slots : 0;
        if (!worker_counts(pool, i, is_there))
            continue;
        state.slots += pool->config->slots;
        count_slots(worker, &state);
    }
    pthread_mutex_unlock(&pool->lock);
    return state;
}
