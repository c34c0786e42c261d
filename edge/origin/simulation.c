/*
 * Three things happen: somebody comes, a render ends (or a worker dies or comes up), somebody's
 * client_wait is over. The first of them in time is next; at one moment ends go first, as a slot
 * that is freed is there for who comes then.
 */
#include "edge/origin/simulation.h"

#include "base/arena.h"
#include "base/must.h"
#include "edge/origin/percentile.h"
#include "edge/origin/pool.h"

#include <stdlib.h>

enum life { LIFE_LIVE, LIFE_DOWN, LIFE_BACK, LIFE_TRIED };

struct sim_worker {
    enum life life; /* BACK: it was down, its first request is its try; TRIED: that is under way */
    struct list runs, queue; /* queue: of those assigned at arrival */
    unsigned waiting, busy;
    mono_time *idle; /* a ring: since when its free slots are, the longest first */
    unsigned first_idle;
    int64_t busy_us;
};

struct sim_request {
    struct queue_entry entry;
    struct list place; /* free; running; in a worker's queue */
    struct list late;  /* among those whose client_wait runs, the first to end first */
    struct simulation_request asked;
    struct sim_worker *worker;
    int64_t started_us;
    unsigned retries_left, run; /* run: tells an end of its from one of who had its memory before */
    bool is_queued, has_waited;
};

enum event_kind { EVENT_END, EVENT_DOWN, EVENT_UP };

struct event {
    int64_t at_us;
    uint64_t order; /* of making: what happens at one moment happens in this order */
    enum event_kind kind;
    unsigned worker, run;
    struct sim_request *request;
};

struct simulation {
    const struct simulation_setup *setup;
    int64_t now_us, first_us; /* first_us: the first request */
    struct queue queue;
    struct list late;
    struct sim_worker *workers;
    struct balance_worker seen[POOL_WORKERS_MAX]; /* as the pool sees them */
    struct balance_worker up[POOL_WORKERS_MAX];   /* as one without a queue does: all have room */
    struct balance_state balance;
    struct retry_budget budget;
    duration render; /* average */
    unsigned waiting_at_workers;
    struct event *events; /* a heap */
    size_t event_count, event_room;
    uint64_t event_order;
    struct sim_request *requests;
    struct list free;
    struct sample waits, totals;
    double waited_us; /* all of them */
    struct simulation_result result;
};

static mono_time now_of(const struct simulation *sim)
{
    return (mono_time){sim->now_us / 1000};
}

/* --- events --- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void add_event(struct simulation *sim, struct event event)
{
    MUST(sim->event_count < sim->event_room);
    event.order = sim->event_order++;
    size_t at = sim->event_count++;
    for (; at > 0 && is_before(&event, &sim->events[(at - 1) / 2]); at = (at - 1) / 2)
        sim->events[at] = sim->events[(at - 1) / 2];
    sim->events[at] = event;
}

static struct event take_event(struct simulation *sim)
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

/* --- workers --- */

static void look_at(struct simulation *sim, const struct sim_worker *worker)
{
    size_t i = (size_t)(worker - sim->workers);
    bool has_room =
        worker->life == LIFE_LIVE ? worker->busy < sim->setup->slots : worker->life == LIFE_BACK;
    mono_time since = has_room ? worker->idle[worker->first_idle] : (mono_time){0};
    bool is_try = worker->life == LIFE_BACK && !sim->setup->assigns_at_arrival;
    sim->seen[i] = (struct balance_worker){has_room, is_try, since, worker->busy};
    sim->up[i] = (struct balance_worker){worker->life != LIFE_DOWN, false, since,
                                         worker->busy + worker->waiting};
}

static void move_worker(struct simulation *sim, struct sim_worker *worker, enum life life)
{
    worker->life = life;
    look_at(sim, worker);
}

static bool has_candidate(const struct simulation *sim)
{
    for (unsigned i = 0; i < sim->setup->workers; i++)
        if (sim->workers[i].life == LIFE_LIVE || sim->workers[i].life == LIFE_BACK)
            return true;
    return false;
}

static bool is_anything_free(const struct simulation *sim)
{
    for (unsigned i = 0; i < sim->setup->workers; i++)
        if (sim->seen[i].is_free)
            return true;
    return false;
}

static unsigned live_slots(const struct simulation *sim)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sim->setup->workers; i++)
        count += sim->workers[i].life == LIFE_LIVE ? sim->setup->slots : 0;
    return count;
}

static unsigned free_slots(const struct simulation *sim)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sim->setup->workers; i++)
        if (sim->workers[i].life == LIFE_LIVE)
            count += sim->setup->slots - sim->workers[i].busy;
    return count;
}

/* --- what becomes of a request --- */

static void forget(struct simulation *sim, struct sim_request *request)
{
    request->run++;
    list_prepend(&sim->free, &request->place);
}

/* Without a render: `shell` counts it if it may be given the shell, else `other`. */
static void give_up(struct simulation *sim, struct sim_request *request, uint64_t *shell,
                    uint64_t *other)
{
    *(request->asked.has_shell ? shell : other) += 1;
    forget(sim, request);
}

