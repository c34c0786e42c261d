/* What `varve simulate` found, for people and as JSON. */
#include "edge/cli/simulate.h"
#include "policy/units.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static uint64_t shells_of(const struct simulation_result *result)
{
    return result->over_shell + result->late_shells + result->down_shells;
}

static double percent(uint64_t part, const struct simulation_result *result)
{
    return result->requests ? 100 * (double)part / (double)result->requests : 0;
}

static double ms(int64_t us)
{
    return (double)us / 1000;
}

/* --- for people --- */

static void print_row(const struct simulate_row *row)
{
    const struct simulation_result *r = &row->result;
    char workers[32];
    snprintf(workers, sizeof(workers), "%.0f-%.0f%%", 100 * r->laziest, 100 * r->busiest);
    printf("%-11s%-12s%-5s%9.2f%%%8.2f%%%7.2f%%%7.2f%%%9.1f%8.1f%8.1f%9.1f%8.1f%8.1f%9s%9u\n",
           row->queue, row->balance, row->shell, percent(r->rendered, r), percent(shells_of(r), r),
           percent(r->shed, r), percent(r->failed, r), ms(r->wait.p50_us), ms(r->wait.p95_us),
           ms(r->wait.p99_us), ms(r->total.p50_us), ms(r->total.p95_us), ms(r->total.p99_us),
           workers, r->longest_queue);
}

static void print_setup(const struct simulate_plan *plan, const struct simulate_summary *summary)
{
    const struct simulation_setup *setup = &plan->setup;
    char wait[UNIT_TEXT_BYTES];
    slice client_wait = units_format_duration(setup->client_wait, wait);
    printf("%u worker%s of %u slot%s; shell_at %u, shed_at %u%s; client_wait %" SLICE_FMT
           "; seed %" PRIu64 "\n",
           setup->workers, setup->workers == 1 ? "" : "s", setup->slots,
           setup->slots == 1 ? "" : "s", setup->limits.shell_at, setup->limits.shed_at,
           setup->limits.per_slot ? " for each live slot" : "", SLICE_ARG(client_wait),
           plan->load.seed);
    printf("%" PRIu64 " requests in %.1f s; a render takes %.1f ms on average: %.1f %% of what the "
           "slots can do\n\n",
           summary->requests, summary->seconds, summary->mean_render_us / 1000,
           100 * summary->demand);
}

static const char *found_at(const struct simulate_advice *advice)
{
    return advice->is_spike
               ? "at twice what the slots can do (with the load given it makes no difference)"
               : "at the load given";
}

static void advice_text(const struct simulate_plan *plan, const struct simulate_advice *advice,
                        char *text, size_t bytes)
{
    char wait[UNIT_TEXT_BYTES];
    slice client_wait = units_format_duration(plan->setup.client_wait, wait);
    if (!advice->is_given)
        snprintf(text, bytes, "none: %s", advice->why_not);
    else if (advice->shell_at == 0)
        snprintf(text, bytes,
                 "queue: {shell_at: 0}: with one only, 5 %% of those who wait already wait for the "
                 "whole client_wait (%" SLICE_FMT "), %s",
                 SLICE_ARG(client_wait), found_at(advice));
    else
        snprintf(text, bytes,
                 "queue: {shell_at: %u} is the most with which 95 %% of those who wait have a slot "
                 "within client_wait (%" SLICE_FMT "): after %" PRId64 " ms, %s",
                 advice->shell_at, SLICE_ARG(client_wait), advice->result.waiters_p95_us / 1000,
                 found_at(advice));
}

static void print_table(const struct simulate_row *rows, size_t count)
{
    printf("%-28s%35s%8s%17s%9s%24s%9s\n", "", "", "wait ms", "", "total ms", "workers", "longest");
    printf("%-11s%-12s%-5s%10s%9s%8s%8s%9s%8s%8s%9s%8s%8s%9s%9s\n", "queue", "balance", "shell",
           "rendered", "shell", "shed", "failed", "p50", "p95", "p99", "p50", "p95", "p99", "busy",
           "queue");
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
}

/* --- JSON --- */

static json_t *times_json(const struct simulation_times *times)
{
    return json_pack("{s:f, s:f, s:f}", "p50", ms(times->p50_us), "p95", ms(times->p95_us), "p99",
                     ms(times->p99_us));
}

static json_t *row_json(const struct simulate_row *row)
{
    const struct simulation_result *r = &row->result;
    json_t *json = json_pack("{s:s, s:s, s:b}", "queue", row->queue, "balance", row->balance,
                             "shell", strcmp(row->shell, "on") == 0);
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"requests", r->requests},     {"rendered", r->rendered},
                  {"over_shell", r->over_shell}, {"client_wait", r->late_shells},
                  {"all_down", r->down_shells},  {"shed", r->shed},
                  {"failed", r->failed},         {"retried", r->retried},
                  {"waited", r->waited},         {"longest_queue", r->longest_queue}};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        json_object_set_new(json, counts[i].name, json_integer((json_int_t)counts[i].value));
    json_object_set_new(json, "wait_ms", times_json(&r->wait));
    json_object_set_new(json, "total_ms", times_json(&r->total));
    json_object_set_new(json, "waiters_p95_ms", json_real(ms(r->waiters_p95_us)));
    json_object_set_new(json, "last_shell_seconds", json_real(ms(r->last_shell_us) / 1000));
    json_object_set_new(json, "busy", json_real(r->busy));
    json_object_set_new(json, "least_busy_worker", json_real(r->laziest));
    json_object_set_new(json, "most_busy_worker", json_real(r->busiest));
    return json;
}

static json_t *setup_json(const struct simulate_plan *plan, const struct simulate_summary *summary)
{
    const struct simulation_setup *setup = &plan->setup;
    return json_pack("{s:i, s:i, s:i, s:i, s:b, s:I, s:I, s:I, s:f, s:f, s:f}", "workers",
                     (int)setup->workers, "slots", (int)setup->slots, "shell_at",
                     (int)setup->limits.shell_at, "shed_at", (int)setup->limits.shed_at, "per_slot",
                     setup->limits.per_slot, "client_wait_ms", (json_int_t)setup->client_wait.ms,
                     "seed", (json_int_t)plan->load.seed, "requests", (json_int_t)summary->requests,
                     "seconds", summary->seconds, "mean_render_ms", summary->mean_render_us / 1000,
                     "demand", summary->demand);
}

static void print_json(const struct simulate_plan *plan, const struct simulate_summary *summary,
                       const struct simulate_row *rows, size_t count,
                       const struct simulate_advice *advice, const char *text)
{
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, row_json(&rows[i]));
    json_object_set_new(json, "setup", setup_json(plan, summary));
    json_object_set_new(json, "rows", list);
    json_object_set_new(json, "advice",
                        json_pack("{s:o, s:s}", "shell_at",
                                  advice->is_given ? json_integer(advice->shell_at) : json_null(),
                                  "text", text));
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(json);
}

void simulate_print(const struct simulate_plan *plan, const struct simulate_summary *summary,
                    const struct simulate_row *rows, size_t count,
                    const struct simulate_advice *advice)
{
    char text[512];
    advice_text(plan, advice, text, sizeof(text));
    if (plan->wants_json) {
        print_json(plan, summary, rows, count, advice, text);
        return;
    }
    print_setup(plan, summary);
    print_table(rows, count);
    printf("\nadvice: %s\n", text);
}
