/*
 * The access log: the fields of docs/operations.md in their order, lines that stay JSON whatever
 * clients send, redacted values, the combined format, and what was refused (semantics 9.7, 10).
 */
#include "edge/admin/request_log.h"

#include "base/log.h"
#include "edge/admin/metrics.h"
#include "policy/load.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[] = "/tmp/varve-access-XXXXXX";
static struct loop loop;
static struct server server;
static struct arena arena;
static struct request request;
static struct exchange ex;
static void *region;
static char line[20000];

/* --- what all tests have --- */

static void load_policy(const char *log)
{
    struct diag diag;
    diag_init(&diag, &arena);
    char text[400];
    int length = snprintf(text, sizeof(text), "renderer: http://127.0.0.1:1\nlog: {%s}\n", log);
    server.policy = policy_load_text(slice_of(text, (size_t)length), SLICE("test.yaml"), &diag);
    assert_non_null(server.policy);
    server.metrics = metrics_new(counters_attach(region), server.policy);
}

static int setup(void **context)
{
    (void)context;
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    region = mmap(NULL, counters_region_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                  -1, 0);
    counters_region_init(region);
    arena_init(&arena);
    if (!loop.evloop)
        loop.evloop = h2o_evloop_create();
    request = (struct request){.arena = &arena,
                               .id = SLICE("id-1"),
                               .client = {.is_local = true},
                               .host = SLICE("shop.example"),
                               .method_text = SLICE("GET"),
                               .http_major = 1,
                               .http_minor = 1,
                               .target = SLICE("/a?b=c")};
    fields_init(&request.fields, &arena);
    ex = (struct exchange){.server = &server,
                           .loop = &loop,
                           .request = &request,
                           .started = {{1700000000123}, {0}},
                           .outcome = OUTCOME_HIT,
                           .reason = REASON_FRESH,
                           .status = 200,
                           .bytes = 17,
                           .age = {42999},
                           .queued = {5},
                           .rendered = {6}};
    ex.started.mono = loop_now(&loop).mono;
    arena_init(&ex.arena);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    metrics_free(server.metrics);
    policy_free((struct policy *)(uintptr_t)server.policy);
    server = (struct server){0};
    arena_fini(&ex.arena);
    arena_fini(&arena);
    munmap(region, counters_region_bytes());
    unlink(path);
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    return 0;
}

/* Decides as a real request would be, so that route and class are there. */
static void decide(void)
{
    ex.decision.route = &server.policy->route_pass;
    ex.decision.class_config = &server.policy->classes[0];
}

/* What `write` put into the file: one line, in `line` without its end. */
static void one_line(void (*write)(void))
{
    assert_int_equal(log_start(slice_of_string(path)), 0);
    write();
    log_stop();
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    assert_true(length > 0 && length < sizeof(line) - 1);
    assert_int_equal(line[length - 1], '\n');
    line[length - 1] = '\0';
    assert_null(strchr(line, '\n'));
}

static void write_request(void)
{
    request_log(&ex);
}

static json_t *json_line(void (*write)(void))
{
    one_line(write);
    json_error_t error;
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s in %s", error.text, line);
    return json;
}

static const char *text_of(json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "(no text)";
}

/* --- JSON --- */

static const char *const names[] = {
    "time",   "id",    "client", "host",   "method",   "path",      "status",   "bytes", "outcome",
    "reason", "route", "class",  "worker", "queue_ms", "render_ms", "total_ms", "age",   "ua"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static void assert_fields(json_t *json)
{
    size_t i = 0;
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        assert_true(i < NAMES);
        assert_string_equal(name, names[i++]);
    }
    assert_int_equal(i, NAMES);
}

static void test_a_line_has_the_documented_fields_in_their_order(void **context)
{
    (void)context;
    load_policy("access: {path: /x, format: json}");
    decide();
    fields_add_id(&request.fields, FIELD_USER_AGENT, SLICE("curl/8"));
    json_t *json = json_line(write_request);
    assert_fields(json);
    assert_string_equal(text_of(json, "time"), "2023-11-14T22:13:20.123Z");
    assert_string_equal(text_of(json, "client"), "unix");
    assert_string_equal(text_of(json, "path"), "/a?b=c");
    assert_string_equal(text_of(json, "outcome"), "hit");
    assert_string_equal(text_of(json, "reason"), "fresh");
    assert_string_equal(text_of(json, "ua"), "curl/8");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes")), 17);
    assert_int_equal(json_integer_value(json_object_get(json, "age")), 42);
    assert_int_equal(json_integer_value(json_object_get(json, "queue_ms")), 5);
    assert_int_equal(json_integer_value(json_object_get(json, "render_ms")), 6);
    json_decref(json);
}

static void test_9_7_any_byte_of_a_client_leaves_the_line_json(void **context)
{
    (void)context;
    load_policy("access: {path: /x}");
    decide();
    char bytes[255];
    for (int i = 0; i < 255; i++)
        bytes[i] = (char)(i + 1);
    request.target = slice_of(bytes, sizeof(bytes));
    fields_add_id(&request.fields, FIELD_USER_AGENT, slice_of(bytes, sizeof(bytes)));
    json_t *json = json_line(write_request);
    assert_fields(json);
    for (const char *c = line; *c; c++)
        assert_true(*c >= 0x20 && *c < 0x7f);
    json_decref(json);
}