static void note_wait(struct simulation *sim, struct sim_request *request)
{
    int64_t wait_us = sim->now_us - request->asked.at_us;
    if (request->has_waited)
        return; /* this is a retry */
    request->has_waited = true;
    sample_add(&sim->waits, wait_us);
    sim->waited_us += (double)wait_us;
}

static void note_queue(struct simulation *sim, unsigned waiting, bool is_first_time)
{
    sim->result.waited += is_first_time;
    if (waiting > sim->result.longest_queue)
        sim->result.longest_queue = waiting;
}

static int64_t late_at(const struct simulation *sim, const struct sim_request *request)
{
    int64_t wait_us;
    if (__builtin_mul_overflow(sim->setup->client_wait.ms, (int64_t)1000, &wait_us))
        return INT64_MAX;
    return saturating_add(request->asked.at_us, wait_us);
}

static bool has_left(const struct simulation *sim, const struct sim_request *request)
{
    return request->asked.has_shell && late_at(sim, request) < sim->now_us;
}

static void start(struct simulation *sim, struct sim_request *request, size_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    note_wait(sim, request);
    request->worker = worker;
    request->started_us = sim->now_us;
    list_append(&worker->runs, &request->place);
    worker->first_idle = (worker->first_idle + 1) % sim->setup->slots;
    worker->busy++;
    if (worker->life == LIFE_BACK)
        worker->life = LIFE_TRIED;
    look_at(sim, worker);
    add_event(sim, (struct event){.at_us = saturating_add(sim->now_us, request->asked.render_us),
                                  .kind = EVENT_END,
                                  .run = request->run,
                                  .request = request});
}

static void stop(struct simulation *sim, struct sim_request *request)
{
    struct sim_worker *worker = request->worker;
    unsigned slots = sim->setup->slots;
    mono_time began = {request->started_us / 1000};
    list_remove(&request->place);
    request->run++;
    worker->idle[(worker->first_idle + slots - worker->busy) % slots] = now_of(sim);
    worker->busy--;
    worker->busy_us += sim->now_us - request->started_us;
    sim->result.span_us = sim->now_us - sim->first_us;
    sim->render = queue_average(sim->render, mono_since(now_of(sim), began));
    look_at(sim, worker);
}

/* --- one queue for all: as pool.c does it --- */

static void leave_queue(struct simulation *sim, struct sim_request *request)
{
    queue_remove(&sim->queue, &request->entry);
    list_remove(&request->late);
    request->is_queued = false;
}

static bool grant(struct simulation *sim, struct sim_request *request)
{
    unsigned reserved = sim->setup->reserved[request->asked.rank];
    if (reserved > 0 && queue_is_reserved(reserved, free_slots(sim), live_slots(sim)))
        return false;
    int best = balance_choose(sim->setup->balance, sim->seen, sim->setup->workers, &sim->balance);
    if (best < 0)
        return false;
    leave_queue(sim, request);
    start(sim, request, (size_t)best);
    queue_served(&sim->queue);
    return true;
}

static void serve(struct simulation *sim)
{
    struct queue_entry *entry = queue_next(&sim->queue, NULL);
    while (entry && (is_anything_free(sim) || !has_candidate(sim))) {
        struct sim_request *request = container_of(entry, struct sim_request, entry);
        bool is_granted = grant(sim, request);
        if (!is_granted && has_candidate(sim)) {
            entry = queue_next(&sim->queue, entry); /* it must leave what is free to better ones */
            continue;
        }
        if (!is_granted) {
            leave_queue(sim, request);
            note_wait(sim, request);
            give_up(sim, request, &sim->result.down_shells, &sim->result.failed);
        }
        entry = queue_next(&sim->queue, NULL);
    }
}

static void wait_for_late(struct simulation *sim, struct sim_request *request)
{
    struct list *behind = sim->late.prev;
    while (behind != &sim->late &&
           late_at(sim, container_of(behind, struct sim_request, late)) > late_at(sim, request))
        behind = behind->prev;
    list_prepend(behind, &request->late);
}

static enum queue_verdict admit(const struct simulation *sim, const struct sim_request *request)
{
    const struct queue_load load = {.waiting = sim->queue.waiting - 1,
                                    .live_slots = live_slots(sim),
                                    .render = sim->render,
                                    .first_byte = sim->setup->first_byte};
    return queue_admit(&sim->setup->limits, &load, request->asked.has_shell);
}

