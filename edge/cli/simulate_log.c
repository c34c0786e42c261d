/*
 * varve's access log as a load: each line of a request that wanted a render, with when it came and
 * how long its render took. Hits, joined renders and refreshes behind a stale page want none, or
 * none that somebody waits for.
 */
#include "edge/cli/simulate.h"

#include "base/arena.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINE_BYTES = 16384 };

static slice text_of(const json_t *line, const char *name)
{
    const json_t *value = json_object_get(line, name);
    return slice_of(json_string_value(value), json_string_length(value));
}

static bool is_one_of(slice text, const char *const *words)
{
    for (; *words; words++)
        if (slice_equal(text, slice_of_string(*words)))
            return true;
    return false;
}

/* Redirects and purges are passes too, but of no worker. */
static bool is_rendered(const json_t *line)
{
    static const char *const RENDERED[] = {"miss", "pass", "revalidated", NULL};
    return is_one_of(text_of(line, "outcome"), RENDERED) && text_of(line, "worker").len;
}

/* Nothing is known of what happened after the client had left. */
static bool has_left(const json_t *line)
{
    static const char *const UNANSWERED[] = {"miss", "pass", NULL};
    return is_one_of(text_of(line, "outcome"), UNANSWERED) &&
           json_integer_value(json_object_get(line, "status")) == 499;
}

/* Rendered, or left too early, or given something else because no render came in time. */
static bool wanted_render(const json_t *line)
{
    slice outcome = text_of(line, "outcome"), reason = text_of(line, "reason");
    static const char *const INSTEAD[] = {"shell", "error", "stale", NULL};
    static const char *const WHY[] = {"over_shell",  "client_wait",    "all_down",
                                      "over_shed",   "upstream_error", "upstream_timeout",
                                      "stale_error", "stale_busy",     NULL};
    return is_rendered(line) || has_left(line) || slice_equal(outcome, SLICE("shed")) ||
           (is_one_of(outcome, INSTEAD) && is_one_of(reason, WHY));
}

/* 2026-11-22T03:14:22.530Z, from 1970 to 2099: a log that goes at a thousandth of its speed still
 * has its time in an int64_t. */
static bool parse_time(slice text, int64_t *us)
{
    struct tm utc = {0};
    char copy[32];
    uint64_t ms;
    if (text.len != sizeof("2026-11-22T03:14:22.530Z") - 1)
        return false;
    snprintf(copy, sizeof(copy), "%" SLICE_FMT, SLICE_ARG(text));
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &utc);
    if (!end || *end != '.' || !slice_to_u64(slice_of(end + 1, 3), &ms) ||
        strcmp(end + 4, "Z") != 0 || utc.tm_year < 70 || utc.tm_year >= 200)
        return false;
    *us = ((int64_t)timegm(&utc) * 1000 + (int64_t)ms) * 1000;
    return true;
}

static unsigned class_of(const struct simulate_plan *plan, slice name)
{
    unsigned i = 0;
    while (i + 1 < plan->load.class_count && !slice_equal(plan->class_names[i], name))
        i++;
    return i;
}

static void add(struct simulate_plan *plan, const struct load_record *record)
{
    struct load_config *load = &plan->load;
    if (load->record_count % 4096 == 0) {
        size_t room = load->record_count + 4096;
        plan->records = mem_grow(plan->records, room * sizeof(*plan->records));
        plan->renders_us = mem_grow(plan->renders_us, room * sizeof(*plan->renders_us));
    }
    plan->records[load->record_count++] = *record;
    if (record->render_us >= 0)
        plan->renders_us[load->render_count++] = record->render_us;
}

/* "renderer/0" is a worker of "renderer". */
static bool is_of(slice worker, slice origin)
{
    return worker.len == 0 || origin.len == 0 ||
           (slice_starts_with(worker, origin) && slice_from(worker, origin.len).len > 0 &&
            worker.ptr[origin.len] == '/');
}

static const char *take(struct simulate_plan *plan, const json_t *line, slice origin)
{
    slice outcome = text_of(line, "outcome");
    const json_t *render = json_object_get(line, "render_ms");
    struct load_record record = {.render_us = -1};
    if (!outcome.len || !json_is_integer(render) ||
        !parse_time(text_of(line, "time"), &record.at_us))
        return "is not a line of varve's access log";
    if (!wanted_render(line) || !is_of(text_of(line, "worker"), origin))
        return NULL;
    if (plan->load.record_count == RECORDS_MAX)
        return "is one line too many: at most 4194304 renders can be taken; use a part of the log";
    json_int_t render_ms = json_integer_value(render);
    if (is_rendered(line) && render_ms >= 0 && render_ms <= 86400000)
        record.render_us = (int64_t)render_ms * 1000;
    record.class_index = class_of(plan, text_of(line, "class"));
    record.got_shell = slice_equal(outcome, SLICE("shell"));
    add(plan, &record);
    return NULL;
}

/* The end of the file may be a line that is still being written: nothing is wrong with it. */
static const char *take_text(struct simulate_plan *plan, slice text, bool is_end, slice origin)
{
    bool is_whole = slice_ends_with(text, SLICE("\n"));
    if (!is_whole && !is_end)
        return "is too long for a line of varve's access log";
    if (slice_trim(slice_until(text, text.len - is_whole)).len == 0)
        return NULL;
    json_t *line = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const char *wrong = line       ? take(plan, line, origin)
                        : is_whole ? "is not JSON: varve simulate reads varve's access log with "
                                     "log: {format: json}"
                                   : NULL;
    json_decref(line);
    return wrong;
}

static int by_time(const void *a, const void *b)
{
    const struct load_record *x = a, *y = b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    if (x->render_us != y->render_us) /* so that the order is always the same */
        return x->render_us < y->render_us ? -1 : 1;
    if (x->class_index != y->class_index)
        return x->class_index < y->class_index ? -1 : 1;
    return (int)x->got_shell - (int)y->got_shell;
}

static bool read_lines(struct simulate_plan *plan, FILE *file, slice path, slice origin)
{
    char *line = mem_alloc(LINE_BYTES);
    const char *wrong = NULL;
    size_t number = 0;
    while (!wrong && fgets(line, LINE_BYTES, file)) {
        number++;
        wrong = take_text(plan, slice_of_string(line), feof(file), origin);
    }
    free(line);
    if (!wrong && ferror(file))
        wrong = strerror(errno);
    if (wrong)
        fprintf(stderr, "%" SLICE_FMT ":%zu: %s\n", SLICE_ARG(path), number, wrong);
    return !wrong;
}

bool simulate_read_log(struct simulate_plan *plan, slice path, slice origin)
{
    FILE *file = fopen(path.ptr, "re");
    if (!file) {
        fprintf(stderr, "varve simulate: cannot read %" SLICE_FMT ": %s\n", SLICE_ARG(path),
                strerror(errno));
        return false;
    }
    bool is_read = read_lines(plan, file, path, origin);
    fclose(file);
    if (is_read && plan->load.record_count == 0)
        fprintf(stderr,
                "%" SLICE_FMT ": no line is of a request that wanted a render; nothing to learn "
                "from\n",
                SLICE_ARG(path));
    if (!is_read || plan->load.record_count == 0)
        return false;
    qsort(plan->records, plan->load.record_count, sizeof(*plan->records), by_time);
    plan->load.records = plan->records;
    plan->load.renders_us = plan->renders_us;
    return true;
}
