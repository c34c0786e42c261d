/*
 * `varve simulate`: what users write on its command line, and the access log, whose lines strangers
 * shaped. Whatever a stranger sends, the line that tells of it counts as the one request that it
 * was. The order of lines plays no part. What is read is a load in order of time, of which each
 * request ends in one way; what is not read is said in words.
 *
 *   input = kind (1 byte)
 *           + 0 or 1 (and simulates): options, each a line: which (1 byte) value; empty line, log
 *           | 2: origin, newline, log
 *           | 3: when (8 bytes), how long (4), outcome, reason, class (1 each), then host, method,
 *             target, user agent, each behind a NUL
 *           | 4: an outage, newline, a rate
 */
#include "edge/admin/request_log.h"
#include "edge/cli/simulate.h"
#include "policy/units.h"

#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { INPUT_MAX = 24576, OPTIONS_MAX = 24, REQUESTS = 200, SLOTS_MOST = 256, CLASSES = 2 };

static const int64_t DAY_US = INT64_C(86400000000), YEAR_2100_MS = INT64_C(4102444800000);
static char log_path[64];
static int log_file;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_file = memfd_create("log", MFD_CLOEXEC);
    MUST(log_file >= 0);
    snprintf(log_path, sizeof(log_path), "/proc/self/fd/%d", log_file);
    return 0;
}

static slice take_text(slice *input)
{
    size_t end = slice_find(*input, '\0', 0);
    slice text = slice_until(*input, end);
    *input = slice_from(*input, end + 1);
    return text;
}

static void write_log(slice bytes)
{
    MUST(ftruncate(log_file, 0) == 0);
    MUST(pwrite(log_file, bytes.ptr ? bytes.ptr : "", bytes.len, 0) == (ssize_t)bytes.len);
}

/* --- what is said on stderr --- */

struct ear {
    FILE *stderr_before;
    char *text;
    size_t bytes;
};

static void ear_open(struct ear *ear)
{
    *ear = (struct ear){.stderr_before = stderr};
    stderr = open_memstream(&ear->text, &ear->bytes);
    MUST(stderr);
}

static slice ear_heard(struct ear *ear)
{
    fclose(stderr);
    stderr = ear->stderr_before;
    return slice_of(ear->text, ear->bytes);
}

/* --- loads --- */

static void check_records(const struct simulate_plan *plan)
{
    const struct load_config *load = &plan->load;
    size_t known = 0;
    for (size_t i = 0; i < load->record_count; i++) {
        const struct load_record *record = &load->records[i];
        MUST(i == 0 || record->at_us >= load->records[i - 1].at_us);
        MUST(record->render_us >= -1 && record->render_us <= DAY_US);
        MUST(record->class_index < load->class_count);
        known += record->render_us >= 0;
    }
    MUST(known == load->render_count);
}

/* Like load_next(), which it asks. */
static bool next(void *load, struct simulation_request *request)
{
    struct simulation_request before = *request;
    if (!load_next(load, request))
        return false;
    MUST(request->at_us >= 0 && request->at_us >= before.at_us);
    MUST(request->render_us >= 0 && request->render_us <= DAY_US);
    MUST(request->rank < QUEUE_RANKS);
    return true;
}

static void check_load(const struct load_config *config)
{
    struct simulation_request request = {0};
    struct load load;
    uint64_t count = 0;
    load_begin(&load, config);
    while (next(&load, &request))
        count++;
    MUST(count <= config->requests);
}

static void check_simulation(const struct simulate_plan *plan)
{
    struct load load;
    if (plan->setup.workers * plan->setup.slots > SLOTS_MOST)
        return;
    load_begin(&load, &plan->load);
    struct simulation_result r = simulation_run(&plan->setup, load_next, &load);
    MUST(r.requests <= plan->load.requests);
    MUST(r.requests ==
         r.rendered + r.over_shell + r.late_shells + r.down_shells + r.shed + r.failed);
    MUST(r.busy >= 0 && r.busy < 1.000001 && r.laziest <= r.busiest && r.span_us >= 0);
}

/* --- the command line --- */

static const char *const option_names[] = {
    "rate",    "render",      "speed", "shell",  "shell-at", "shed-at", "workers", "slots",
    "balance", "client-wait", "class", "outage", "requests", "seed",    "origin"};
enum { OPTIONS = sizeof(option_names) / sizeof(option_names[0]) };

static char *option(struct arena *arena, const char *name, slice value)
{
    slice word = arena_printf(arena, "--%s=%" SLICE_FMT, name, SLICE_ARG(value));
    return (char *)(uintptr_t)word.ptr; /* getopt_long() wants it so */
}

