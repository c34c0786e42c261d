/* The options of `varve simulate`, and what they make of the policy's origin. */
#include "edge/cli/simulate.h"
#include "edge/origin/pool.h"
#include "edge/origin/share.h"
#include "policy/load.h"
#include "policy/units.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 64 };

enum option_id {
    RATE = 256,
    RENDER,
    LOG,
    SPEED,
    CONFIG,
    ORIGIN,
    WORKERS,
    SLOTS,
    BALANCE,
    SHELL_AT,
    SHED_AT,
    CLIENT_WAIT,
    SHELL,
    CLASS,
    OUTAGE,
    REQUESTS,
    SEED,
    COMPARE,
    JSON,
    HELP,
    OPTION_END
};

static const struct option OPTIONS[] = {
    {"rate", required_argument, NULL, RATE},
    {"render", required_argument, NULL, RENDER},
    {"log", required_argument, NULL, LOG},
    {"speed", required_argument, NULL, SPEED},
    {"config", required_argument, NULL, CONFIG},
    {"origin", required_argument, NULL, ORIGIN},
    {"workers", required_argument, NULL, WORKERS},
    {"slots", required_argument, NULL, SLOTS},
    {"balance", required_argument, NULL, BALANCE},
    {"shell-at", required_argument, NULL, SHELL_AT},
    {"shed-at", required_argument, NULL, SHED_AT},
    {"client-wait", required_argument, NULL, CLIENT_WAIT},
    {"shell", required_argument, NULL, SHELL},
    {"class", required_argument, NULL, CLASS},
    {"outage", required_argument, NULL, OUTAGE},
    {"requests", required_argument, NULL, REQUESTS},
    {"seed", required_argument, NULL, SEED},
    {"compare", no_argument, NULL, COMPARE},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* What the options say, in the order of their meaning rather than of the command line. */
struct words {
    slice of[OPTION_END - RATE]; /* ptr NULL: not given */
    slice classes[CLASSES_MAX], outages[SIMULATION_OUTAGES_MAX];
    size_t class_count, outage_count;
};

static slice word(const struct words *words, enum option_id id)
{
    return words->of[id - RATE];
}

static bool is_given(const struct words *words, enum option_id id)
{
    return word(words, id).ptr != NULL;
}

/* False: too many. */
static bool keep(struct words *words, int option, slice value)
{
    if (option == CLASS && words->class_count < CLASSES_MAX)
        words->classes[words->class_count++] = value;
    else if (option == OUTAGE && words->outage_count < SIMULATION_OUTAGES_MAX)
        words->outages[words->outage_count++] = value;
    else if (option == CLASS || option == OUTAGE)
        return false;
    words->of[option - RATE] = value;
    return true;
}

static int read_words(int argc, char **argv, const struct command *self, struct words *words)
{
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
        if (option == HELP || option == 'h')
            return cli_help(self);
        if (option == '?') { /* getopt has said what is wrong */
            fprintf(stderr, "try: varve %s --help\n", self->name);
            return CLI_USAGE;
        }
        slice value = optarg ? slice_of_string(optarg) : SLICE("yes");
        if (!keep(words, option, value))
            return cli_usage(self, "at most %d classes and %d outages", CLASSES_MAX,
                             SIMULATION_OUTAGES_MAX);
    }
    if (optind < argc)
        return cli_usage(self, "unexpected \"%s\"; a load is given by --rate or --log",
                         argv[optind]);
    return -1;
}

static bool wrong(const struct simulate_plan *plan, const char *option, slice value,
                  const char *expected)
{
    cli_usage(plan->self, "--%s %" SLICE_FMT ": expected %s", option, SLICE_ARG(value), expected);
    return false;
}

/* --- the policy --- */

static bool load_policy(struct simulate_plan *plan, slice path)
{
    static struct diag diag; /* too large for the stack */
    struct arena arena;
    struct policy_options options = {.path = path, .is_elsewhere = true};
    if (!path.ptr) /* the defaults of all settings */
        options.origin_url = SLICE("http://127.0.0.1:3000");
    arena_init(&arena);
    diag_init(&diag, &arena);
    plan->policy = policy_load(&options, &diag);
    if (!plan->policy)
        fprintf(stderr, "%" SLICE_FMT, SLICE_ARG(diag_text(&diag)));
    arena_fini(&arena);
    return plan->policy != NULL;
}

static const struct origin_config *find_origin(const struct simulate_plan *plan, slice name)
{
    for (size_t i = 0; i < plan->policy->origin_count; i++)
        if (!name.ptr || slice_equal(plan->policy->origins[i].name, name))
            return &plan->policy->origins[i];
    cli_usage(plan->self, "the policy has no origin \"%" SLICE_FMT "\"", SLICE_ARG(name));
    return NULL;
}

