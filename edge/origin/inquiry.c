/*
 * What varve asks its workers by itself: probes (`probe`), warm-ups (`warmup`), and which build
 * they are of (`build.probe`; builds.c has the rest of that).
 *
 * All take a slot like any render, so on a worker with one slot a probe never runs beside a
 * render, and a worker that is busy is not probed at all: its renders tell enough. When the time
 * for the answer is over, the slot stays busy until the answer has come (semantics 7.5).
 */
#include "edge/origin/origins.h"
#include "edge/origin/pool_parts.h"

#include "base/log.h"

static const duration LAST_PROBE_EVERY = {5000}, PUT_OFF_FOR = {1000};

enum { JITTER_PART = 10, WHY_BYTES = 64 };

/* --- when --- */

duration worker_jitter(const struct worker *worker, mono_time now, int64_t most)
{
    uint64_t z = (uint64_t)now.ms + ((uint64_t)worker->index + 1) * UINT64_C(0x9e3779b97f4a7c15) +
                 (uint64_t)worker->pool->pid * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (duration){(int64_t)((z ^ z >> 31) % ((uint64_t)most + 1))};
}

void worker_plan_probe(struct worker *worker, mono_time now)
{
    worker->probe_every = worker->pool->config->probe.every;
    worker->probe_at = mono_after(now, worker_jitter(worker, now, worker->probe_every.ms));
}

/* One that stays down is asked less and less often. */
static void plan_next_probe(struct worker *worker, bool was_well, mono_time now)
{
    duration every = worker->pool->config->probe.every;
    duration last = every.ms > LAST_PROBE_EVERY.ms ? every : LAST_PROBE_EVERY;
    if (was_well || worker->state != WORKER_DOWN)
        worker->probe_every = every;
    else
        worker->probe_every =
            duration_min(last, duration_add(worker->probe_every, worker->probe_every));
    duration wait = duration_add(worker->probe_every,
                                 worker_jitter(worker, now, worker->probe_every.ms / JITTER_PART));
    worker->probe_at = mono_after(now, wait);
}

static enum inquiry what_is_due(const struct worker *worker, mono_time now)
{
    bool is_tried = worker->state == WORKER_DOWN && !worker->is_unfit;
    if (worker_wants_warmup(worker) && !worker->trying &&
        (worker_is_up(worker) || (is_tried && worker->retry_at.ms <= now.ms)))
        return INQUIRY_WARMUP;
    if (worker_is_build_due(worker, now))
        return INQUIRY_BUILD;
    if (worker->pool->config->probe.path.len > 0 && worker->probe_at.ms <= now.ms)
        return INQUIRY_PROBE;
    return INQUIRY_NONE;
}

/* --- with what --- */

static bool take_permit(struct worker *worker, struct permit *permit, mono_time now)
{
    struct pool *pool = worker->pool;
    unsigned slots = pool->config->slots;
    int slot = slots > 0 ? slot_take(worker->slots, slots, pool->pid, now) : 0;
    if (slot < 0)
        return false;
    if (slots == 0)
        worker_count_connection(worker, 1);
    *permit = (struct permit){.kind = slots > 0 ? PERMIT_SLOT : PERMIT_CONNECTION,
                              .worker = worker,
                              .slot = (unsigned)slot,
                              .is_inquiry = true};
    atomic_fetch_add(&worker->users, 1);
    worker->is_asked = true;
    if (slots > 0)
        worker_note_render(worker, slot, SLICE("(varve's own)"));
    return true;
}

