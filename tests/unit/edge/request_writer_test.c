/* The head of a request as it goes over the wire. */
#include "edge/origin/request_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct forward forward;
    struct fields more;
    struct call_request request;
};

static void start(struct fixture *f, const char *method, const char *target)
{
    *f = (struct fixture){0};
    arena_init(&f->arena);
    fields_init(&f->forward.fields, &f->arena);
    fields_init(&f->more, &f->arena);
    f->forward.method = slice_of_string(method);
    f->forward.target = slice_of_string(target);
    f->request = (struct call_request){
        .forward = &f->forward, .more_fields = &f->more, .host_header = SLICE("shop.example")};
}

static void check(struct fixture *f, const char *expected)
{
    size_t bytes, host_at;
    char *text = request_write(&f->request, SIZE_MAX, &bytes, &host_at);
    assert_memory_equal(text + host_at, "\r\n", 2);
    if (!slice_equal(slice_of(text, bytes), slice_of_string(expected)))
        fail_msg("got:\n%.*s", (int)bytes, text);
    free(text);
    arena_fini(&f->arena);
}

static void test_a_get(void **state)
{
    struct fixture f;
    (void)state;
    start(&f, "GET", "/a?b=c");
    fields_add(&f.forward.fields, SLICE("accept"), SLICE("text/html"));
    fields_add(&f.more, SLICE("if-none-match"), SLICE("\"x\""));
    check(&f, "GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\naccept: text/html\r\n"
              "if-none-match: \"x\"\r\nconnection: keep-alive\r\n\r\n");
}

static void test_framing_and_hop_by_hop_fields_are_ours_alone(void **state)
{
    static const char *const NAMES[] = {"host",
                                        "content-length",
                                        "connection",
                                        "keep-alive",
                                        "proxy-connection",
                                        "transfer-encoding",
                                        "trailer",
                                        "te",
                                        "expect",
                                        "upgrade"};
    struct fixture f;
    (void)state;
    start(&f, "POST", "/");
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        fields_add(&f.forward.fields, slice_of_string(NAMES[i]), SLICE("7"));
        fields_add(&f.more, slice_of_string(NAMES[i]), SLICE("7"));
    }
    f.request.has_body = true;
    f.request.body = SLICE("hello");
    check(&f, "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n"
              "connection: keep-alive\r\n\r\nhello");
}

static void test_a_post_without_a_body_says_so_and_a_delete_need_not(void **state)
{
    struct fixture f;
    (void)state;
    start(&f, "POST", "/");
    check(&f, "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 0\r\n"
              "connection: keep-alive\r\n\r\n");
    start(&f, "DELETE", "/");
    check(&f, "DELETE / HTTP/1.1\r\nhost: shop.example\r\nconnection: keep-alive\r\n\r\n");
}

static void test_nothing_in_a_request_can_end_a_line_or_a_word(void **state)
{
    struct fixture f;
    (void)state;
    start(&f, "GET", "/a b\r\nX: y");
    fields_add(&f.forward.fields, SLICE("x"), SLICE("a\r\nevil: b"));
    fields_add(&f.forward.fields, SLICE("bad name"), SLICE("a"));
    fields_add(&f.forward.fields, SLICE("bad:name"), SLICE("a"));
    fields_add(&f.forward.fields, SLICE(""), SLICE("a"));
    check(&f, "GET /a%20b%0D%0AX:%20y HTTP/1.1\r\nhost: shop.example\r\nx: a  evil: b\r\n"
              "connection: keep-alive\r\n\r\n");
}

static void test_an_upgrade_is_asked_for(void **state)
{
    struct fixture f;
    (void)state;
    start(&f, "GET", "/ws");
    f.request.is_upgrade = true;
    fields_add(&f.more, SLICE("upgrade"), SLICE("foo/1"));
    check(&f, "GET /ws HTTP/1.1\r\nhost: shop.example\r\nupgrade: foo/1\r\n"
              "connection: upgrade\r\n\r\n");
    start(&f, "GET", "/ws");
    f.request.is_upgrade = true;
    check(&f, "GET /ws HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\n"
              "upgrade: websocket\r\n\r\n");
}

static void test_options_of_everything(void **state)
{
    struct fixture f;
    (void)state;
    start(&f, "OPTIONS", "*");
    check(&f, "OPTIONS * HTTP/1.1\r\nhost: shop.example\r\nconnection: keep-alive\r\n\r\n");
    start(&f, "GET", "");
    check(&f, "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: keep-alive\r\n\r\n");
}

static void test_which_methods_may_be_sent_twice(void **state)
{
    (void)state;
    assert_true(method_is_idempotent(SLICE("GET")));
    assert_true(method_is_idempotent(SLICE("PUT")));
    assert_true(method_is_idempotent(SLICE("DELETE")));
    assert_false(method_is_idempotent(SLICE("POST")));
    assert_false(method_is_idempotent(SLICE("PATCH")));
    assert_false(method_is_idempotent(SLICE("get")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_get),
        cmocka_unit_test(test_framing_and_hop_by_hop_fields_are_ours_alone),
        cmocka_unit_test(test_a_post_without_a_body_says_so_and_a_delete_need_not),
        cmocka_unit_test(test_nothing_in_a_request_can_end_a_line_or_a_word),
        cmocka_unit_test(test_an_upgrade_is_asked_for),
        cmocka_unit_test(test_options_of_everything),
        cmocka_unit_test(test_which_methods_may_be_sent_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
