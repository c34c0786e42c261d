/*
 * The loop of a worker thread. Timers of any length sit in one binary heap: libh2o's own timeouts
 * are lists of one fixed duration each. They fire inside the library's timeout phase, because what
 * is written to a socket outside a callback of the library waits for the next wake-up.
 */
#include "edge/loop.h"

#include "base/arena.h"
#include "base/must.h"

#include <stdlib.h>

enum { LONGEST_WAIT_MS = 1000 };

/* --- the heap: heap[1] is due first --- */

static void heap_put(struct loop *loop, size_t position, struct loop_timer *timer)
{
    loop->heap[position] = timer;
    timer->position = position;
}

static bool is_earlier(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due.ms < b->due.ms;
}

static void heap_rise(struct loop *loop, size_t position)
{
    struct loop_timer *timer = loop->heap[position];
    for (; position > 1 && is_earlier(timer, loop->heap[position / 2]); position /= 2)
        heap_put(loop, position, loop->heap[position / 2]);
    heap_put(loop, position, timer);
}

static void heap_sink(struct loop *loop, size_t position)
{
    struct loop_timer *timer = loop->heap[position];
    for (;;) {
        size_t child = position * 2;
        if (child > loop->timer_count)
            break;
        if (child < loop->timer_count && is_earlier(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!is_earlier(loop->heap[child], timer))
            break;
        heap_put(loop, position, loop->heap[child]);
        position = child;
    }
    heap_put(loop, position, timer);
}

static void heap_add(struct loop *loop, struct loop_timer *timer)
{
    if (loop->timer_count + 1 >= loop->timer_capacity) {
        loop->timer_capacity = loop->timer_capacity ? loop->timer_capacity * 2 : 64;
        loop->heap = mem_grow(loop->heap, loop->timer_capacity * sizeof(struct loop_timer *));
    }
    heap_put(loop, ++loop->timer_count, timer);
    heap_rise(loop, loop->timer_count);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, duration delay)
{
    loop_timer_stop(loop, timer);
    /* at least 1 ms, so that a timer that sets itself anew cannot keep fire_due_timers() busy */
    timer->due = mono_after(loop_now(loop).mono, delay.ms < 1 ? (duration){1} : delay);
    heap_add(loop, timer);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    size_t position = timer->position;
    if (position == 0)
        return;
    timer->position = 0;
    struct loop_timer *last = loop->heap[loop->timer_count--];
    if (last == timer)
        return;
    heap_put(loop, position, last);
    heap_rise(loop, position);
    heap_sink(loop, last->position);
}

void loop_timers_fire_early(struct loop *loop, void (*fire)(struct loop_timer *timer))
{
    struct loop_timer **early = mem_alloc((loop->timer_count + 1) * sizeof(*early));
    size_t count = 0;
    for (size_t i = 1; i <= loop->timer_count; i++)
        if (loop->heap[i]->fire == fire)
            early[count++] = loop->heap[i];
    for (size_t i = 0; i < count; i++)
        loop_timer_stop(loop, early[i]);
    for (size_t i = 0; i < count; i++)
        fire(early[i]);
    free(early);
}

static bool is_due(struct loop *loop)
{
    return loop->timer_count > 0 && loop->heap[1]->due.ms <= loop_now(loop).mono.ms;
}

static void fire_due_timers(h2o_timeout_entry_t *entry)
{
    struct loop *loop = container_of(entry, struct loop, tick);
    mono_time now = loop_now(loop).mono;
    while (loop->timer_count > 0 && loop->heap[1]->due.ms <= now.ms) {
        struct loop_timer *timer = loop->heap[1];
        loop_timer_stop(loop, timer);
        timer->fire(timer);
    }
}

/* --- the mailbox --- */

static void deliver_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        struct loop_message *message =
            H2O_STRUCT_FROM_MEMBER(struct loop_message, node.link, messages->next);
        h2o_linklist_unlink(&message->node.link);
        /* from here on it may be posted again: what the poster wrote before is seen by deliver() */
        atomic_store(&message->is_posted, false);
        message->deliver(message);
    }
}

bool loop_post(struct loop *loop, struct loop_message *message)
{
    if (atomic_exchange(&message->is_posted, true))
        return false;
    h2o_multithread_send_message(&loop->receiver, &message->node);
    return true;
}

/* --- life --- */

static void stop_running(struct loop_message *message)
{
    container_of(message, struct loop, stop)->is_stopping = true;
}

void loop_init(struct loop *loop, unsigned index, h2o_globalconf_t *globalconf)
{
    /* The sockets of the mailboxes are made here, on one thread, and keep this thread's pool of
     * read buffers, which has no lock, for all loops: so it may not keep any. */
    h2o_socket_buffer_prototype.allocator.max = 0;
    *loop = (struct loop){.index = index, .tick.cb = fire_due_timers, .stop.deliver = stop_running};
    loop->evloop = h2o_evloop_create();
    h2o_context_init(&loop->context, loop->evloop, globalconf);
    loop->queue = h2o_multithread_create_queue(loop->evloop);
    h2o_multithread_register_receiver(loop->queue, &loop->receiver, deliver_messages);
}

static int32_t time_to_wait(struct loop *loop)
{
    if (loop->timer_count == 0)
        return LONGEST_WAIT_MS;
    int64_t left = saturating_sub(loop->heap[1]->due.ms, clock_now().mono.ms);
    if (left < 0)
        return 0;
    return left < LONGEST_WAIT_MS ? (int32_t)left : LONGEST_WAIT_MS;
}

static void note_lag(struct loop *loop)
{
    int64_t turn_ms = clock_now().mono.ms - loop_now(loop).mono.ms;
    if (turn_ms > atomic_load_explicit(&loop->lag_ms, memory_order_relaxed))
        atomic_store_explicit(&loop->lag_ms, turn_ms, memory_order_relaxed);
}

duration loop_take_lag(struct loop *loop)
{
    return (duration){atomic_exchange(&loop->lag_ms, 0)};
}

void loop_run(struct loop *loop)
{
    while (!loop->is_stopping) {
        /* a wait that is rounded down ends just before its timer is due: the next turn then waits
         * the rest */
        h2o_evloop_run(loop->evloop, time_to_wait(loop));
        note_lag(loop);
        if (is_due(loop) && !h2o_timeout_is_linked(&loop->tick))
            h2o_timeout_link(loop->evloop, &loop->context.zero_timeout, &loop->tick);
    }
}

void loop_stop(struct loop *loop)
{
    loop_post(loop, &loop->stop);
}

void loop_fini(struct loop *loop)
{
    /* Contexts and sockets of libh2o are left to the end of the process: it has no call that frees
     * them all. */
    free(loop->heap);
    loop->heap = NULL;
}
