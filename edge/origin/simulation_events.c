/* What is to happen: a heap, the first in time on top. */
#include "base/must.h"
#include "edge/origin/simulation_parts.h"

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_add_event(struct simulation *sim, struct event event)
{
    MUST(sim->event_count < sim->event_room);
    event.order = sim->event_order++;
    size_t at = sim->event_count++;
    for (; at > 0 && is_before(&event, &sim->events[(at - 1) / 2]); at = (at - 1) / 2)
        sim->events[at] = sim->events[(at - 1) / 2];
    sim->events[at] = event;
}

struct event sim_take_event(struct simulation *sim)
{
    struct event first = sim->events[0], last = sim->events[--sim->event_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < sim->event_count && is_before(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (child >= sim->event_count || !is_before(&sim->events[child], &last))
            break;
        sim->events[at] = sim->events[child];
        at = child;
    }
    sim->events[at] = last;
    return first;
}
