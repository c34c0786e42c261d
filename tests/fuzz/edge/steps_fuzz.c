/*
 * A random origin answers random clients through the whole steps: look-ups, flights, fills,
 * revalidation, purges, a new worker, in one process and on a clock that only the script moves. Of
 * every answer that a client gets the model (steps/model.h) asks: was it made for this request, and
 * if not, may it be reused? At the end nothing may be left: no flight, call, timer or byte.
 *
 * The bytes: a policy, then steps, each an operation and its choices.
 */
#include "tests/fuzz/edge/steps/model.h"

enum { STEPS_MAX = 24 };

static void visit(struct script *script)
{
    if (world.visit_count == VISITS_MAX)
        return;
    unsigned number = world.visit_count++;
    struct visit *new_visit = &world.visits[number];
    new_visit->number = number;
    visit_draw(script, model_last_serial(), new_visit);
    world_visit(new_visit);
}

static void wait(struct script *script)
{
    static const int64_t times[] = {1,     500,   1000,  2000,  5000,  9000,   10000,   11000,
                                    19000, 30000, 31000, 45000, 61000, 100000, 1000000, 90000000};
    world_wait(times[script_choose(script, 16)]);
}

static void purge(struct script *script)
{
    unsigned what = script_byte(script);
    struct purge order = {.kind = what % PURGE_KIND_COUNT,
                          .is_soft = what / PURGE_KIND_COUNT & 1,
                          .tag = 1 + (what / PURGE_KIND_COUNT / 2 & 1),
                          .target = target_draw(script)};
    world_purge(&order);
}

static void leave(struct script *script)
{
    unsigned which = script_byte(script);
    if (world.visit_count)
        sink_leave(&world.visits[which % world.visit_count]);
}

static void change_origin(struct script *script)
{
    unsigned what = script_byte(script);
    world.is_busy = what & 1;
    world.is_down = what >> 1 & 1;
}

static void go_on(struct script *script)
{
    unsigned which = script_byte(script);
    for (unsigned i = 0; i < world.visit_count; i++)
        world.visits[i].is_stalled = false;
    calls_release(which);
}

/* The same rules again, or others. */
static void reload(struct script *script)
{
    struct rules rules = world.rules;
    if (script_byte(script) & 1) {
        rules = rules_draw(script);
        rules.has_store = world.rules.has_store;
    }
    world_reload(&rules);
}

static void step(struct script *script)
{
    unsigned operation = script_byte(script);
    switch (operation % 16) {
    case 8:
    case 9:
    case 10:
        wait(script);
        break;
    case 11:
        purge(script);
        break;
    case 12:
    case 13:
        go_on(script);
        break;
    case 14:
        if (operation & 16)
            change_origin(script);
        else
            leave(script);
        break;
    case 15:
        reload(script);
        break;
    default:
        visit(script);
    }
    if (!(operation >> 7)) /* else the next comes at the same moment */
        world_run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {data, size};
    struct rules rules = rules_draw(&script);
    world_begin(&rules);
    for (unsigned i = 0; i < STEPS_MAX && script.left; i++)
        step(&script);
    world_end();
    return 0;
}