static int take_options(slice *input, struct arena *arena, char *words[OPTIONS_MAX + 3])
{
    static char program[] = "simulate";
    int count = 0;
    slice line;
    words[count++] = program;
    while ((line = take_line(input)).len && count <= OPTIONS_MAX) {
        const char *name = option_names[(take_byte(&line) + OPTIONS - 'a' % OPTIONS) % OPTIONS];
        words[count++] = option(arena, name, line);
    }
    return count;
}

static void check_command(slice input, bool simulates)
{
    static const struct command self = {.name = "simulate"};
    struct simulate_plan *plan = mem_alloc(sizeof(*plan));
    char *words[OPTIONS_MAX + 3] = {NULL};
    struct arena arena;
    struct ear ear;
    arena_init(&arena);
    int count = take_options(&input, &arena, words);
    if (input.len) {
        write_log(input);
        words[count++] = option(&arena, "log", slice_of_string(log_path));
    }
    ear_open(&ear);
    int status = simulate_plan(count, words, &self, plan);
    slice said = ear_heard(&ear);
    MUST(status < 0 ? said.len == 0 : status == CLI_USAGE && slice_ends_with(said, SLICE("\n")));
    if (status < 0) {
        check_records(plan);
        plan->load.requests = plan->load.requests < REQUESTS ? plan->load.requests : REQUESTS;
        check_load(&plan->load);
        if (simulates)
            check_simulation(plan);
    }
    free(ear.text);
    simulate_plan_fini(plan);
    free(plan);
    arena_fini(&arena);
}

/* --- logs --- */

static struct simulate_plan *new_plan(void)
{
    struct simulate_plan *plan = mem_alloc(sizeof(*plan));
    plan->class_names[0] = SLICE("bots");
    plan->class_names[1] = SLICE("people");
    plan->load.class_count = CLASSES;
    return plan;
}

static void free_plan(struct simulate_plan *plan)
{
    simulate_plan_fini(plan);
    free(plan);
}

/* NULL: nothing was read, and *says_nothing is whether nothing is in it, or something wrong. */
static struct simulate_plan *read_log(slice log, slice origin, bool *says_nothing)
{
    struct simulate_plan *plan = new_plan();
    struct ear ear;
    write_log(log);
    ear_open(&ear);
    bool is_read = simulate_read_log(plan, slice_of_string(log_path), origin);
    slice said = ear_heard(&ear);
    MUST(is_read ? said.len == 0 && plan->load.record_count > 0
                 : slice_starts_with(said, slice_of_string(log_path)) &&
                       slice_find(said, '\n', 0) + 1 == said.len);
    *says_nothing = !is_read && slice_ends_with(said, SLICE("nothing to learn from\n"));
    free(ear.text);
    if (is_read)
        return plan;
    free_plan(plan);
    return NULL;
}

static slice reversed(struct arena *arena, slice log)
{
    char *bytes = arena_alloc(arena, log.len + 1);
    size_t at = log.len;
    for (slice rest = log; rest.len;) {
        slice line = slice_until(rest, slice_find(rest, '\n', 0) + 1);
        at -= line.len;
        memcpy(bytes + at, line.ptr, line.len);
        rest = slice_from(rest, line.len);
    }
    return slice_of(bytes, log.len);
}

static bool is_same(const struct load_record *a, const struct load_record *b)
{
    return a->at_us == b->at_us && a->render_us == b->render_us &&
           a->class_index == b->class_index && a->got_shell == b->got_shell;
}

/* A last line without an end may be cut: the log is still being written. */
static void check_order_of_lines(slice input)
{
    struct arena arena;
    bool is_empty, is_empty_too;
    slice origin = take_line(&input);
    arena_init(&arena);
    struct simulate_plan *plan = read_log(input, origin, &is_empty), *back = NULL;
    if (plan)
        check_records(plan);
    if (slice_ends_with(input, SLICE("\n"))) {
        back = read_log(reversed(&arena, input), origin, &is_empty_too);
        MUST(!plan == !back && is_empty == is_empty_too);
    }
    if (back) {
        MUST(plan->load.record_count == back->load.record_count);
        for (size_t i = 0; i < plan->load.record_count; i++)
            MUST(is_same(&plan->load.records[i], &back->load.records[i]));
        free_plan(back);
    }
    if (plan)
        free_plan(plan);
    arena_fini(&arena);
}

/* --- a line of a stranger --- */

