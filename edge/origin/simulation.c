/*
 * Three things happen: somebody comes, a render ends (or a worker dies or comes up), somebody's
 * client_wait is over. The first of them in time is next; at one moment ends go first, as a slot
 * that is freed is there for who comes then.
 */
#include "base/arena.h"
#include "base/must.h"
#include "edge/origin/simulation_parts.h"

#include <stdlib.h>

/* --- what happens --- */

static void offer(struct simulation *sim, struct sim_worker *worker)
{
    if (!sim->setup->assigns_at_arrival)
        sim_serve(sim);
    else if (!list_is_empty(&worker->queue))
        sim_start(sim, sim_take_first(sim, worker), (size_t)(worker - sim->workers));
    sim_tell_refused(sim, worker);
}

/* As health.c does it (semantics 7.6). */
static void take_answer(struct simulation *sim, struct sim_worker *worker)
{
    if (worker->life == LIFE_TRIED) {
        worker->answers = 0;
        sim_move_worker(sim, worker, sim_live_slots(sim) > 0 ? LIFE_LIVE : LIFE_STARTING);
    }
    if (++worker->answers >= sim->setup->up_after)
        sim_move_worker(sim, worker, LIFE_LIVE);
}

static void end(struct simulation *sim, struct sim_request *request)
{
    struct sim_worker *worker = request->worker;
    sim_stop(sim, request);
    retry_budget_note_render(&sim->budget, sim_now(sim));
    if (worker->life == LIFE_TRIED || worker->life == LIFE_STARTING)
        take_answer(sim, worker);
    if (sim_has_left(sim, request)) {
        sim_note_shell(sim, &sim->result.late_shells, sim_late_at(sim, request));
    } else {
        sim->result.rendered++;
        sample_add(&sim->totals, sim->now_us - request->asked.at_us);
    }
    sim_forget(sim, request);
    offer(sim, worker);
}

/* Its worker died. */
static void ask_again(struct simulation *sim, struct sim_request *request)
{
    bool has_run = request->has_waited;
    if (sim_has_left(sim, request)) {
        sim_note_shell(sim, &sim->result.late_shells, sim_late_at(sim, request));
        sim_forget(sim, request);
    } else if (has_run &&
               (request->retries_left == 0 || !retry_budget_take(&sim->budget, sim_now(sim)))) {
        sim->result.failed++;
        sim_forget(sim, request);
    } else {
        request->retries_left -= has_run;
        sim->result.retried += has_run;
        if (sim->setup->assigns_at_arrival)
            sim_assign(sim, request, false);
        else
            sim_ask(sim, request, true);
    }
}

static void go_down(struct simulation *sim, struct sim_worker *worker)
{
    struct list lost;
    list_init(&lost);
    sim_move_worker(sim, worker, LIFE_DOWN);
    while (!list_is_empty(&worker->runs)) {
        struct sim_request *request = list_first_entry(&worker->runs, struct sim_request, place);
        sim_stop(sim, request);
        list_append(&lost, &request->place);
    }
    while (!list_is_empty(&worker->queue))
        list_append(&lost, &sim_take_first(sim, worker)->place);
    while (!list_is_empty(&worker->refused))
        list_append(&lost, &sim_take_refused(sim, worker)->place);
    while (!list_is_empty(&lost)) {
        struct sim_request *request = list_first_entry(&lost, struct sim_request, place);
        list_remove(&request->place);
        ask_again(sim, request);
    }
    if (!sim->setup->assigns_at_arrival)
        sim_serve(sim);
}

static void happen(struct simulation *sim, const struct event *event)
{
    struct sim_worker *worker = &sim->workers[event->worker];
    if (event->kind == EVENT_DOWN) {
        go_down(sim, worker);
    } else if (event->kind == EVENT_UP) {
        if (worker->life != LIFE_DOWN)
            return; /* of two outages at a time the first to end counts */
        sim_move_worker(sim, worker, sim->setup->assigns_at_arrival ? LIFE_LIVE : LIFE_BACK);
        offer(sim, worker);
    } else if (event->run == event->request->run) { /* else its worker died before the end */
        end(sim, event->request);
    }
}

static void get_late(struct simulation *sim, struct sim_request *request)
{
    sim_leave_queue(sim, request);
    sim_note_wait(sim, request);
    sim_note_shell(sim, &sim->result.late_shells, sim->now_us);
    sim_forget(sim, request);
}

static void come(struct simulation *sim, const struct simulation_request *asked)
{
    struct sim_request *request = list_first_entry(&sim->free, struct sim_request, place);
    unsigned run = request->run;
    list_remove(&request->place);
    *request =
        (struct sim_request){.asked = *asked, .run = run, .retries_left = sim->setup->retries};
    request->asked.has_shell &= sim->setup->has_shell && !sim->setup->assigns_at_arrival;
    if (sim->result.requests++ == 0)
        sim->first_us = sim->now_us;
    if (sim->setup->assigns_at_arrival)
        sim_assign(sim, request, true);
    else
        sim_ask(sim, request, false);
}

/* --- the whole --- */

