/* The workers of a simulation, who renders there, and what becomes of a request. */
#include "edge/origin/simulation_parts.h"

/* --- workers --- */

void sim_look_at(struct simulation *sim, const struct sim_worker *worker)
{
    size_t i = (size_t)(worker - sim->workers);
    bool takes_one = worker->life == LIFE_BACK || worker->life == LIFE_STARTING;
    bool has_room = worker->life == LIFE_LIVE ? worker->busy < sim->setup->slots
                                              : takes_one && worker->busy == 0;
    mono_time since = has_room ? worker->idle[worker->first_idle] : (mono_time){0};
    bool is_try = worker->life == LIFE_BACK && !sim->setup->assigns_at_arrival;
    sim->seen[i] = (struct balance_worker){has_room, is_try, since, worker->busy};
    sim->up[i] = (struct balance_worker){worker->life != LIFE_DOWN, false, since,
                                         worker->busy + worker->waiting};
}

void sim_move_worker(struct simulation *sim, struct sim_worker *worker, enum life life)
{
    worker->life = life;
    sim_look_at(sim, worker);
}

bool sim_has_candidate(const struct simulation *sim)
{
    for (unsigned i = 0; i < sim->setup->workers; i++)
        if (life_is_up(sim->workers[i].life) || sim->workers[i].life == LIFE_BACK)
            return true;
    return false;
}

bool sim_has_free(const struct simulation *sim)
{
    for (unsigned i = 0; i < sim->setup->workers; i++)
        if (sim->seen[i].is_free)
            return true;
    return false;
}

unsigned sim_live_slots(const struct simulation *sim)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sim->setup->workers; i++)
        count += life_is_up(sim->workers[i].life) ? sim->setup->slots : 0;
    return count;
}

unsigned sim_free_slots(const struct simulation *sim)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sim->setup->workers; i++)
        if (life_is_up(sim->workers[i].life))
            count += sim->setup->slots - sim->workers[i].busy;
    return count;
}

/* --- what becomes of a request --- */

void sim_forget(struct simulation *sim, struct sim_request *request)
{
    request->run++;
    list_prepend(&sim->free, &request->place);
}

void sim_note_shell(struct simulation *sim, uint64_t *why, int64_t at_us)
{
    ++*why;
    if (at_us - sim->first_us > sim->result.last_shell_us)
        sim->result.last_shell_us = at_us - sim->first_us;
}

void sim_give_up(struct simulation *sim, struct sim_request *request, uint64_t *shell,
                 uint64_t *other)
{
    if (request->asked.has_shell && shell != other)
        sim_note_shell(sim, shell, sim->now_us);
    else
        ++*other;
    sim_forget(sim, request);
}

void sim_note_wait(struct simulation *sim, struct sim_request *request)
{
    int64_t wait_us = sim->now_us - request->asked.at_us;
    if (request->has_waited)
        return; /* this is a retry */
    request->has_waited = true;
    sample_add(&sim->waits, wait_us);
    sim->waited_us += (double)wait_us;
}

void sim_note_queue(struct simulation *sim, unsigned waiting, bool is_first_time)
{
    sim->result.waited += is_first_time;
    if (waiting > sim->result.longest_queue)
        sim->result.longest_queue = waiting;
}

int64_t sim_late_at(const struct simulation *sim, const struct sim_request *request)
{
    int64_t wait_us;
    if (__builtin_mul_overflow(sim->setup->client_wait.ms, (int64_t)1000, &wait_us))
        return INT64_MAX;
    return saturating_add(request->asked.at_us, wait_us);
}

bool sim_has_left(const struct simulation *sim, const struct sim_request *request)
{
    return request->asked.has_shell && sim_late_at(sim, request) < sim->now_us;
}

void sim_start(struct simulation *sim, struct sim_request *request, size_t index)
{
    struct sim_worker *worker = &sim->workers[index];
    sim_note_wait(sim, request);
    request->worker = worker;
    request->started_us = sim->now_us;
    list_append(&worker->runs, &request->place);
    worker->first_idle = (worker->first_idle + 1) % sim->setup->slots;
    worker->busy++;
    if (worker->life == LIFE_BACK)
        worker->life = LIFE_TRIED;
    sim_look_at(sim, worker);
    sim_add_event(sim,
                  (struct event){.at_us = saturating_add(sim->now_us, request->asked.render_us),
                                 .kind = EVENT_END,
                                 .run = request->run,
                                 .request = request});
}

void sim_stop(struct simulation *sim, struct sim_request *request)
{
    struct sim_worker *worker = request->worker;
    unsigned slots = sim->setup->slots;
    mono_time began = {request->started_us / 1000};
    list_remove(&request->place);
    request->run++;
    worker->idle[(worker->first_idle + slots - worker->busy) % slots] = sim_now(sim);
    worker->busy--;
    worker->busy_us += sim->now_us - request->started_us;
    sim->result.span_us = sim->now_us - sim->first_us;
    render_mean_note(&sim->render, mono_since(sim_now(sim), began));
    sim_look_at(sim, worker);
}
