/*
 * Who comes when, and how long a render of it takes: drawn from rates and distributions, or taken
 * from what was recorded. Pure; what is drawn depends on the seed alone, so that setups are
 * compared under the same load.
 */
#pragma once

#include "edge/origin/simulation.h"

enum { LOAD_STEPS_MAX = 32 };

enum render_kind {
    RENDER_CONSTANT,
    RENDER_EXPONENTIAL, /* of this mean */
    RENDER_BIMODAL,     /* `share` of them take `other_us` */
    RENDER_LOGNORMAL,   /* of this median; `spread`: standard deviation of the logarithm */
    RENDER_RECORDED,
};

struct render_times {
    enum render_kind kind;
    double us, other_us, share, spread;
};

struct load_step {
    double per_second;
    int64_t length_us; /* 0: on and on */
};

struct load_class {
    double share; /* of all; they sum up to 1 */
    unsigned rank;
    bool has_no_shell; /* never_shell */
};

struct load_record {
    int64_t at_us;
    int64_t render_us; /* -1: not known: drawn */
    unsigned class_index;
    bool got_shell;
};

struct load_config {
    uint64_t seed, requests; /* at most so many */
    const struct load_step *steps;
    size_t step_count; /* 0: as recorded */
    double speed;      /* the recorded times pass so many times as fast */
    struct render_times render;
    double shell_share; /* how many may be given the shell, of those whose class may */
    const struct load_class *classes;
    size_t class_count;                /* at least 1 */
    const struct load_record *records; /* in order of time */
    size_t record_count;
    const int64_t *renders_us; /* RENDER_RECORDED: drawn from these; at least one */
    size_t render_count;
};

struct load {
    const struct load_config *config;
    uint64_t arrivals, renders, classes, shells; /* what each next number is drawn from */
    uint64_t made;
    int64_t at_us, step_ends_us;
    size_t step, record;
};

void load_begin(struct load *load, const struct load_config *config);
/* A simulation_source; `load` is a struct load. */
bool load_next(void *load, struct simulation_request *request);
/* The mean of all renders' times, in microseconds. */
double load_mean_render(const struct load_config *config);
