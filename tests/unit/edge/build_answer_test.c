/* What a worker says when it is asked for its build, and what it must not get away with. */
#include "edge/origin/build_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_id(slice body, const char *expected)
{
    struct arena arena;
    arena_init(&arena);
    slice id = build_answer_id(&arena, body);
    if (!slice_equal(id, slice_of_string(expected)))
        fail_msg("\"%.*s\" is read as \"%.*s\"", SLICE_ARG(body), SLICE_ARG(id));
    arena_fini(&arena);
}

static void test_1_1_the_id_alone_is_an_answer(void **state)
{
    (void)state;
    assert_id(SLICE("v1"), "v1");
    assert_id(SLICE(" \r\n 2026-11-22 build 7 \t\r\n"), "2026-11-22 build 7");
    assert_id(SLICE("f9d3b2c"), "f9d3b2c");
}

static void test_1_1_G2_so_is_what_the_render_gateway_gives(void **state)
{
    (void)state;
    assert_id(SLICE("{\"version\":\"static-2211-0314-aa5ab4d5ee4a\"}"),
              "static-2211-0314-aa5ab4d5ee4a");
    assert_id(SLICE("{\"name\": \"shop\", \"version\": \" v\\u0031\\n\"}\n"), "v1");
    assert_id(SLICE("\"9\"\n"), "9");
}

static void test_1_1_anything_else_names_no_build(void **state)
{
    static const char *const OTHERS[] = {"",
                                         " \n",
                                         "<!doctype html><p>no such page</p>",
                                         "two\nlines",
                                         "caf\xc3\xa9",
                                         "a\x01",
                                         "{}",
                                         "{\"version\": 7}",
                                         "{\"version\": null}",
                                         "{\"version\": \"\"}",
                                         "{\"version\": \"a\\u0000b\"}",
                                         "{\"version\": \"a\\r\\nx: y\"}",
                                         "{\"version\": [\"a\"]}",
                                         "{\"version\": \"a\"",
                                         "{\"version\": \"a\", \"version\": \"b\"}",
                                         "\"a"};
    (void)state;
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(*OTHERS); i++)
        assert_id(slice_of_string(OTHERS[i]), "");
    assert_id(SLICE("a\0b"), "");
}

static void test_1_1_an_id_has_256_bytes_at_most(void **state)
{
    char text[300];
    (void)state;
    memset(text, 'a', sizeof(text));
    text[256] = '\0';
    assert_id(slice_of_string(text), text);
    text[256] = 'a';
    assert_id(slice_of(text, 257), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_1_the_id_alone_is_an_answer),
        cmocka_unit_test(test_1_1_G2_so_is_what_the_render_gateway_gives),
        cmocka_unit_test(test_1_1_anything_else_names_no_build),
        cmocka_unit_test(test_1_1_an_id_has_256_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