static void take_origin(struct simulate_plan *plan, const struct origin_config *origin)
{
    plan->setup = (struct simulation_setup){
        .workers = share_entry_count(origin),
        .slots = origin->slots,
        .balance = origin->balance,
        .limits = {origin->shell_at, origin->shed_at, origin->queue_is_per_slot},
        .client_wait = origin->client_wait,
        .first_byte = origin->first_byte,
        .retries = origin->retries,
        .up_after = origin->probe.up_after};
    call_reserves(plan->policy, plan->setup.reserved);
}

static void take_classes(struct simulate_plan *plan)
{
    const struct policy *policy = plan->policy;
    for (size_t i = 0; i < policy->class_count && i < CLASSES_MAX; i++) {
        const struct class_config *of = &policy->classes[i];
        plan->class_names[i] = of->name;
        plan->classes[i] =
            (struct load_class){.rank = call_rank(policy, of), .has_no_shell = of->never_shell};
        plan->load.class_count = i + 1;
    }
    plan->classes[plan->load.class_count - 1].share = 1;
    plan->load.classes = plan->classes;
}

/* --- words in place of the policy's --- */

static bool take_count(const struct simulate_plan *plan, const struct words *words,
                       enum option_id id, uint64_t least, uint64_t most, uint64_t *value)
{
    char expected[64];
    if (!is_given(words, id))
        return true;
    uint64_t count;
    if (slice_to_u64(word(words, id), &count) && count >= least && count <= most) {
        *value = count;
        return true;
    }
    snprintf(expected, sizeof(expected), "a number from %llu to %llu", (unsigned long long)least,
             (unsigned long long)most);
    return wrong(plan, OPTIONS[id - RATE].name, word(words, id), expected);
}

static bool take_small(const struct simulate_plan *plan, const struct words *words,
                       enum option_id id, uint64_t least, uint64_t most, unsigned *value)
{
    uint64_t count = *value;
    bool is_right = take_count(plan, words, id, least, most, &count);
    *value = (unsigned)count;
    return is_right;
}

static bool take_balance(struct simulate_plan *plan, const struct words *words)
{
    static const struct {
        slice name;
        enum balance balance;
    } ALL[] = {{{"idle", 4}, BALANCE_IDLE},
               {{"first", 5}, BALANCE_FIRST},
               {{"round-robin", 11}, BALANCE_ROUND_ROBIN},
               {{"least", 5}, BALANCE_LEAST},
               {{"random", 6}, BALANCE_RANDOM}};
    if (!is_given(words, BALANCE))
        return true;
    for (size_t i = 0; i < sizeof(ALL) / sizeof(*ALL); i++) {
        if (!slice_equal(word(words, BALANCE), ALL[i].name))
            continue;
        plan->setup.balance = ALL[i].balance;
        return true;
    }
    return wrong(plan, "balance", word(words, BALANCE),
                 "idle, first, round-robin, least or random");
}

static bool take_client_wait(struct simulate_plan *plan, const struct words *words)
{
    slice text = word(words, CLIENT_WAIT);
    if (!text.ptr || units_parse_duration(text, &plan->setup.client_wait))
        return true;
    return wrong(plan, "client-wait", text, "a duration such as 500ms or 2s");
}

static bool take_limits(struct simulate_plan *plan, const struct words *words)
{
    struct simulation_setup *setup = &plan->setup;
    return take_small(plan, words, WORKERS, 1, POOL_WORKERS_MAX, &setup->workers) &&
           take_small(plan, words, SLOTS, 1, SLOTS_PER_WORKER_MAX, &setup->slots) &&
           take_small(plan, words, SHELL_AT, 0, 100000, &setup->limits.shell_at) &&
           take_small(plan, words, SHED_AT, 0, 100000, &setup->limits.shed_at) &&
           take_count(plan, words, REQUESTS, 1, REQUESTS_MAX, &plan->load.requests) &&
           take_count(plan, words, SEED, 0, INT64_MAX, &plan->load.seed) &&
           take_balance(plan, words) && take_client_wait(plan, words);
}

static bool no_worker(const struct simulate_plan *plan, slice outage, unsigned worker)
{
    char others[32] = "";
    if (plan->setup.workers > 1)
        snprintf(others, sizeof(others), " to %u", plan->setup.workers - 1);
    cli_usage(plan->self,
              "--outage %" SLICE_FMT ": there is no worker %u, only 0%s; --workers N makes more",
              SLICE_ARG(outage), worker, others);
    return false;
}

static bool take_outages(struct simulate_plan *plan, const struct words *words)
{
    for (size_t i = 0; i < words->outage_count; i++) {
        struct simulation_outage *outage = &plan->setup.outages[i];
        if (!simulate_parse_outage(words->outages[i], outage))
            return wrong(plan, "outage", words->outages[i],
                         "WORKER@START+LENGTH with a worker counted from 0, as 0@60s+10s");
        if (outage->worker >= plan->setup.workers)
            return no_worker(plan, words->outages[i], outage->worker);
        plan->setup.outage_count = i + 1;
    }
    return true;
}

/* --- the load --- */