/* What is next: its time. */
static int64_t next_at(const struct simulation *sim, const struct simulation_request *asked,
                       int64_t *event_at, int64_t *late)
{
    *event_at = sim->event_count > 0 ? sim->events[0].at_us : INT64_MAX;
    *late = INT64_MAX;
    if (!list_is_empty(&sim->late))
        *late = sim_late_at(sim, list_first_entry(&sim->late, struct sim_request, late));
    int64_t at = *event_at < *late ? *event_at : *late;
    return asked && asked->at_us < at ? asked->at_us : at;
}

static void run(struct simulation *sim, simulation_source source, void *arg)
{
    struct simulation_request asked;
    int64_t event_at, late;
    for (bool is_coming = source(arg, &asked);; sim->result.events++) {
        int64_t at = next_at(sim, is_coming ? &asked : NULL, &event_at, &late);
        if (at == INT64_MAX)
            return;
        MUST(at >= sim->now_us);
        sim->now_us = at;
        if (event_at == at) {
            struct event event = sim_take_event(sim);
            happen(sim, &event);
        } else if (late == at) {
            get_late(sim, list_first_entry(&sim->late, struct sim_request, late));
        } else {
            come(sim, &asked);
            is_coming = source(arg, &asked);
        }
    }
}

static struct simulation_times times_of(struct sample *sample)
{
    return (struct simulation_times){.p50_us = sample_percentile(sample, 0.50, -1),
                                     .p95_us = sample_percentile(sample, 0.95, -1),
                                     .p99_us = sample_percentile(sample, 0.99, -1)};
}

static void note_work(struct simulation *sim)
{
    struct simulation_result *result = &sim->result;
    double span = (double)result->span_us, slots = sim->setup->slots;
    result->laziest = 1;
    for (unsigned i = 0; i < sim->setup->workers; i++) {
        double busy = span > 0 ? (double)sim->workers[i].busy_us / span / slots : 0;
        result->busy += busy / sim->setup->workers;
        result->laziest = busy < result->laziest ? busy : result->laziest;
        result->busiest = busy > result->busiest ? busy : result->busiest;
    }
}

static void note_figures(struct simulation *sim)
{
    struct simulation_result *result = &sim->result;
    result->wait = times_of(&sim->waits);
    result->total = times_of(&sim->totals);
    result->waiters_p95_us = sample_percentile(&sim->waits, 0.95, 0);
    result->mean_wait_us = sim->waits.count ? sim->waited_us / (double)sim->waits.count : 0;
    note_work(sim);
}

static void add_outages(struct simulation *sim)
{
    for (size_t i = 0; i < sim->setup->outage_count; i++) {
        const struct simulation_outage *outage = &sim->setup->outages[i];
        struct event event = {.at_us = outage->at_us, .kind = EVENT_DOWN, .worker = outage->worker};
        MUST(outage->worker < sim->setup->workers);
        sim_add_event(sim, event);
        event.at_us = outage->until_us;
        event.kind = EVENT_UP;
        sim_add_event(sim, event);
    }
}

static void set_up(struct simulation *sim, const struct simulation_setup *setup)
{
    size_t slots = (size_t)setup->workers * setup->slots;
    size_t requests = slots + POOL_QUEUE_MAX + 2; /* one that comes, one over the limit */
    MUST(setup->workers > 0 && setup->workers <= POOL_WORKERS_MAX && setup->slots > 0);
    MUST(setup->outage_count <= SIMULATION_OUTAGES_MAX);
    sim->setup = setup;
    sim->balance.random = setup->seed;
    queue_init(&sim->queue);
    list_init(&sim->late);
    list_init(&sim->free);
    sim->requests = mem_alloc(requests * sizeof(*sim->requests));
    for (size_t i = 0; i < requests; i++)
        list_append(&sim->free, &sim->requests[i].place);
    /* ends of renders that were lost with their worker stay until their time has come */
    sim->event_room = slots + setup->outage_count * (setup->slots + 2);
    sim->events = mem_alloc(sim->event_room * sizeof(*sim->events));
    sim->workers = mem_alloc(setup->workers * sizeof(*sim->workers));
    for (size_t i = 0; i < setup->workers; i++) {
        list_init(&sim->workers[i].runs);
        list_init(&sim->workers[i].queue);
        list_init(&sim->workers[i].refused);
        sim->workers[i].idle = mem_alloc(setup->slots * sizeof(mono_time));
        sim_move_worker(sim, &sim->workers[i], LIFE_LIVE);
    }
    add_outages(sim);
}

static void tear_down(struct simulation *sim)
{
    for (size_t i = 0; i < sim->setup->workers; i++)
        free(sim->workers[i].idle);
    free(sim->workers);
    free(sim->events);
    free(sim->requests);
    sample_fini(&sim->waits);
    sample_fini(&sim->totals);
    free(sim);
}

struct simulation_result simulation_run(const struct simulation_setup *setup,
                                        simulation_source source, void *arg)
{
    struct simulation *sim = mem_alloc(sizeof(*sim));
    set_up(sim, setup);
    run(sim, source, arg);
    note_figures(sim);
    struct simulation_result result = sim->result;
    tear_down(sim);
    return result;
}
