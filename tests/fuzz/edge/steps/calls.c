/*
 * The origin: in place of edge/origin. A call gets the answer that is planned for its visit, one
 * event at a time, so that everything else may come in between.
 */
#include "tests/fuzz/edge/steps/model.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum { CALLS_MAX = 64, PIECES = 3 };

enum stage { STAGE_NEW, STAGE_SENT, STAGE_HEAD, STAGE_BODY, STAGE_OVER };

struct call {
    const struct call_events *events;
    void *owner;
    struct render *render;
    struct plan plan;
    enum stage stage;
    enum hold held_until; /* HOLD_NOT: it goes on */
    bool is_paused, is_inside, is_left, has_body;
    unsigned pieces;
    struct call_timing timing;
    struct arena arena; /* of the head */
};

static struct call *calls[CALLS_MAX];
static size_t call_count;

struct call *__wrap_call_new(struct origins *origins, struct loop *loop,
                             const struct call_request *request, const struct call_events *events,
                             void *owner);
void __wrap_call_free(struct call *call);
void __wrap_call_abandon(struct call *call);
void __wrap_call_pause(struct call *call);
void __wrap_call_resume(struct call *call);
void __wrap_call_set_rank(struct call *call, unsigned rank);
struct call_timing __wrap_call_timing(const struct call *call);
slice __wrap_call_worker_name(const struct call *call);
slice __wrap_call_build(const struct call *call);
struct origin_state __wrap_origin_state(const struct origins *origins,
                                        const struct origin_config *origin);
slice __wrap_origin_build(const struct origins *origins, const struct origin_config *origin);

/* --- life --- */

static struct visit *visit_of(const struct call_request *request)
{
    slice id = fields_value(&request->forward->fields, FIELD_X_REQUEST_ID);
    unsigned number = 0;
    MUST(id.len > 1 && id.len < 4 && id.ptr[0] == 'v');
    for (size_t i = 1; i < id.len; i++)
        number = number * 10 + (unsigned)(id.ptr[i] - '0');
    MUST(number < world.visit_count);
    return &world.visits[number];
}

struct call *__wrap_call_new(struct origins *origins, struct loop *loop,
                             const struct call_request *request, const struct call_events *events,
                             void *owner)
{
    (void)origins;
    (void)loop;
    struct visit *visit = visit_of(request);
    struct call *call = mem_alloc(sizeof(*call));
    *call = (struct call){.events = events, .owner = owner, .plan = visit->plan};
    call->timing.asked = world.now;
    call->held_until = call->plan.hold;
    call->render = model_asked(visit, request);
    arena_init(&call->arena);
    MUST(call_count < CALLS_MAX);
    calls[call_count++] = call;
    return call;
}

static void free_call(struct call *call)
{
    for (size_t i = 0; i < call_count; i++)
        if (calls[i] == call)
            memmove(calls + i, calls + i + 1, (--call_count - i) * sizeof(calls[0]));
    arena_fini(&call->arena);
    free(call);
}

void __wrap_call_abandon(struct call *call)
{
    MUST(!call->is_left);
    call->is_left = true;
    if (!call->is_inside)
        free_call(call);
}

void __wrap_call_free(struct call *call)
{
    __wrap_call_abandon(call);
}

void __wrap_call_pause(struct call *call)
{
    call->is_paused = true;
}

void __wrap_call_resume(struct call *call)
{
    call->is_paused = false;
}

/* Nobody waits for a slot here: the script says when the origin answers. */
void __wrap_call_set_rank(struct call *call, unsigned rank)
{
    (void)call;
    (void)rank;
}

struct call_timing __wrap_call_timing(const struct call *call)
{
    return call->timing;
}

slice __wrap_call_worker_name(const struct call *call)
{
    (void)call;
    return SLICE("renderer/0");
}

slice __wrap_call_build(const struct call *call)
{
    (void)call;
    return SLICE_NONE;
}

struct origin_state __wrap_origin_state(const struct origins *origins,
                                        const struct origin_config *origin)
{
    (void)origins;
    (void)origin;
    unsigned live = world.is_down ? 0 : 8;
    return (struct origin_state){.workers = 1,
                                 .live_workers = world.is_down ? 0 : 1,
                                 .slots = 8,
                                 .live_slots = live,
                                 .busy_slots = world.is_busy ? live : 0};
}

slice __wrap_origin_build(const struct origins *origins, const struct origin_config *origin)
{
    (void)origins;
    (void)origin;
    return SLICE_NONE;
}

