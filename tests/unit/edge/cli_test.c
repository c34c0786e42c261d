/*
 * edge/cli: each command run in a child process against a daemon that is played here. Proves what
 * is sent, what is printed, and the exit status; print.c and
 * http_exchange.c with it.
 */
#include "edge/cli/cli.h"
#include "edge/proc/listeners.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 16, TEXT_BYTES = 65536, PATIENCE_MS = 30000 };

static char directory[64], address[128];

static struct {
    int status;
    char request[TEXT_BYTES], out[TEXT_BYTES], err[TEXT_BYTES];
} result;

static int setup(void **context)
{
    (void)context;
    snprintf(directory, sizeof(directory), "/tmp/varve-cli-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(address, sizeof(address), "unix:%s/admin.sock", directory);
    return chdir(directory);
}

static int teardown(void **context)
{
    (void)context;
    return rmdir(directory);
}

/* --- the daemon --- */

static void read_until(int fd, char text[TEXT_BYTES], bool is_request)
{
    size_t used = 0;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    text[0] = '\0';
    for (;;) {
        const char *head = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        if (is_request && head && strlen(head + 4) >= (length ? strtoul(length + 16, NULL, 10) : 0))
            return;
        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        ssize_t got = read(fd, text + used, TEXT_BYTES - 1 - used);
        if (got <= 0)
            return;
        used += (size_t)got;
        text[used] = '\0';
    }
}

static void answer(int listener, const char *text)
{
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    read_until(fd, result.request, true);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* --- the command --- */

static pid_t run_child(char **argv, int out[2], int err[2])
{
    int argc = 0;
    while (argv[argc])
        argc++;
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        int status = cli_main(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    close(out[1]);
    close(err[1]);
    return child;
}

/* `line` is split at spaces. `text`: what the daemon answers; NULL: there is no daemon. */
static int varve(const char *line, const char *text)
{
    char copy[1024], error[LISTEN_ERROR_BYTES], *argv[WORDS_MAX] = {"varve"}, *rest = NULL;
    int out[2], err[2], count = 1, status, listener = -1;
    memset(&result, 0, sizeof(result));
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[count++] = word;
    if (text) {
        argv[count++] = "--admin";
        argv[count++] = address;
        listener = listener_open(slice_of_string(address), 0600, error);
        assert_true(listener >= 0);
    }
    pid_t child = run_child(argv, out, err);
    if (text)
        answer(listener, text);
    read_until(out[0], result.out, false);
    read_until(err[0], result.err, false);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    close(out[0]);
    close(err[0]);
    if (listener >= 0) {
        close(listener);
        listener_unlink(slice_of_string(address));
    }
    return result.status = WEXITSTATUS(status);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static const char *json(const char *body)
{
    static char text[TEXT_BYTES];
    snprintf(text, sizeof(text), OK_HEAD "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    return text;
}

static bool asked(const char *text)
{
    return strstr(result.request, text) != NULL;
}

static bool printed(const char *text)
{
    return strstr(result.out, text) != NULL;
}

static bool complained(const char *text)
{
    return strstr(result.err, text) != NULL;
}

/* --- purge --- */

static void test_6_4_purge_sends_all_that_was_named(void **context)
{
    (void)context;
    assert_int_equal(varve("purge https://a.test/x --tag t1 --tag t2 --prefix https://a.test/p "
                           "--host b.test --soft --dry-run",
                           json("{\"purged\":null,\"stamp\":7}")),
                     0);
    assert_true(asked("POST /v1/purge HTTP/1.1\r\n"));
    assert_true(asked("Content-Type: application/json\r\n"));
    assert_true(asked("\"tags\":[\"t1\",\"t2\"]"));
    assert_true(asked("\"prefixes\":[\"https://a.test/p\"]"));
    assert_true(asked("\"hosts\":[\"b.test\"]"));
    assert_true(asked("\"urls\":[\"https://a.test/x\"]"));
    assert_true(asked("\"soft\":true"));
    assert_true(asked("\"dry_run\":true"));
    assert_false(asked("\"all\""));
    assert_true(printed("purged  -"));
    assert_true(printed("stamp   7"));
}

static void test_6_4_wide_purges_want_soft_or_hard(void **context)
{
    (void)context;
    assert_int_equal(varve("purge --all", NULL), 2);
    assert_int_equal(varve("purge --host a.test", NULL), 2);
    assert_int_equal(varve("purge --all --soft --hard", NULL), 2);
    assert_int_equal(varve("purge --all --hard", json("{}")), 0);
    assert_true(asked("\"all\":true"));
    assert_true(asked("\"soft\":false"));
}

static void test_purge_of_nothing_is_a_mistake(void **context)
{
    (void)context;
    assert_int_equal(varve("purge", NULL), 2);
    assert_int_equal(varve("purge --soft", NULL), 2);
}

static void test_6_4_a_purge_that_was_not_written_is_a_failure(void **context)
{
    (void)context;
    assert_int_equal(
        varve("purge http://a/",
              "HTTP/1.1 507 x\r\nContent-Length: 24\r\n\r\n{\"detail\":\"disk is full\"}"),
        1);
    assert_true(complained("disk is full") || complained("507"));
}

/* --- explain, variants --- */

static void test_explain_encodes_url_and_headers(void **context)
{
    (void)context;
    assert_int_equal(
        varve("explain http://a.test/x?b=c&d -H N:v&w -HM:1", json("{\"route\":\"/**\"}")), 0);
    assert_true(asked("GET /v1/explain?url=http%3A%2F%2Fa.test%2Fx%3Fb%3Dc%26d"
                      "&header=N%3Av%26w&header=M%3A1 HTTP/1.1\r\n"));
    assert_true(printed("route  /**"));
}

static void test_explain_refuses_what_is_no_header(void **context)
{
    (void)context;
    assert_int_equal(varve("explain http://a/ -H novalue", NULL), 2);
    assert_int_equal(varve("explain", NULL), 2);
    assert_int_equal(varve("explain a b", NULL), 2);
}

static void test_variants_are_a_table_of_what_came(void **context)
{
    (void)context;
    assert_int_equal(varve("variants http://a/",
                           json("{\"variants\":[{\"name\":\"de\",\"age\":5},"
                                "{\"name\":\"français\",\"age\":12,\"tags\":[\"a\",\"b\"]}]}")),
                     0);
    assert_string_equal(result.out, "variants:\n"
                                    "  name      age  tags\n"
                                    "  de        5    -\n"
                                    "  français  12   a, b\n");
}

static void test_control_bytes_of_strangers_do_not_reach_the_terminal(void **context)
{
    (void)context;
    assert_int_equal(varve("variants http://a/", json("{\"a\\u001b[2J\":\"b\\u0007\"}")), 0);
    assert_null(strchr(result.out, '\033'));
    assert_null(strchr(result.out, '\007'));
    assert_true(printed("\\x1b"));
    assert_int_equal(varve("variants http://a/", json("{\"a\\u009b2J\":\"ü \\u0085\","
                                                      "\"t\":[{\"n\":\"\\u0090q\"}]}")),
                     0);
    assert_null(strstr(result.out, "\xc2"));
    assert_true(printed("\\xc2\\x9b2J"));
    assert_true(printed("ü \\xc2\\x85"));
    assert_true(printed("\\xc2\\x90q"));
}

static void test_deep_and_long_answers_are_printed_within_limits(void **context)
{
    (void)context;
    char deep[4096] = "", text[4400];
    for (int i = 0; i < 200; i++)
        strncat(deep, "{\"k\":", sizeof(deep) - strlen(deep) - 1);
    strncat(deep, "1", sizeof(deep) - strlen(deep) - 1);
    for (int i = 0; i < 200; i++)
        strncat(deep, "}", sizeof(deep) - strlen(deep) - 1);
    assert_int_equal(varve("variants http://a/", json(deep)), 0);
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"k\":\"", 6);
    memcpy(text + sizeof(text) - 3, "\"}", 3);
    assert_int_equal(varve("variants http://a/", json(text)), 0);
    assert_true(printed("…"));
}

/* --- what the daemon may answer --- */

static void test_json_is_given_as_it_came(void **context)
{
    (void)context;
    assert_int_equal(varve("slots --json", json("{\"a\" :  [1]}")), 0);
    assert_string_equal(result.out, "{\"a\" :  [1]}\n");
}

static void test_a_chunked_answer_is_put_together(void **context)
{
    (void)context;
    assert_int_equal(varve("stat --once --json", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
                                                         "3\r\n{\"a\r\n5\r\n\": 1}\r\n0\r\n\r\n"),
                     0);
    assert_string_equal(result.out, "{\"a\": 1}\n");
}

static void test_answers_that_break_off_are_not_believed(void **context)
{
    (void)context;
    static const char *const BROKEN[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        OK_HEAD "Content-Length: 100\r\n\r\n{}",
        OK_HEAD "Content-Length: -1\r\n\r\n{}",
        OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
        OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "nonsense\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(BROKEN) / sizeof(*BROKEN); i++)
        assert_int_equal(varve("slots", BROKEN[i]), 3);
}

static void test_a_refusal_is_a_failure_with_its_reason(void **context)
{
    (void)context;
    assert_int_equal(
        varve("slots", "HTTP/1.1 404 x\r\nContent-Length: 17\r\n\r\n{\"error\":\"no such\"}"), 1);
    assert_int_equal(varve("slots", "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n"), 1);
    assert_true(complained("wants a token: --token-file FILE"));
    assert_int_equal(varve("slots", "HTTP/1.1 401 x\r\nContent-Length: 43\r\n\r\n"
                                    "{\"detail\":\"a bearer token is needed (here)\"}"),
                     1);
    assert_true(complained("wants a token: --token-file FILE"));
    assert_int_equal(varve("slots", "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"), 1);
    assert_true(complained("500"));
}

/* --- reload --- */

static void test_9_2_a_failed_reload_prints_every_error(void **context)
{
    (void)context;
    assert_int_equal(
        varve("reload",
              json("{\"result\":\"failed\",\"errors\":\"v.yaml:1:1: a\\nv.yaml:2:1: b\",\"cause\":"
                   "\"policy\"}")),
        2);
    assert_true(complained("v.yaml:1:1: a\nv.yaml:2:1: b\n"));
    assert_true(asked("POST /v1/reload HTTP/1.1\r\n"));
    assert_int_equal(
        varve("reload", json("{\"result\":\"failed\",\"errors\":\"listen: in use\",\"cause\":"
                             "\"start\"}")),
        1);
    assert_int_equal(varve("reload", json("{\"result\":\"ok\"}")), 0);
    assert_true(printed("reloaded"));
    assert_int_equal(varve("reload --json", json("{\"result\":\"failed\"}")), 1);
    assert_true(printed("failed"));
}

/* --- status and help --- */

static void test_3_means_that_the_daemon_is_not_there(void **context)
{
    (void)context;
    assert_int_equal(varve("slots --admin unix:/nonexistent/x.sock", NULL), 3);
    assert_true(
        complained("varve slots: cannot reach the daemon at unix:/nonexistent/x.sock: no such "
                   "socket: is varve running"));
    assert_int_equal(varve("slots --admin 127.0.0.1:1", NULL), 3);
    assert_true(complained("nobody listens there: start varve, or say where it is: --admin ADDR"));
    assert_int_equal(varve("slots --admin nonsense", NULL), 3);
    assert_true(complained("that is no address: give unix:/PATH or HOST:PORT"));
    setenv("HOME", directory, 1);
    if (access("/var/lib/varve/admin.sock", F_OK) != 0)
        assert_int_equal(varve("slots", NULL), 3);
}

static void test_2_means_that_the_command_line_is_wrong(void **context)
{
    (void)context;
    static const char *const WRONG[] = {"",
                                        "slot",
                                        "slots now",
                                        "slots --bogus",
                                        "run",
                                        "run a b",
                                        "run site.yaml",
                                        "run .",
                                        "run --vcl x u",
                                        "check x",
                                        "reload x",
                                        "worker",
                                        "init --preset x",
                                        "version x",
                                        "check --config nonexistent.yaml"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(*WRONG); i++) {
        assert_int_equal(varve(WRONG[i], NULL), 2);
        assert_string_not_equal(result.err, "");
    }
    varve("init --preset nxt", NULL);
    assert_true(
        complained("there is no preset \"nxt\": next, nuxt, sveltekit, react-router, angular, "
                   "render-gateway\n"));
    varve("init --bogus", NULL);
    assert_true(complained("unrecognized option '--bogus'\ntry: varve init --help\n"));
    varve("check --config nonexistent.yaml", NULL);
    assert_true(complained("nonexistent.yaml: there is no such file: `varve init` writes one"));
    varve("run site.yaml", NULL);
    assert_true(complained("is no ORIGIN-URL such as http://127.0.0.1:3000 (a policy file? "
                           "--config site.yaml)\n"));
    varve("slot", NULL);
    assert_true(complained("did you mean \"slots\"?"));
}

static void test_2_means_too_that_the_daemon_makes_no_sense_of_the_words(void **context)
{
    (void)context;
    static const char *const LINES[] = {"explain /c", "variants /c", "purge /c",
                                        "purge --prefix /c"};
    static const char REFUSED[] = "HTTP/1.1 400 x\r\nContent-Length: 37\r\n\r\n"
                                  "{\"detail\":\"is not a URL with a host\"}";
    for (size_t i = 0; i < sizeof(LINES) / sizeof(*LINES); i++) {
        assert_int_equal(varve(LINES[i], REFUSED), 2);
        assert_true(complained("is not a URL with a host\n"));
    }
}

static void test_every_command_explains_itself_with_an_example(void **context)
{
    (void)context;
    static const char *const NAMES[] = {"run",      "check", "init",  "purge",  "explain",
                                        "variants", "stat",  "slots", "reload", "version"};
    char line[64];
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        snprintf(line, sizeof(line), "%s --help", NAMES[i]);
        assert_int_equal(varve(line, NULL), 0);
        assert_true(printed("usage: varve"));
        assert_true(printed("example: varve"));
    }
    assert_int_equal(varve("--help", NULL), 0);
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++)
        assert_true(printed(NAMES[i]));
}

static void test_init_writes_what_check_accepts_and_never_overwrites(void **context)
{
    (void)context;
    assert_int_equal(varve("init", NULL), 0);
    assert_int_equal(varve("check", NULL), 0);
    assert_int_equal(varve("check --effective", NULL), 0);
    assert_true(printed("listen:"));
    assert_int_equal(varve("init", NULL), 1);
    assert_int_equal(unlink("varve.yaml"), 0);
    assert_int_equal(varve("init --output -", NULL), 0);
    assert_true(printed("routes:"));
}

static void test_check_prints_all_errors(void **context)
{
    (void)context;
    FILE *file = fopen("bad.yaml", "w");
    fputs("renderer: http://127.0.0.1:3000\nstael: 1\nhosst: []\n", file);
    fclose(file);
    assert_int_equal(varve("check --config bad.yaml", NULL), 2);
    assert_true(complained("bad.yaml:2:1:") && complained("bad.yaml:3:1:"));
    assert_int_equal(varve("check --config bad.yaml --json", NULL), 2);
    assert_true(printed("\"line\": 2") && printed("\"line\": 3") && printed("\"failed\""));
    assert_int_equal(unlink("bad.yaml"), 0);
}

/* Of what may be hundreds of lines the limit is said. */
static void test_check_says_how_many_warnings_it_does_not_show(void **context)
{
    (void)context;
    FILE *file = fopen("many.yaml", "w");
    fputs("renderer: http://127.0.0.1:3000\nroutes:\n  - match: \"/**\"\n", file);
    for (int i = 0; i < 100; i++)
        fprintf(file, "  - match: /%d\n", i);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(varve("check --config many.yaml", NULL), 0);
    assert_true(complained("is never reached"));
    assert_false(complained("not shown"));
    fputs("  - match: /a\n  - match: /b\n", file);
    fclose(file);
    assert_int_equal(varve("check --config many.yaml", NULL), 0);
    assert_true(complained("many.yaml: warning: 2 more warnings not shown\n"));
    assert_int_equal(unlink("many.yaml"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_6_4_purge_sends_all_that_was_named),
        cmocka_unit_test(test_6_4_wide_purges_want_soft_or_hard),
        cmocka_unit_test(test_purge_of_nothing_is_a_mistake),
        cmocka_unit_test(test_6_4_a_purge_that_was_not_written_is_a_failure),
        cmocka_unit_test(test_explain_encodes_url_and_headers),
        cmocka_unit_test(test_explain_refuses_what_is_no_header),
        cmocka_unit_test(test_variants_are_a_table_of_what_came),
        cmocka_unit_test(test_control_bytes_of_strangers_do_not_reach_the_terminal),
        cmocka_unit_test(test_deep_and_long_answers_are_printed_within_limits),
        cmocka_unit_test(test_json_is_given_as_it_came),
        cmocka_unit_test(test_a_chunked_answer_is_put_together),
        cmocka_unit_test(test_answers_that_break_off_are_not_believed),
        cmocka_unit_test(test_a_refusal_is_a_failure_with_its_reason),
        cmocka_unit_test(test_9_2_a_failed_reload_prints_every_error),
        cmocka_unit_test(test_3_means_that_the_daemon_is_not_there),
        cmocka_unit_test(test_2_means_that_the_command_line_is_wrong),
        cmocka_unit_test(test_2_means_too_that_the_daemon_makes_no_sense_of_the_words),
        cmocka_unit_test(test_every_command_explains_itself_with_an_example),
        cmocka_unit_test(test_init_writes_what_check_accepts_and_never_overwrites),
        cmocka_unit_test(test_check_prints_all_errors),
        cmocka_unit_test(test_check_says_how_many_warnings_it_does_not_show),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