/* Everything as long as it can be, each byte six when escaped: texts are cut, the line is whole. */
static void test_9_7_long_hostile_texts_are_cut_and_the_line_stays_whole(void **context)
{
    (void)context;
    static char bytes[32768];
    memset(bytes, '\xff', sizeof(bytes));
    slice long_text = slice_of(bytes, sizeof(bytes));
    load_policy("access: {path: /x}");
    decide();
    request.id = request.host = request.method_text = request.target = long_text;
    ex.worker = long_text;
    ex.bytes = UINT64_MAX >> 1;
    struct route route = *ex.decision.route;
    route.match = long_text;
    route.index = 0;
    ex.decision.route = &route;
    fields_add_id(&request.fields, FIELD_USER_AGENT, long_text);
    json_t *json = json_line(write_request);
    assert_fields(json);
    assert_true(strlen(line) < 8192);
    assert_true(strlen(text_of(json, "path")) > 500);
    assert_true(strlen(text_of(json, "ua")) > 200);
    json_decref(json);
}

static void test_redacted_values_are_not_written(void **context)
{
    (void)context;
    static const char *const pairs[][2] = {
        {"/a?token=secret", "/a?token=***"},
        {"/a?x=1&token=secret&y=2", "/a?x=1&token=***&y=2"},
        {"/a?token=&code=7", "/a?token=***&code=***"},
        {"/a?token", "/a?token"},
        {"/a?tokens=1&my_token=2", "/a?tokens=1&my_token=2"},
        {"/a?", "/a?"},
        {"/a", "/a"},
        {"/token=secret", "/token=secret"},
        {"/a?token=a=b?c", "/a?token=***"},
        {"/a?x&&token=1", "/a?x&&token=***"},
    };
    load_policy("access: {path: /x}, redact_query: [token, code]");
    decide();
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        request.target = slice_of_string(pairs[i][0]);
        assert_int_equal(truncate(path, 0), 0);
        json_t *json = json_line(write_request);
        assert_string_equal(text_of(json, "path"), pairs[i][1]);
        json_decref(json);
    }
}

static void test_many_redacted_members_cost_what_one_pass_costs(void **context)
{
    (void)context;
    static char target[8192] = "/?";
    for (size_t i = 2; i + 1 < sizeof(target); i += 2)
        memcpy(target + i, "c&", 2);
    load_policy("access: {path: /x}, redact_query: [token, c]");
    decide();
    request.target = slice_of(target, sizeof(target));
    json_t *json = json_line(write_request);
    json_decref(json);
}

/* --- the combined format --- */

static void test_the_combined_format_is_the_usual_one(void **context)
{
    (void)context;
    load_policy("access: {path: /x, format: ncsa}, redact_query: [token]");
    decide();
    assert_true(ip_parse(SLICE("192.0.2.7"), &request.client));
    request.target = SLICE("/a?token=1");
    one_line(write_request);
    assert_string_equal(line, "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?token=*** "
                              "HTTP/1.1\" 200 17 \"-\" \"-\"");
    assert_int_equal(truncate(path, 0), 0);
    fields_add_id(&request.fields, FIELD_REFERER, SLICE("https://h/?token=1"));
    fields_add_id(&request.fields, FIELD_USER_AGENT, SLICE("a\"b\x01\xff"));
    one_line(write_request);
    assert_non_null(strstr(line, " \"https://h/?token=***\" \"a\\\"b\\x01\\xff\""));
}

/* --- refused --- */

static void write_refused(void)
{
    struct front_refusal refusal = {
        .status = 431, .detail = SLICE("too large"), .id = SLICE("0123456789abcdef")};
    assert_true(ip_parse(SLICE("192.0.2.9"), &refusal.peer));
    request_log_refused(&loop, &refusal, &server);
}

struct search {
    slice name;
    uint64_t value;
};

static void look_for(void *arg, slice name, uint64_t value)
{
    struct search *search = arg;
    if (slice_equal(name, search->name))
        search->value = value;
}

static void test_what_is_refused_is_logged_and_counted(void **context)
{
    (void)context;
    load_policy("access: {path: /x}");
    json_t *json = json_line(write_refused);
    assert_fields(json);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 431);
    assert_string_equal(text_of(json, "client"), "192.0.2.9");
    assert_string_equal(text_of(json, "id"), "0123456789abcdef");
    assert_string_equal(text_of(json, "outcome"), "error");
    json_decref(json);
    struct search search = {SLICE("varve_refused_requests_total{status=\"431\"}"), 0};
    counters_each(counters_attach(region), look_for, &search);
    assert_int_equal(search.value, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_line_has_the_documented_fields_in_their_order),
        TEST(test_9_7_any_byte_of_a_client_leaves_the_line_json),
        TEST(test_9_7_long_hostile_texts_are_cut_and_the_line_stays_whole),
        TEST(test_redacted_values_are_not_written),
        TEST(test_many_redacted_members_cost_what_one_pass_costs),
        TEST(test_the_combined_format_is_the_usual_one),
        TEST(test_what_is_refused_is_logged_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