enum inquiry pool_take_inquiry(struct pool *pool, struct permit *permit, mono_time now)
{
    enum inquiry taken = INQUIRY_NONE;
    pthread_mutex_lock(&pool->lock);
    workers_settle(pool, now);
    for (size_t i = 0; i < pool->worker_count && taken == INQUIRY_NONE && !pool->is_closing; i++) {
        struct worker *worker = pool->workers[i];
        bool is_there = worker_is_up(worker) || worker->state == WORKER_DOWN;
        if (!is_there || worker->is_asked || worker->ask_after.ms > now.ms ||
            slots_entry(worker->slots) != GATE_OPEN)
            continue;
        enum inquiry due = what_is_due(worker, now);
        if (due != INQUIRY_NONE && take_permit(worker, permit, now))
            taken = due;
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* --- what came of it --- */

static void end_warmup(struct worker *worker, unsigned status, slice why, mono_time now)
{
    struct renderer *renderer = slots_renderer(worker->slots);
    if (status > 0)
        worker_take_answer(worker, now);
    if (worker->state == WORKER_DOWN)
        return; /* once more when it is to be tried */
    atomic_store(&renderer->warmed, atomic_load(&renderer->readied) + 1);
    worker_forget_build(worker, now); /* that is the next thing to be asked for */
    if (status > 0 && status < 400)
        log_info("worker is warm", {"worker", worker->name});
    else
        log_warn("the warm-up failed: the worker is used all the same", {"worker", worker->name},
                 {"status", LOG_NUMBER(status)}, {"why", why});
}

static void take_probe(struct worker *worker, bool is_well, slice why, mono_time now)
{
    const struct probe_config *probe = &worker->pool->config->probe;
    int *alike = &worker->probes_alike;
    if (is_well != (*alike > 0))
        *alike = 0;
    if (*alike > -1000 && *alike < 1000)
        *alike += is_well ? 1 : -1;
    if (is_well && *alike >= (int)probe->up_after && !worker_is_up(worker)) {
        worker->is_unfit = false;
        worker_move(worker, WORKER_LIVE, SLICE_NONE, now);
    } else if (!is_well && -*alike >= (int)probe->down_after) {
        worker->is_unfit = true;
        if (worker_is_up(worker))
            worker_move(worker, WORKER_DOWN, why, now);
    }
    plan_next_probe(worker, is_well, now);
}

void pool_end_inquiry(struct worker *worker, enum inquiry inquiry, unsigned status, slice why,
                      mono_time now)
{
    struct pool *pool = worker->pool;
    bool is_well = status == pool->config->probe.expect;
    char text[WHY_BYTES];
    pthread_mutex_lock(&pool->lock);
    worker->is_asked = false;
    worker->has_answered |= status > 0;
    bool is_there = worker_is_up(worker) || worker->state == WORKER_DOWN;
    if (is_there && inquiry == INQUIRY_WARMUP) {
        end_warmup(worker, status, why, now);
    } else if (is_there) {
        int length = status ? snprintf(text, sizeof(text), "probe: status %u", status)
                            : snprintf(text, sizeof(text), "probe: %.*s", SLICE_ARG(why));
        size_t used = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
        take_probe(worker, is_well, slice_of(text, used), now);
    }
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}

void pool_put_off_inquiry(struct worker *worker, mono_time now)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    worker->is_asked = false;
    worker->ask_after = mono_after(now, PUT_OFF_FOR);
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}

/* --- asking --- */

static void end(struct call *call, struct worker *worker, enum inquiry inquiry, unsigned status,
                slice why)
{
    pool_end_inquiry(worker, inquiry, status, why, clock_now().mono);
    call_free(call); /* what still comes is read for the slot's sake */
}

static bool was_put_off(struct call *call, struct worker *worker, enum call_failure failure)
{
    if (failure != CALL_LACK)
        return false;
    pool_put_off_inquiry(worker, clock_now().mono);
    call_free(call);
    return true;
}

static void probe_head(struct call *call, void *owner, const struct response *response,
                       size_t length)
{
    (void)length;
    end(call, owner, INQUIRY_PROBE, response->status, SLICE_NONE);
}

static void probe_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    (void)detail;
    if (!was_put_off(call, owner, failure))
        end(call, owner, INQUIRY_PROBE, 0, call_failure_name(failure));
}

static void warmup_head(struct call *call, void *owner, const struct response *response,
                        size_t length)
{
    (void)length;
    end(call, owner, INQUIRY_WARMUP, response->status, SLICE_NONE);
}

static void warmup_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    (void)detail;
    if (!was_put_off(call, owner, failure))
        end(call, owner, INQUIRY_WARMUP, 0, call_failure_name(failure));
}

static void end_build(struct call *call, struct worker *worker, slice id, slice why)
{
    pool_end_build(worker, id, why, clock_now().mono);
    call_free(call);
}

static void build_head(struct call *call, void *owner, const struct response *response,
                       size_t length)
{
    struct worker *worker = owner;
    char why[WHY_BYTES];
    (void)length;
    worker->build_text_bytes = 0;
    if (response->status == 200)
        return;
    snprintf(why, sizeof(why), "status %u", response->status);
    end_build(call, worker, SLICE_NONE, slice_of_string(why));
}

static void build_body(struct call *call, void *owner, slice bytes)
{
    struct worker *worker = owner;
    if (bytes.len > sizeof(worker->build_text) - worker->build_text_bytes) {
        end_build(call, worker, SLICE_NONE, SLICE("the answer is too long"));
        return;
    }
    memcpy(worker->build_text + worker->build_text_bytes, bytes.ptr, bytes.len);
    worker->build_text_bytes += bytes.len;
}

