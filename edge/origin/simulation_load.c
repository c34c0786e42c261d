#include "edge/origin/simulation_load.h"

#include "base/random.h"

#include <math.h>

static const double LONGEST_US = 86400e6; /* what a distribution draws is a day at most */

void load_begin(struct load *load, const struct load_config *config)
{
    uint64_t seed = config->seed;
    *load = (struct load){.config = config};
    load->arrivals = random_next(&seed);
    load->renders = random_next(&seed);
    load->classes = random_next(&seed);
    load->shells = random_next(&seed);
    if (config->step_count > 0)
        load->step_ends_us = config->steps[0].length_us;
}

/* Above 0, below 1. */
static double draw(uint64_t *state)
{
    return ((double)(random_next(state) >> 12) + 0.5) / 0x1p52;
}

static int64_t whole_us(double us)
{
    return (int64_t)llround(us < LONGEST_US ? us : LONGEST_US);
}

/* --- when --- */

/* What is left of a step without anybody is nothing: a Poisson process has no memory. */
static bool next_at(struct load *load)
{
    const struct load_config *config = load->config;
    while (load->step < config->step_count) {
        const struct load_step *step = &config->steps[load->step];
        if (step->per_second > 0) {
            int64_t at_us =
                load->at_us + whole_us(-log(draw(&load->arrivals)) / step->per_second * 1e6);
            if (step->length_us == 0 || at_us < load->step_ends_us) {
                load->at_us = at_us;
                return true;
            }
        }
        load->at_us = load->step_ends_us;
        if (step->length_us == 0 || ++load->step == config->step_count)
            return false;
        load->step_ends_us += config->steps[load->step].length_us;
    }
    return false;
}

/* --- how long --- */

/* Box-Muller. */
static double draw_normal(uint64_t *state)
{
    double length = sqrt(-2 * log(draw(state)));
    return length * cos(2 * M_PI * draw(state));
}

static int64_t draw_render(struct load *load)
{
    const struct render_times *render = &load->config->render;
    switch (render->kind) {
    case RENDER_CONSTANT:
        break;
    case RENDER_EXPONENTIAL:
        return whole_us(-log(draw(&load->renders)) * render->us);
    case RENDER_BIMODAL:
        return whole_us(draw(&load->renders) < render->share ? render->other_us : render->us);
    case RENDER_LOGNORMAL:
        return whole_us(render->us * exp(render->spread * draw_normal(&load->renders)));
    case RENDER_RECORDED:
        return load->config->renders_us[random_next(&load->renders) % load->config->render_count];
    }
    return whole_us(render->us);
}

static double recorded_mean(const struct load_config *config)
{
    double sum = 0;
    for (size_t i = 0; i < config->render_count; i++)
        sum += (double)config->renders_us[i];
    return sum / (double)config->render_count;
}

double load_mean_render(const struct load_config *config)
{
    const struct render_times *render = &config->render;
    switch (render->kind) {
    case RENDER_CONSTANT:
    case RENDER_EXPONENTIAL:
        break;
    case RENDER_BIMODAL:
        return render->us + render->share * (render->other_us - render->us);
    case RENDER_LOGNORMAL:
        return render->us * exp(render->spread * render->spread / 2);
    case RENDER_RECORDED:
        return recorded_mean(config);
    }
    return render->us;
}

/* --- who --- */

static size_t draw_class(struct load *load)
{
    const struct load_config *config = load->config;
    double place = draw(&load->classes);
    size_t i = 0;
    while (i + 1 < config->class_count && place >= config->classes[i].share)
        place -= config->classes[i++].share;
    return i;
}

static void describe(struct load *load, size_t class_index, bool got_shell,
                     struct simulation_request *request)
{
    const struct load_class *of = &load->config->classes[class_index];
    bool may_have_shell = draw(&load->shells) < load->config->shell_share;
    request->rank = of->rank;
    request->has_shell = (may_have_shell || got_shell) && !of->has_no_shell;
}

static bool next_drawn(struct load *load, struct simulation_request *request)
{
    if (!next_at(load))
        return false;
    request->at_us = load->at_us;
    request->render_us = draw_render(load);
    describe(load, draw_class(load), false, request);
    return true;
}

/* As it was; with a render drawn where none is known, or others are asked for. */
static bool next_recorded(struct load *load, struct simulation_request *request)
{
    const struct load_config *config = load->config;
    if (load->record == config->record_count)
        return false;
    const struct load_record *record = &config->records[load->record++];
    int64_t since_us = record->at_us - config->records[0].at_us;
    bool is_known = record->render_us >= 0 && config->render.kind == RENDER_RECORDED;
    request->at_us = (int64_t)llround((double)since_us / config->speed);
    request->render_us = is_known ? record->render_us : draw_render(load);
    describe(load, record->class_index, record->got_shell, request);
    return true;
}

bool load_next(void *arg, struct simulation_request *request)
{
    struct load *load = arg;
    if (load->made == load->config->requests)
        return false;
    load->made++;
    return load->config->step_count > 0 ? next_drawn(load, request) : next_recorded(load, request);
}
