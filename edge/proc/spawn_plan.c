/* What the processes of an origin are made from, copied out of the policy. */
#include "edge/proc/spawn_parts.h"

#include <stdlib.h>

static char **copy_words(struct arena *arena, const struct slices *words)
{
    char **copy = arena_array(arena, char *, words->count + 1);
    for (size_t i = 0; i < words->count; i++)
        copy[i] = (char *)(uintptr_t)arena_copy(arena, words->at[i]).ptr;
    return copy;
}

static void copy_env(struct spawn_plan *plan, const struct spawn_config *spawn)
{
    plan->env = arena_array(&plan->arena, struct spawn_variable, spawn->env_count);
    plan->env_count = spawn->env_count;
    for (size_t i = 0; i < spawn->env_count; i++)
        plan->env[i] = (struct spawn_variable){arena_copy(&plan->arena, spawn->env[i].name),
                                               arena_copy(&plan->arena, spawn->env[i].value)};
}

struct spawn_plan *plan_new(const struct origin_config *origin, size_t index)
{
    struct spawn_plan *plan = mem_alloc(sizeof(*plan));
    struct arena *arena = &plan->arena;
    const struct spawn_config *spawn = &origin->spawn;
    arena_init(arena);
    plan->origin = arena_copy(arena, origin->name);
    plan->name = arena_printf(arena, "%" SLICE_FMT "/%zu", SLICE_ARG(origin->name), index);
    plan->url = arena_copy(arena, origin->workers[index].url);
    plan->port = origin->workers[index].port;
    plan->unix_path = arena_copy(arena, origin->workers[index].unix_path);
    plan->program = arena_copy(arena, spawn->program);
    plan->directory = arena_copy(arena, spawn->directory);
    plan->user = arena_copy(arena, spawn->user);
    plan->argv = copy_words(arena, &spawn->command);
    copy_env(plan, spawn);
    plan->ready_timeout = spawn->ready_timeout;
    plan->grace = spawn->grace;
    plan->slot_max = origin->slot_max;
    plan->recycle = spawn->recycle;
    return plan;
}

void plan_free(struct spawn_plan *plan)
{
    if (!plan)
        return;
    arena_fini(&plan->arena);
    free(plan);
}

static bool have_like_words(char *const *a, char *const *b)
{
    while (*a && *b && strcmp(*a, *b) == 0)
        a++, b++;
    return !*a && !*b;
}

bool plan_is_like(const struct spawn_plan *a, const struct spawn_plan *b)
{
    if (!slice_equal(a->url, b->url) || !slice_equal(a->program, b->program) ||
        !slice_equal(a->directory, b->directory) || !slice_equal(a->user, b->user) ||
        !have_like_words(a->argv, b->argv) || a->env_count != b->env_count)
        return false;
    for (size_t i = 0; i < a->env_count; i++)
        if (!slice_equal(a->env[i].name, b->env[i].name) ||
            !slice_equal(a->env[i].value, b->env[i].value))
            return false;
    return true;
}
