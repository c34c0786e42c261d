#include "edge/origin/balance.h"

#include "base/random.h"

static bool is_better(enum balance balance, const struct balance_worker *a,
                      const struct balance_worker *b)
{
    if (balance == BALANCE_LEAST && a->busy != b->busy)
        return a->busy < b->busy;
    return balance != BALANCE_FIRST && a->idle_since.ms < b->idle_since.ms;
}

static int best(enum balance balance, const struct balance_worker *workers, size_t count)
{
    int best = -1;
    for (size_t i = 0; i < count; i++)
        if (workers[i].is_free && (best < 0 || is_better(balance, &workers[i], &workers[best])))
            best = (int)i;
    return best;
}

static int next_in_turn(const struct balance_worker *workers, size_t count,
                        struct balance_state *state)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = (state->next + i) % count;
        if (!workers[at].is_free)
            continue;
        state->next = at + 1;
        return (int)at;
    }
    return -1;
}

static int at_random(const struct balance_worker *workers, size_t count,
                     struct balance_state *state)
{
    size_t free_count = 0;
    for (size_t i = 0; i < count; i++)
        free_count += workers[i].is_free;
    if (free_count == 0)
        return -1;
    size_t skip = random_next(&state->random) % free_count, i = 0;
    while (!workers[i].is_free || skip-- > 0)
        i++;
    return (int)i;
}

int balance_choose(enum balance balance, const struct balance_worker *workers, size_t count,
                   struct balance_state *state)
{
    for (size_t i = 0; i < count; i++)
        if (workers[i].is_free && workers[i].is_try)
            return (int)i;
    switch (balance) {
    case BALANCE_ROUND_ROBIN:
        return next_in_turn(workers, count, state);
    case BALANCE_RANDOM:
        return at_random(workers, count, state);
    case BALANCE_IDLE:
    case BALANCE_FIRST:
    case BALANCE_LEAST:
        break;
    }
    return best(balance, workers, count);
}