size_t calls_count(void)
{
    return call_count;
}

/* --- what comes --- */

static void fail(struct call *call, enum call_failure failure)
{
    call->stage = STAGE_OVER;
    model_failed(call->render);
    call->events->fail(call, call->owner, failure, SLICE("as planned"));
}

static void send_head(struct call *call)
{
    struct response response = {.status = call->render->status, .reason = SLICE("Planned")};
    size_t length = call->plan.length_is_known ? call->render->body_bytes : SIZE_MAX;
    fields_init(&response.fields, &call->arena);
    plan_fields(&call->plan, call->render->serial, response.status, world.now.wall.ms,
                call->render->visit->url, &response.fields);
    call->timing.head = world.now;
    call->has_body = response.status != 204 && response.status != 304 && !call->render->is_head;
    if (!call->has_body)
        length = 0;
    if (length != SIZE_MAX && call->has_body)
        fields_add_id(&response.fields, FIELD_CONTENT_LENGTH,
                      arena_decimal(&call->arena, (int64_t)length));
    model_answered(call->render);
    call->stage = STAGE_HEAD;
    call->events->head(call, call->owner, &response, length);
}

static void send_piece(struct call *call)
{
    size_t all = call->has_body ? call->render->body_bytes : 0;
    size_t from = all * call->pieces / PIECES, until = all * (call->pieces + 1) / PIECES;
    call->pieces++;
    call->stage = call->pieces == PIECES ? STAGE_BODY : STAGE_HEAD;
    if (from == until)
        return;
    char *bytes = mem_alloc(until - from);
    for (size_t i = from; i < until; i++)
        bytes[i - from] = plan_body_byte(call->render->serial, i);
    call->events->body(call, call->owner, slice_of(bytes, until - from));
    free(bytes);
}

static void send_interim(struct call *call)
{
    struct response response = {.status = 103, .reason = SLICE("Early Hints")};
    fields_init(&response.fields, &call->arena);
    fields_add(&response.fields, SLICE("link"), SLICE("</x.css>; rel=preload"));
    fields_add(&response.fields, SLICE("x-interim"),
               arena_decimal(&call->arena, call->render->serial));
    if (call->events->interim)
        call->events->interim(call, call->owner, &response);
}

static void end(struct call *call)
{
    bool is_clean = call->plan.ending == END_CLEAN || !call->has_body;
    call->stage = STAGE_OVER;
    model_ended(call->render, is_clean);
    call->events->end(call, call->owner, is_clean);
}

static void step(struct call *call)
{
    switch (call->stage) {
    case STAGE_NEW:
        call->timing.sent = world.now;
        call->stage = STAGE_SENT;
        model_sent(call->render);
        if (call->plan.has_interim)
            send_interim(call);
        return;
    case STAGE_SENT:
        if (call->plan.fails || world.is_down)
            fail(call, (enum call_failure)(call->plan.failure % CALL_TRUNCATED));
        else
            send_head(call);
        return;
    case STAGE_HEAD:
        if (call->pieces == 1 && call->plan.ending == END_CUT && call->has_body)
            fail(call, CALL_TRUNCATED);
        else
            send_piece(call);
        return;
    case STAGE_BODY:
        end(call);
        return;
    case STAGE_OVER:
        MUST(call->stage != STAGE_OVER); /* it has been freed */
    }
}

static bool is_held(const struct call *call)
{
    switch (call->held_until) {
    case HOLD_NOT:
        return false;
    case HOLD_HEAD:
        return call->stage == STAGE_SENT;
    case HOLD_BODY:
        return call->stage == STAGE_HEAD && call->pieces == 1;
    case HOLD_END:
        return call->stage == STAGE_BODY;
    }
    return false;
}

bool calls_step(void)
{
    for (size_t i = 0; i < call_count; i++) {
        struct call *call = calls[i];
        bool waits = call->is_paused && call->stage >= STAGE_HEAD;
        if (call->stage == STAGE_OVER || waits || is_held(call))
            continue;
        call->is_inside = true;
        step(call);
        call->is_inside = false;
        if (call->is_left)
            free_call(call);
        return true;
    }
    return false;
}

bool calls_release(unsigned which)
{
    size_t held = 0;
    for (size_t i = 0; i < call_count; i++)
        held += is_held(calls[i]);
    for (size_t i = 0, seen = 0; i < call_count; i++)
        if (is_held(calls[i]) && seen++ == which % held) {
            calls[i]->held_until = HOLD_NOT;
            return true;
        }
    return false;
}
