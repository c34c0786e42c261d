/*
 * `varve simulate`: options and policy → plan → runs → table or JSON. All of it is one thread's,
 * and nothing is random but by the seed.
 */
#pragma once

#include "edge/cli/cli.h"
#include "edge/origin/simulation_load.h"
#include "policy/config.h"

enum { RECORDS_MAX = 1 << 22, REQUESTS_MAX = 10000000, ROWS_MAX = 16, CLASSES_MAX = 65 };

struct simulate_plan {
    const struct command *self;
    struct simulation_setup setup;
    struct load_config load;
    struct load_step steps[LOAD_STEPS_MAX];
    struct load_class classes[CLASSES_MAX];
    slice class_names[CLASSES_MAX];
    struct load_record *records; /* from the log; ours */
    int64_t *renders_us;         /* ours */
    bool wants_compare, wants_json;
    struct policy *policy; /* ours; what the names are views of */
};

struct simulate_row {
    const char *queue, *balance, *shell;
    struct simulation_result result;
};

/* What the load is, counted before it is used. */
struct simulate_summary {
    uint64_t requests;
    double seconds, mean_render_us;
    double demand; /* of what the slots can do; 1: all of it */
};

struct simulate_advice {
    bool is_given, is_spike; /* is_spike: at twice what the slots can do; else at the load given */
    unsigned shell_at;       /* 0: even one in the queue of each slot is too much */
    struct simulation_result result; /* with it */
    const char *why_not;             /* if none is given */
};

/* Reads the options. -1: go on; else the exit status. */
int simulate_plan(int argc, char **argv, const struct command *self, struct simulate_plan *plan);
void simulate_plan_fini(struct simulate_plan *plan);

/* Words of options: false if the text is no such thing. */
bool simulate_parse_rate(slice text, struct load_step steps[LOAD_STEPS_MAX], size_t *count);
bool simulate_parse_render(slice text, struct render_times *render);
bool simulate_parse_share(slice text, double *share);              /* 12.5% */
bool simulate_parse_number(slice text, double max, double *value); /* digits, perhaps a fraction */
bool simulate_parse_outage(slice text, struct simulation_outage *outage);

/* Reads varve's access log into the plan. False: said why on stderr. `origin` empty: all of it. */
bool simulate_read_log(struct simulate_plan *plan, slice path, slice origin);

void simulate_print(const struct simulate_plan *plan, const struct simulate_summary *summary,
                    const struct simulate_row *rows, size_t count,
                    const struct simulate_advice *advice);