static void ask(struct simulation *sim, struct sim_request *request, bool at_front)
{
    struct simulation_result *result = &sim->result;
    if (!has_candidate(sim)) {
        give_up(sim, request, &result->down_shells, &result->failed);
        return;
    }
    queue_add(&sim->queue, &request->entry, request->asked.rank, at_front);
    request->is_queued = true;
    unsigned run = request->run;
    serve(sim); /* those who came earlier first */
    if (request->run != run || !request->is_queued)
        return;
    bool is_full = sim->queue.waiting > POOL_QUEUE_MAX;
    if (is_full || (!at_front && admit(sim, request) != QUEUE_WAIT)) {
        leave_queue(sim, request);
        give_up(sim, request, is_full ? &result->shed : &result->over_shell, &result->shed);
        return;
    }
    note_queue(sim, sim->queue.waiting, !at_front);
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

static void assign(struct simulation *sim, struct sim_request *request, bool is_first_time)
{
    int index = assign_to(sim);
    if (index < 0) {
        give_up(sim, request, &sim->result.down_shells, &sim->result.failed);
        return;
    }
    struct sim_worker *worker = &sim->workers[index];
    if (worker->busy < sim->setup->slots) {
        start(sim, request, (size_t)index);
    } else if (sim->waiting_at_workers >= POOL_QUEUE_MAX) {
        give_up(sim, request, &sim->result.shed, &sim->result.shed);
    } else {
        list_append(&worker->queue, &request->place);
        worker->waiting++;
        note_queue(sim, ++sim->waiting_at_workers, is_first_time);
        look_at(sim, worker);
    }
}

static struct sim_request *take_first(struct simulation *sim, struct sim_worker *worker)
{
    struct sim_request *request = list_first_entry(&worker->queue, struct sim_request, place);
    list_remove(&request->place);
    worker->waiting--;
    sim->waiting_at_workers--;
    return request;
}

/* --- what happens --- */

static void offer(struct simulation *sim, struct sim_worker *worker)
{
    if (!sim->setup->assigns_at_arrival)
        serve(sim);
    else if (!list_is_empty(&worker->queue))
        start(sim, take_first(sim, worker), (size_t)(worker - sim->workers));
}

static void end(struct simulation *sim, struct sim_request *request)
{
    struct sim_worker *worker = request->worker;
    stop(sim, request);
    retry_budget_note_render(&sim->budget, now_of(sim));
    if (worker->life == LIFE_TRIED)
        move_worker(sim, worker, LIFE_LIVE);
    if (has_left(sim, request)) {
        sim->result.late_shells++;
    } else {
        sim->result.rendered++;
        sample_add(&sim->totals, sim->now_us - request->asked.at_us);
    }
    forget(sim, request);
    offer(sim, worker);
}

/* Its worker died. */
static void ask_again(struct simulation *sim, struct sim_request *request)
{
    bool has_run = request->has_waited;
    if (has_left(sim, request)) {
        sim->result.late_shells++;
        forget(sim, request);
    } else if (has_run &&
               (request->retries_left == 0 || !retry_budget_take(&sim->budget, now_of(sim)))) {
        sim->result.failed++;
        forget(sim, request);
    } else {
        request->retries_left -= has_run;
        sim->result.retried += has_run;
        if (sim->setup->assigns_at_arrival)
            assign(sim, request, false);
        else
            ask(sim, request, true);
    }
}

static void go_down(struct simulation *sim, struct sim_worker *worker)
{
    struct list lost;
    list_init(&lost);
    move_worker(sim, worker, LIFE_DOWN);
    while (!list_is_empty(&worker->runs)) {
        struct sim_request *request = list_first_entry(&worker->runs, struct sim_request, place);
        stop(sim, request);
        list_append(&lost, &request->place);
    }
    while (!list_is_empty(&worker->queue))
        list_append(&lost, &take_first(sim, worker)->place);
    while (!list_is_empty(&lost)) {
        struct sim_request *request = list_first_entry(&lost, struct sim_request, place);
        list_remove(&request->place);
        ask_again(sim, request);
    }
    if (!sim->setup->assigns_at_arrival)
        serve(sim);
}

static void happen(struct simulation *sim, const struct event *event)
{
    struct sim_worker *worker = &sim->workers[event->worker];
    if (event->kind == EVENT_DOWN) {
        go_down(sim, worker);
    } else if (event->kind == EVENT_UP) {
        if (worker->life != LIFE_DOWN)
            return; /* of two outages at a time the first to end counts */
        move_worker(sim, worker, sim->setup->assigns_at_arrival ? LIFE_LIVE : LIFE_BACK);
        offer(sim, worker);
    } else if (event->run == event->request->run) { /* else its worker died before the end */
        end(sim, event->request);
    }
}

static void get_late(struct simulation *sim, struct sim_request *request)
{
    leave_queue(sim, request);
    note_wait(sim, request);
    sim->result.late_shells++;
    forget(sim, request);
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
        assign(sim, request, true);
    else
        ask(sim, request, false);
}

/* --- the whole --- */

/* What is next: its time. */
static int64_t next_at(const struct simulation *sim, const struct simulation_request *asked,
                       int64_t *event_at, int64_t *late)
{
    *event_at = sim->event_count > 0 ? sim->events[0].at_us : INT64_MAX;
    *late = INT64_MAX;
    if (!list_is_empty(&sim->late))
        *late = late_at(sim, list_first_entry(&sim->late, struct sim_request, late));
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
            struct event event = take_event(sim);
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
        add_event(sim, event);
        event.at_us = outage->until_us;
        event.kind = EVENT_UP;
        add_event(sim, event);
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
        sim->workers[i].idle = mem_alloc(setup->slots * sizeof(mono_time));
        move_worker(sim, &sim->workers[i], LIFE_LIVE);
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
