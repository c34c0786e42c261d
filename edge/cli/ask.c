/* The commands that ask the daemon one thing: explain, variants, slots, stat, reload, restart. */
#include "edge/cli/mode.h"
#include "edge/cli/options.h"
#include "edge/cli/print.h"
#include "policy/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    ONCE = OPTION_OWN,
    RELOAD_MS = 600000, /* it may wait for a draining worker */
    LEAVING_TRIES = 50,
    RESTART_MS = 3600000, /* one renderer after the other, each with what it still renders */
};

static const struct option OPTIONS[] = {DAEMON_OPTIONS_ROWS, {NULL, 0, NULL, 0}};
static const struct option STAT_OPTIONS[] = {
    {"once", no_argument, NULL, ONCE}, DAEMON_OPTIONS_ROWS, {NULL, 0, NULL, 0}};

/* --- explain, variants --- */

struct question {
    struct admin_target *target;
    slice headers; /* "&header=N%3A%20v" for each -H */
};

static bool take_header(int option, slice value, void *arg)
{
    struct question *question = arg;
    struct arena *arena = &question->target->arena;
    (void)option; /* -H is the only one */
    if (slice_find(value, ':', 0) == value.len) {
        cli_usage(question->target->command, "-H wants 'NAME: VALUE', not \"%" SLICE_FMT "\"",
                  SLICE_ARG(value));
        return false;
    }
    question->headers =
        arena_printf(arena, "%" SLICE_FMT "&header=%" SLICE_FMT, SLICE_ARG(question->headers),
                     SLICE_ARG(url_percent_encode(arena, value)));
    return true;
}

static int ask_about_url(int argc, char **argv, struct admin_target *target, const char *path,
                         bool with_headers)
{
    struct question question = {target, SLICE_NONE};
    int status = options_read(argc, argv, with_headers ? "hH:" : "h", OPTIONS, target,
                              with_headers ? take_header : NULL, &question);
    if (status >= 0)
        return status;
    if (argc - optind != 1)
        return cli_usage(target->command, "wants one URL");
    slice url = url_percent_encode(&target->arena, slice_of_string(argv[optind]));
    slice text = arena_printf(&target->arena, "%s?url=%" SLICE_FMT "%" SLICE_FMT, path,
                              SLICE_ARG(url), SLICE_ARG(question.headers));
    return daemon_ask(target, "GET", text, NULL, ASK_MS);
}

int cli_explain(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    admin_target_init(&target, self);
    int status = ask_about_url(argc, argv, &target, "/v1/explain", true);
    admin_target_fini(&target);
    return status;
}

int cli_variants(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    admin_target_init(&target, self);
    int status = ask_about_url(argc, argv, &target, "/v1/variants", false);
    admin_target_fini(&target);
    return status;
}

/* --- without words --- */

/* -1: go on. */
static int read_bare(int argc, char **argv, const struct option *rows, struct admin_target *target,
                     option_taker take, void *arg)
{
    int status = options_read(argc, argv, "h", rows, target, take, arg);
    if (status < 0 && optind < argc)
        return cli_usage(target->command, "unexpected \"%s\"", argv[optind]);
    return status;
}