static bool take_shell(struct simulate_plan *plan, const struct words *words)
{
    bool has_shell = !is_given(words, CONFIG) || plan->policy->shell_file.len > 0;
    plan->load.shell_share = has_shell ? 1 : 0;
    if (is_given(words, SHELL) &&
        !simulate_parse_share(word(words, SHELL), &plan->load.shell_share))
        return wrong(plan, "shell", word(words, SHELL), "a share of the requests such as 80%");
    plan->setup.has_shell = plan->load.shell_share > 0;
    return true;
}

static struct load_class *find_class(struct simulate_plan *plan, slice name)
{
    for (size_t i = 0; i < plan->load.class_count; i++)
        if (slice_equal(plan->class_names[i], name))
            return &plan->classes[i];
    return NULL;
}

/* The last class has what is left. */
static bool take_shares(struct simulate_plan *plan, const struct words *words)
{
    struct load_class *last = &plan->classes[plan->load.class_count - 1];
    double sum = 0;
    for (size_t i = 0; i < words->class_count; i++) {
        slice text = words->classes[i];
        size_t equals = slice_find(text, '=', 0);
        struct load_class *of = find_class(plan, slice_until(text, equals));
        double share;
        if (!of || !simulate_parse_share(slice_from(text, equals + 1), &share))
            return wrong(plan, "class", text, "NAME=SHARE of a class of the policy, as search=10%");
        sum += of == last ? 0 : share - of->share;
        if (of != last)
            of->share = share;
    }
    last->share = 1 - sum;
    return last->share > -1e-9 || wrong(plan, "class", words->classes[0], "100% at most in total");
}

static bool take_speed(struct simulate_plan *plan, const struct words *words)
{
    plan->load.speed = 1;
    slice text = word(words, SPEED);
    if (text.ptr &&
        (!simulate_parse_number(text, 1000, &plan->load.speed) || plan->load.speed < 0.001))
        return wrong(plan, "speed", text, "a factor such as 8 or 0.5");
    if (text.ptr && (is_given(words, RATE) || !is_given(words, LOG)))
        return wrong(plan, "speed", text, "a --log, and no --rate, whose times it can hasten");
    return true;
}

static bool take_load(struct simulate_plan *plan, const struct words *words, slice origin)
{
    struct load_config *load = &plan->load;
    slice rate = word(words, RATE), render = word(words, RENDER), log = word(words, LOG);
    if (rate.ptr && !simulate_parse_rate(rate, plan->steps, &load->step_count))
        return wrong(plan, "rate", rate,
                     "requests/s, or several with lengths: 20/s:60s,200/s:30s,20/s");
    if (render.ptr && !simulate_parse_render(render, &load->render))
        return wrong(plan, "render", render,
                     "50ms, exponential:50ms, bimodal:5ms,50ms,10% or lognormal:50ms,0.8");
    load->steps = plan->steps;
    if (!log.ptr)
        return true;
    if (!simulate_read_log(plan, log, is_given(words, CONFIG) ? origin : SLICE_NONE))
        return false;
    if (!render.ptr && load->render_count == 0)
        return wrong(plan, "log", log, "at least one render that ended, or --render");
    if (!render.ptr)
        load->render.kind = RENDER_RECORDED;
    if (!rate.ptr && !is_given(words, REQUESTS))
        load->requests = load->record_count;
    return true;
}

static bool take_all(struct simulate_plan *plan, const struct words *words)
{
    if (!load_policy(plan, word(words, CONFIG)))
        return false;
    const struct origin_config *origin = find_origin(plan, word(words, ORIGIN));
    if (!origin)
        return false;
    take_origin(plan, origin);
    take_classes(plan);
    plan->load.requests = 100000;
    plan->load.seed = 1;
    if (!take_limits(plan, words) || !take_outages(plan, words) || !take_shell(plan, words) ||
        !take_shares(plan, words) || !take_speed(plan, words))
        return false;
    plan->setup.seed = plan->load.seed;
    if (plan->setup.slots == 0) {
        cli_usage(plan->self, "slots: 0 has no queue to simulate; say --slots");
        return false;
    }
    return take_load(plan, words, origin->name);
}

int simulate_plan(int argc, char **argv, const struct command *self, struct simulate_plan *plan)
{
    struct words words = {0};
    plan->self = self;
    int status = read_words(argc, argv, self, &words);
    if (status >= 0)
        return status;
    if (!is_given(&words, LOG) && !is_given(&words, RATE))
        return cli_usage(self, "says not what load: --rate 200/s or --log FILE");
    if (!is_given(&words, LOG) && !is_given(&words, RENDER))
        return cli_usage(self, "says not how long renders take: --render 50ms or --log FILE");
    plan->wants_compare = is_given(&words, COMPARE);
    plan->wants_json = is_given(&words, JSON);
    return take_all(plan, &words) ? -1 : CLI_USAGE;
}

void simulate_plan_fini(struct simulate_plan *plan)
{
    free(plan->records);
    free(plan->renders_us);
    policy_free(plan->policy);
}