static void build_end(struct call *call, void *owner, bool is_clean)
{
    struct worker *worker = owner;
    struct arena arena;
    arena_init(&arena);
    slice told = slice_of(worker->build_text, is_clean ? worker->build_text_bytes : 0);
    slice id = build_answer_id(&arena, told);
    end_build(call, worker, id, is_clean ? SLICE("no id in the answer") : SLICE("truncated"));
    arena_fini(&arena);
}

static void build_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    (void)detail;
    if (!was_put_off(call, owner, failure))
        end_build(call, owner, SLICE_NONE, call_failure_name(failure));
}

static const struct call_events PROBE_EVENTS = {.head = probe_head, .fail = probe_fail},
                                WARMUP_EVENTS = {.head = warmup_head, .fail = warmup_fail},
                                BUILD_EVENTS = {.head = build_head,
                                                .body = build_body,
                                                .end = build_end,
                                                .fail = build_fail};

struct question {
    const struct call_events *events;
    slice path;
    duration timeout; /* of its head */
};

static struct question question_of(const struct origin_config *config, enum inquiry inquiry)
{
    if (inquiry == INQUIRY_PROBE)
        return (struct question){&PROBE_EVENTS, config->probe.path, config->probe.timeout};
    if (inquiry == INQUIRY_WARMUP)
        return (struct question){&WARMUP_EVENTS, config->warmup, config->first_byte};
    return (struct question){&BUILD_EVENTS, config->build_probe, config->first_byte};
}

/* The origin's own fields go along: a secret may be asked for. */
static slice own_fields(const struct origin_config *config, struct arena *arena)
{
    slice all = SLICE_NONE;
    for (size_t i = 0; i < config->set_header_count; i++) {
        const struct set_header *field = &config->set_headers[i];
        bool is_open = field->uses_class || field->uses_build ||
                       slice_search(field->template, SLICE("{host}")) < field->template.len;
        if (!is_open)
            all = arena_printf(arena, "%" SLICE_FMT "%" SLICE_FMT ": %" SLICE_FMT "\r\n",
                               SLICE_ARG(all), SLICE_ARG(field->name), SLICE_ARG(field->template));
    }
    return all;
}

static slice request_for(const struct worker *worker, slice path, struct arena *arena)
{
    return arena_printf(arena,
                        "GET %" SLICE_FMT " HTTP/1.1\r\nhost: %" SLICE_FMT
                        "\r\naccept: */*\r\nuser-agent: varve\r\nconnection: close\r\n"
                        "%" SLICE_FMT "\r\n",
                        SLICE_ARG(path), SLICE_ARG(worker->host_header),
                        SLICE_ARG(own_fields(worker->pool->config, arena)));
}

void origins_probe(struct home *home, struct pool *pool, const struct permit *permit)
{
    static const slice NOT_HTTP = {"?\r\n\r\n", 5}; /* the app behind is not asked */
    slice path = pool->config->probe.path;
    struct arena arena;
    arena_init(&arena);
    call_probe(home, pool, permit,
               path.len > 0 ? request_for(permit->worker, path, &arena) : NOT_HTTP);
    arena_fini(&arena);
}

static void inquire(struct home *home, struct pool *pool, const struct permit *permit,
                    enum inquiry inquiry)
{
    const struct question question = question_of(pool->config, inquiry);
    struct arena arena;
    arena_init(&arena);
    const struct call_inquiry call = {.permit = *permit,
                                      .request = request_for(permit->worker, question.path, &arena),
                                      .timeout = question.timeout,
                                      .events = question.events};
    call_inquire(home, pool, &call);
    arena_fini(&arena);
}

void origins_inquire(struct home *home)
{
    struct permit permit;
    for (size_t i = 0; i < home->origins->policy->origin_count; i++) {
        struct pool *pool = home->origins->pools[i];
        for (enum inquiry due;
             (due = pool_take_inquiry(pool, &permit, loop_now(home->loop).mono)) != INQUIRY_NONE;)
            inquire(home, pool, &permit, due);
    }
}

bool origins_have_inquiries(const struct origins *origins)
{
    const struct origin_config *config = origins->policy->origins;
    for (const struct origin_config *end = config + origins->policy->origin_count; config < end;
         config++)
        if (config->probe.path.len || config->warmup.len || config->build_probe.len)
            return true;
    return false;
}
