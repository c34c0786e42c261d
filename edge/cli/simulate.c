/*
 * `varve simulate`: needs no daemon. Runs the plan, beside it what it is compared with, and looks
 * for the largest shell_at that keeps waits short.
 */
#include "edge/cli/simulate.h"

#include "base/arena.h"

#include <stdlib.h>

static struct simulation_result run(const struct load_config *config,
                                    const struct simulation_setup *setup)
{
    struct load load;
    load_begin(&load, config);
    return simulation_run(setup, load_next, &load);
}

static struct simulate_summary summarise(const struct simulate_plan *plan)
{
    struct simulate_summary summary = {0};
    struct simulation_request request = {0};
    struct load load;
    int64_t first_us = 0;
    load_begin(&load, &plan->load);
    for (; load_next(&load, &request); summary.requests++) {
        if (summary.requests == 0)
            first_us = request.at_us;
        summary.mean_render_us += (double)request.render_us;
    }
    double slots = (double)plan->setup.workers * plan->setup.slots, sum = summary.mean_render_us;
    summary.seconds = (double)(request.at_us - first_us) / 1e6;
    summary.mean_render_us = summary.requests ? sum / (double)summary.requests : 0;
    summary.demand = summary.seconds > 0 ? sum / 1e6 / summary.seconds / slots : 0;
    return summary;
}

/* --- rows --- */

static const char *name_of(enum balance balance)
{
    static const char *const NAMES[] = {[BALANCE_IDLE] = "idle",
                                        [BALANCE_FIRST] = "first",
                                        [BALANCE_ROUND_ROBIN] = "round-robin",
                                        [BALANCE_LEAST] = "least",
                                        [BALANCE_RANDOM] = "random"};
    return NAMES[balance];
}

static void add_row(const struct simulate_plan *plan, const struct simulation_setup *setup,
                    struct simulate_row rows[ROWS_MAX], size_t *count)
{
    bool has_shell = setup->has_shell && !setup->assigns_at_arrival;
    rows[(*count)++] = (struct simulate_row){.queue = setup->refuses_when_full    ? "retry"
                                                      : setup->assigns_at_arrival ? "per worker"
                                                                                  : "common",
                                             .balance = name_of(setup->balance),
                                             .shell = has_shell ? "on" : "off",
                                             .result = run(&plan->load, setup)};
}

static void compare(const struct simulate_plan *plan, struct simulate_row rows[ROWS_MAX],
                    size_t *count)
{
    static const enum balance WAYS[] = {BALANCE_IDLE, BALANCE_FIRST, BALANCE_LEAST,
                                        BALANCE_ROUND_ROBIN, BALANCE_RANDOM};
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(*WAYS); i++) {
        struct simulation_setup setup = plan->setup;
        setup.balance = WAYS[i];
        if (setup.balance != plan->setup.balance)
            add_row(plan, &setup, rows, count);
    }
    if (plan->setup.has_shell) {
        struct simulation_setup setup = plan->setup;
        setup.has_shell = false;
        add_row(plan, &setup, rows, count);
    }
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(*WAYS); i++) {
        struct simulation_setup setup = plan->setup;
        setup.balance = WAYS[i];
        setup.assigns_at_arrival = true;
        add_row(plan, &setup, rows, count);
    }
    struct simulation_setup setup = plan->setup;
    setup.balance = BALANCE_RANDOM;
    setup.assigns_at_arrival = setup.refuses_when_full = true;
    setup.retries = setup.retries > 0 ? setup.retries : 1;
    add_row(plan, &setup, rows, count);
}

/* --- advice --- */

enum { SHELL_AT_MAX = 100000, SPIKE_REQUESTS = 100000 };

struct search {
    struct load_config load;
    struct simulation_setup setup;
    struct simulation_result best; /* with the largest shell_at so far that is good */
};

static bool is_good(struct search *search, unsigned shell_at)
{
    search->setup.limits.shell_at = shell_at;
    struct simulation_result result = run(&search->load, &search->setup);
    if (result.waiters_p95_us >= search->setup.client_wait.ms * 1000)
        return false;
    search->best = result;
    return true;
}

/* Did the queue grow to this limit ever? If not, no larger one makes a difference. */
static bool was_reached(const struct search *search, unsigned shell_at)
{
    const struct simulation_setup *setup = &search->setup;
    uint64_t slots = (uint64_t)setup->workers * setup->slots;
    return search->best.over_shell > 0 &&
           search->best.longest_queue >= (setup->limits.per_slot ? shell_at * slots : shell_at);
}

/* The largest that is good, by doubling and halving. False: the load never fills any queue. */
static bool find_largest(struct search *search, unsigned *shell_at)
{
    unsigned good = 0, bad = 1;
    while (bad <= SHELL_AT_MAX && is_good(search, bad)) {
        good = bad;
        if (!was_reached(search, good))
            return false;
        bad *= 2;
    }
    while (bad - good > 1) {
        unsigned middle = good + (bad - good) / 2;
        if (is_good(search, middle))
            good = middle;
        else
            bad = middle;
    }
    *shell_at = good;
    return true;
}

static const struct load_step *spike(const struct simulate_plan *plan, double mean_render_us)
{
    static struct load_step step;
    double slots = (double)plan->setup.workers * plan->setup.slots;
    step = (struct load_step){.per_second = 2e6 * slots / mean_render_us};
    return &step;
}

static struct simulate_advice advise(const struct simulate_plan *plan,
                                     const struct simulate_summary *summary)
{
    struct search search = {.load = plan->load, .setup = plan->setup};
    struct simulate_advice advice = {0};
    if (!plan->setup.has_shell)
        advice.why_not = "nobody may be given the shell here, so shell_at has no effect";
    else if (plan->setup.client_wait.ms == 0)
        advice.why_not = "client_wait is 0: nobody who may have the shell waits";
    else if (summary->mean_render_us < 1)
        advice.why_not = "renders take no time here, so nobody waits";
    if (advice.why_not)
        return advice;
    advice.is_given = find_largest(&search, &advice.shell_at);
    if (!advice.is_given) {
        search.load.steps = spike(plan, summary->mean_render_us);
        search.load.step_count = 1;
        search.load.requests = SPIKE_REQUESTS;
        search.setup.outage_count = 0;
        advice.is_spike = true;
        advice.is_given = find_largest(&search, &advice.shell_at);
    }
    if (!advice.is_given)
        advice.why_not =
            "even at twice what the slots can do nobody waits for client_wait, whatever "
            "shell_at is";
    advice.result = search.best;
    return advice;
}

static int simulate(const struct simulate_plan *plan)
{
    struct simulate_row rows[ROWS_MAX];
    size_t count = 0;
    struct simulate_summary summary = summarise(plan);
    if (summary.requests == 0)
        return cli_usage(plan->self, "nobody comes with this --rate and this --seed");
    add_row(plan, &plan->setup, rows, &count);
    if (plan->wants_compare)
        compare(plan, rows, &count);
    struct simulate_advice advice = advise(plan, &summary);
    simulate_print(plan, &summary, rows, count, &advice);
    return CLI_OK;
}

int cli_simulate(int argc, char **argv, const struct command *self)
{
    struct simulate_plan *plan = mem_alloc(sizeof(*plan));
    int status = simulate_plan(argc, argv, self, plan);
    if (status < 0)
        status = simulate(plan);
    simulate_plan_fini(plan);
    free(plan);
    return status;
}