static slice line_of(slice input, struct exchange *ex, char bytes[REQUEST_LINE_BYTES])
{
    static const struct policy policy = {.access_log_path = {"-", 1}};
    static struct server server = {.policy = &policy};
    struct request request = {.client = {.is_local = true}, .arena = &ex->arena};
    request.host = take_text(&input);
    request.method_text = take_text(&input);
    request.target = take_text(&input);
    fields_init(&request.fields, &ex->arena);
    fields_add_id(&request.fields, FIELD_USER_AGENT, input);
    ex->server = &server;
    ex->request = &request;
    return request_log_line(ex, (duration){12}, bytes);
}

static bool is_rendered(enum outcome outcome)
{
    return outcome == OUTCOME_MISS || outcome == OUTCOME_PASS || outcome == OUTCOME_REVALIDATED;
}

static void check_line(slice input)
{
    static char bytes[REQUEST_LINE_BYTES];
    static const struct class_config classes[CLASSES] = {{.name = {"bots", 4}},
                                                         {.name = {"people", 6}}};
    struct exchange ex = {.worker = SLICE("renderer/0")};
    bool says_nothing;
    uint64_t when;
    uint32_t took;
    take_bytes(&input, &when, sizeof(when));
    take_bytes(&input, &took, sizeof(took));
    ex.started.wall.ms = (int64_t)(when % (uint64_t)YEAR_2100_MS);
    ex.rendered.ms = took % (DAY_US / 1000 + 1);
    ex.outcome = take_byte(&input) % OUTCOME_COUNT;
    ex.reason = take_byte(&input) % REASON_COUNT;
    unsigned class_index = take_byte(&input) % CLASSES;
    ex.decision.class_config = &classes[class_index];
    arena_init(&ex.arena);
    struct simulate_plan *plan =
        read_log(line_of(input, &ex, bytes), SLICE("renderer"), &says_nothing);
    arena_fini(&ex.arena);
    MUST(plan || (says_nothing && !is_rendered(ex.outcome)));
    if (!plan)
        return;
    MUST(plan->load.record_count == 1);
    MUST(is_same(&plan->load.records[0],
                 &(struct load_record){
                     .at_us = ex.started.wall.ms * 1000,
                     .render_us = is_rendered(ex.outcome) ? ex.rendered.ms * 1000 : -1,
                     .class_index = class_index,
                     .got_shell = ex.outcome == OUTCOME_SHELL,
                 }));
    free_plan(plan);
}

/* --- words of options --- */

static void check_outage(slice text)
{
    struct simulation_outage once, twice;
    char at[UNIT_TEXT_BYTES], length[UNIT_TEXT_BYTES];
    struct arena arena;
    if (!simulate_parse_outage(text, &once))
        return;
    MUST(once.at_us >= 0 && once.until_us >= once.at_us);
    arena_init(&arena);
    slice again = arena_printf(
        &arena, "%u@%" SLICE_FMT "+%" SLICE_FMT, once.worker,
        SLICE_ARG(units_format_duration((duration){once.at_us / 1000}, at)),
        SLICE_ARG(units_format_duration((duration){(once.until_us - once.at_us) / 1000}, length)));
    MUST(simulate_parse_outage(again, &twice) && once.worker == twice.worker &&
         once.at_us == twice.at_us && once.until_us == twice.until_us);
    arena_fini(&arena);
}

/* Each step alone says what it says in the list; only the last is without an end. */
static void check_rate(slice text)
{
    struct load_step steps[LOAD_STEPS_MAX], alone[LOAD_STEPS_MAX];
    size_t count, one;
    slice rest = text, part;
    if (!simulate_parse_rate(text, steps, &count))
        return;
    MUST(count >= 1 && count <= LOAD_STEPS_MAX);
    for (size_t i = 0; i < count; i++) {
        MUST(slice_next(&rest, ',', &part) && (steps[i].length_us > 0 || i + 1 == count));
        MUST(steps[i].per_second >= 0 && steps[i].per_second <= 1e6);
        bool is_rate = simulate_parse_rate(part, alone, &one);
        MUST(is_rate == (steps[i].per_second > 0) && one == 1);
        MUST(alone[0].per_second == steps[i].per_second &&
             alone[0].length_us == steps[i].length_us);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    unsigned kind = take_byte(&input) % 5;
    if (kind < 2) {
        check_command(input, kind == 1);
    } else if (kind == 2) {
        check_order_of_lines(input);
    } else if (kind == 3) {
        check_line(input);
    } else {
        check_outage(take_line(&input));
        check_rate(input);
    }
    return 0;
}
