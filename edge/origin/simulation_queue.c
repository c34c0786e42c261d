/* Where they wait: in one queue, as pool.c has it, or each at a worker. */
#include "edge/origin/simulation_parts.h"

/* --- one queue for all: as pool.c does it --- */

void sim_leave_queue(struct simulation *sim, struct sim_request *request)
{
    queue_remove(&sim->queue, &request->entry);
    list_remove(&request->late);
    request->is_queued = false;
}

static bool grant(struct simulation *sim, struct sim_request *request)
{
    unsigned reserved = sim->setup->reserved[request->asked.rank];
    if (reserved > 0 && queue_is_reserved(reserved, sim_free_slots(sim), sim_live_slots(sim)))
        return false;
    int best = balance_choose(sim->setup->balance, sim->seen, sim->setup->workers, &sim->balance);
    if (best < 0)
        return false;
    sim_leave_queue(sim, request);
    sim_start(sim, request, (size_t)best);
    queue_served(&sim->queue);
    return true;
}

void sim_serve(struct simulation *sim)
{
    struct queue_entry *entry = queue_next(&sim->queue, NULL);
    while (entry && (sim_has_free(sim) || !sim_has_candidate(sim))) {
        struct sim_request *request = container_of(entry, struct sim_request, entry);
        bool is_granted = grant(sim, request);
        if (!is_granted && sim_has_candidate(sim)) {
            entry = queue_next(&sim->queue, entry); /* it must leave what is free to better ones */
            continue;
        }
        if (!is_granted) {
            sim_leave_queue(sim, request);
            sim_note_wait(sim, request);
            sim_give_up(sim, request, &sim->result.down_shells, &sim->result.failed);
        }
        entry = queue_next(&sim->queue, NULL);
    }
}

static void wait_for_late(struct simulation *sim, struct sim_request *request)
{
    struct list *behind = sim->late.prev;
    while (behind != &sim->late && sim_late_at(sim, container_of(behind, struct sim_request,
                                                                 late)) > sim_late_at(sim, request))
        behind = behind->prev;
    list_prepend(behind, &request->late);
}

static enum queue_verdict admit(const struct simulation *sim, const struct sim_request *request)
{
    const struct queue_load load = {.waiting = sim->queue.waiting - 1,
                                    .live_slots = sim_live_slots(sim),
                                    .render_us = sim->render.us,
                                    .first_byte = sim->setup->first_byte};
    return queue_admit(&sim->setup->limits, &load, request->asked.has_shell);
}

void sim_ask(struct simulation *sim, struct sim_request *request, bool at_front)
{
    struct simulation_result *result = &sim->result;
    if (!sim_has_candidate(sim)) {
        sim_give_up(sim, request, &result->down_shells, &result->failed);
        return;
    }
    queue_add(&sim->queue, &request->entry, request->asked.rank, at_front);
    request->is_queued = true;
    unsigned run = request->run;
    sim_serve(sim); /* those who came earlier first */
    if (request->run != run || !request->is_queued)
        return;
    bool is_full = sim->queue.waiting > POOL_QUEUE_MAX;
    if (is_full || (!at_front && admit(sim, request) != QUEUE_WAIT)) {
        sim_leave_queue(sim, request);
        sim_give_up(sim, request, is_full ? &result->shed : &result->over_shell, &result->shed);
        return;
    }
    sim_note_queue(sim, sim->queue.waiting, !at_front);
    if (request->asked.has_shell)
        wait_for_late(sim, request);
}

/* --- sent to a worker at arrival --- */

static int assign_to(struct simulation *sim)
{
    enum balance balance = sim->setup->balance;
    size_t count = sim->setup->workers;
    if (balance != BALANCE_IDLE && balance != BALANCE_FIRST)
        return balance_choose(balance, sim->up, count, &sim->balance);
    int idle = balance_choose(balance, sim->seen, count, &sim->balance);
    return idle >= 0 ? idle : balance_choose(BALANCE_RANDOM, sim->up, count, &sim->balance);
}

static bool refuses(const struct simulation *sim, const struct sim_worker *worker)
{
    const struct simulation_setup *setup = sim->setup;
    uint64_t most = setup->limits.per_slot
                        ? (uint64_t)setup->limits.shell_at * setup->slots
                        : (setup->limits.shell_at + setup->workers - 1) / setup->workers;
    return setup->refuses_when_full && worker->waiting >= most;
}

static void wait_at(struct simulation *sim, struct sim_worker *worker, struct sim_request *request,
                    bool is_first_time)
{
    list_append(&worker->queue, &request->place);
    worker->waiting++;
    sim_note_queue(sim, ++sim->waiting_at_workers, is_first_time);
    sim_look_at(sim, worker);
}

static void wait_for_refusal(struct simulation *sim, struct sim_worker *worker,
                             struct sim_request *request)
{
    request->worker = worker;
    sim->waiting_at_workers++;
    list_append(&worker->refused, &request->place);
}

static void assign(struct simulation *sim, struct sim_request *request, int index,
                   bool is_first_time)
{
    if (index < 0) {
        sim_give_up(sim, request, &sim->result.down_shells, &sim->result.failed);
        return;
    }
    struct sim_worker *worker = &sim->workers[index];
    if (worker->busy < sim->setup->slots)
        sim_start(sim, request, (size_t)index);
    else if (sim->waiting_at_workers >= POOL_QUEUE_MAX)
        sim_give_up(sim, request, &sim->result.shed, &sim->result.shed);
    else if (refuses(sim, worker))
        wait_for_refusal(sim, worker, request);
    else
        wait_at(sim, worker, request, is_first_time);
}

void sim_assign(struct simulation *sim, struct sim_request *request, bool is_first_time)
{
    assign(sim, request, assign_to(sim), is_first_time);
}

struct sim_request *sim_take_first(struct simulation *sim, struct sim_worker *worker)
{
    struct sim_request *request = list_first_entry(&worker->queue, struct sim_request, place);
    list_remove(&request->place);
    worker->waiting--;
    sim->waiting_at_workers--;
    return request;
}

struct sim_request *sim_take_refused(struct simulation *sim, struct sim_worker *worker)
{
    struct sim_request *request = list_first_entry(&worker->refused, struct sim_request, place);
    list_remove(&request->place);
    sim->waiting_at_workers--;
    return request;
}

/* Any other one, whatever it has to do: nobody looks. */
static void ask_another(struct simulation *sim, struct sim_request *request)
{
    struct balance_worker *not_again = &sim->up[request->worker - sim->workers];
    bool was_free = not_again->is_free;
    not_again->is_free = false;
    int index = balance_choose(BALANCE_RANDOM, sim->up, sim->setup->workers, &sim->balance);
    not_again->is_free = was_free;
    request->retries_left--;
    sim->result.retried++;
    if (index < 0)
        sim_give_up(sim, request, &sim->result.shed, &sim->result.shed);
    else
        assign(sim, request, index, false);
}

void sim_tell_refused(struct simulation *sim, struct sim_worker *worker)
{
    while (!list_is_empty(&worker->refused)) {
        struct sim_request *request = sim_take_refused(sim, worker);
        if (request->retries_left == 0)
            sim_give_up(sim, request, &sim->result.shed, &sim->result.shed);
        else
            ask_another(sim, request);
    }
}