/* drain W, up W */
static int set_slot(struct admin_target *target, int count, char **words)
{
    static const char NAME_BYTES[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    bool is_drain = strcmp(words[0], "drain") == 0;
    if (count != 2 || (!is_drain && strcmp(words[0], "up") != 0))
        return cli_usage(target->command, "wants nothing, \"drain WORKER\" or \"up WORKER\"");
    if (words[1][strspn(words[1], NAME_BYTES)] != '\0')
        return cli_usage(target->command, "a worker is called like renderer/0");
    slice path = arena_printf(&target->arena, "/v1/slots/%s", words[1]);
    const char *body = is_drain ? "{\"state\": \"drain\"}" : "{\"state\": \"up\"}";
    return daemon_ask(target, "POST", path, body, ASK_MS);
}

int cli_slots(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    admin_target_init(&target, self);
    int status = options_read(argc, argv, "h", OPTIONS, &target, NULL, NULL);
    if (status < 0 && optind < argc)
        status = set_slot(&target, argc - optind, argv + optind);
    else if (status < 0)
        status = daemon_ask(&target, "GET", SLICE("/v1/slots"), NULL, ASK_MS);
    admin_target_fini(&target);
    return status;
}

static bool take_once(int option, slice value, void *arg)
{
    (void)value;
    bool *once = arg;
    return *once = option == ONCE;
}

/* Counters; above them, for people, what an operator may have forgotten. */
static int show_stats(struct admin_target *target)
{
    struct admin_answer answer = {0};
    int status = admin_find(target);
    if (status == CLI_OK)
        status = admin_request(target, "GET", SLICE("/v1/stats"), NULL, ASK_MS, &answer);
    if (status == CLI_OK)
        status = admin_judge(target, &answer);
    const char *notice = status == CLI_OK ? mode_notice(answer.json) : NULL;
    if (notice && !target->wants_json)
        printf("%s\n\n", notice);
    if (answer.body && (status == CLI_OK || target->wants_json))
        print_answer(&answer, target->wants_json);
    admin_answer_fini(&answer);
    return status;
}

/* Until Ctrl-C, or the daemon is gone. On a terminal each second replaces the last. */
static int watch(struct admin_target *target)
{
    const struct timespec second = {.tv_sec = 1};
    bool is_terminal = isatty(STDOUT_FILENO) && !target->wants_json;
    for (;;) {
        if (is_terminal)
            fputs("\033[H\033[2J", stdout);
        int status = show_stats(target);
        if (status != CLI_OK || ferror(stdout))
            return status;
        if (!is_terminal && !target->wants_json)
            putchar('\n');
        nanosleep(&second, NULL);
    }
}

int cli_stat(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    bool once = false;
    admin_target_init(&target, self);
    int status = read_bare(argc, argv, STAT_OPTIONS, &target, take_once, &once);
    if (status < 0)
        status = once ? show_stats(&target) : watch(&target);
    admin_target_fini(&target);
    return status;
}

/* --- reload --- */

static int judge_reload(const struct admin_target *target, const struct admin_answer *answer)
{
    const char *result = json_string_value(json_object_get(answer->json, "result"));
    const char *errors = json_string_value(json_object_get(answer->json, "errors"));
    const char *cause = json_string_value(json_object_get(answer->json, "cause"));
    bool is_ok = result && strcmp(result, "ok") == 0;
    if (target->wants_json)
        print_answer(answer, true);
    else if (is_ok)
        puts("reloaded");
    else if (errors)
        fprintf(stderr, "%s\nvarve reload: failed; the old policy stays in force\n", errors);
    else
        return admin_judge(target, answer);
    if (is_ok)
        return CLI_OK;
    return cause && strcmp(cause, "policy") == 0 ? CLI_USAGE : CLI_FAILED;
}

/* A worker that is leaving says 503; the one that took over answers. */
static int ask_staying(const struct admin_target *target, slice path, const char *body,
                       int timeout_ms, struct admin_answer *answer)
{
    static const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    int status = CLI_OK;
    for (int i = 0; i < LEAVING_TRIES; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        admin_answer_fini(answer);
        *answer = (struct admin_answer){0};
        status = admin_request(target, "POST", path, body, timeout_ms, answer);
        if (status != CLI_OK || answer->status != 503)
            break;
    }
    return status;
}

static int reload(struct admin_target *target)
{
    struct admin_answer answer = {0};
    int status = admin_find(target);
    if (status == CLI_OK)
        status = ask_staying(target, SLICE("/v1/reload"), "{}", RELOAD_MS, &answer);
    if (status == CLI_OK)
        status = judge_reload(target, &answer);
    admin_answer_fini(&answer);
    return status;
}

int cli_reload(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    admin_target_init(&target, self);
    int status = read_bare(argc, argv, OPTIONS, &target, NULL, NULL);
    if (status < 0)
        status = reload(&target);
    admin_target_fini(&target);
    return status;
}

/* --- restart --- */

static int judge_restart(const struct admin_target *target, const struct admin_answer *answer)
{
    json_t *restarted = json_object_get(answer->json, "restarted");
    if (target->wants_json)
        print_answer(answer, true);
    else if (answer->status == 200)
        printf("restarted %lld renderer%s\n", (long long)json_integer_value(restarted),
               json_integer_value(restarted) == 1 ? "" : "s");
    else
        return admin_judge(target, answer);
    return answer->status == 200 ? CLI_OK : CLI_FAILED;
}

static int restart(struct admin_target *target, const char *origin)
{
    struct admin_answer answer = {0};
    json_t *body = origin ? json_pack("{s:s}", "origin", origin) : json_object();
    char *text = body ? json_dumps(body, 0) : NULL;
    json_decref(body);
    if (!text)
        return cli_usage(target->command, "the name of the origin is not UTF-8");
    int status = admin_find(target);
    if (status == CLI_OK)
        status = ask_staying(target, SLICE("/v1/restart"), text, RESTART_MS, &answer);
    if (status == CLI_OK)
        status = judge_restart(target, &answer);
    admin_answer_fini(&answer);
    free(text);
    return status;
}

int cli_restart(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    admin_target_init(&target, self);
    int status = options_read(argc, argv, "h", OPTIONS, &target, NULL, NULL);
    if (status < 0 && argc - optind > 1)
        status = cli_usage(self, "wants one origin at most");
    if (status < 0)
        status = restart(&target, optind < argc ? argv[optind] : NULL);
    admin_target_fini(&target);
    return status;
}
