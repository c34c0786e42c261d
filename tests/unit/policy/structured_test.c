/* Structured Field Dictionaries and Lists: RFC 9651 §4.2, http-caching §10. */
#include "policy/structured.h"

#include "tests/unit/policy/response_support.h"

struct seen {
    char text[512];
    size_t len;
};

static void append(struct seen *seen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(seen->text + seen->len, sizeof(seen->text) - seen->len, format, arguments);
    va_end(arguments);
    seen->len += (size_t)n;
}

static void visit(void *arg, const struct sf_member *m)
{
    static const char *const names[] = {"bool",  "int",  "decimal", "string", "token",
                                        "bytes", "date", "display", "list"};
    append(arg, "%" SLICE_FMT "=%s", SLICE_ARG(m->key), names[m->type]);
    if (m->type == SF_INTEGER || m->type == SF_DATE)
        append(arg, ":%lld", (long long)m->integer);
    if (m->type == SF_BOOLEAN)
        append(arg, ":%d", m->boolean);
    if (m->type == SF_STRING || m->type == SF_TOKEN)
        append(arg, ":%" SLICE_FMT, SLICE_ARG(m->text));
    append(arg, " ");
}

static void test_10_dictionaries_are_read(void **state)
{
    static const struct {
        const char *text, *seen;
    } rows[] = {
        {"", ""},
        {"   ", ""},
        {"max-age=60", "max-age=int:60 "},
        {"  max-age=60  ", "max-age=int:60 "},
        {"a, b ,\tc", "a=bool:1 b=bool:1 c=bool:1 "},
        {"a=?0, b=?1", "a=bool:0 b=bool:1 "},
        {"a=-12", "a=int:-12 "},
        {"a=0060", "a=int:60 "},
        {"a=999999999999999", "a=int:999999999999999 "},
        {"a=123456789012.123", "a=decimal "},
        {"a=\"b\\\"c\\\\\"", "a=string:b\\\"c\\\\ "},
        {"a=\"\"", "a=string: "},
        {"a=tok*en:/x", "a=token:tok*en:/x "},
        {"a=*t", "a=token:*t "},
        {"a=:cHJldGVuZA==:", "a=bytes "},
        {"a=@1659578233", "a=date:1659578233 "},
        {"a=%\"f%c3%bc \"", "a=display "},
        {"a=(1 \"x\";p=1   tok)", "a=list "},
        {"a=( ), b=();q", "a=list b=list "},
        {"a;x=1;y=\"z\"; w, b=2;q", "a=bool:1 b=int:2 "},
        {"*k_-.*9=1", "*k_-.*9=int:1 "},
        {"a=1, a=2", "a=int:1 a=int:2 "},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct seen seen = {{0}, 0};
        if (!sf_dictionary_each(slice_of_string(rows[i].text), visit, &seen))
            fail_msg("rejected: %s", rows[i].text);
        assert_string_equal(seen.text, rows[i].seen);
    }
}

static void test_10_any_error_is_found(void **state)
{
    static const char *const rows[] = {
        "max-age=10000, &&&&&",
        "max-age =100",
        "max-age= 100",
        "MaX-aGe=3600",
        "a,",
        ",a",
        "a,,b",
        "a b",
        "a=",
        "a=1 b=2",
        "a=1;",
        "a=1;X",
        "a=-",
        "a=--1",
        "a=1.",
        "a=.5",
        "a=1.2345",
        "a=1234567890123.1",
        "a=1234567890123456",
        "a=?2",
        "a=?",
        "a=\"x",
        "a=\"x\\y\"",
        "a=\"x\\",
        "a=\"\x80\"",
        "a=\"\t\"",
        "a='x'",
        "a=:ab",
        "a=:a b:",
        "a=@1.5",
        "a=@",
        "a=%x",
        "a=%\"abc",
        "a=%\"%C3\"",
        "a=%\"%c3\"",
        "a=%\"%ed%a0%80\"",
        "a=%\"%f4%90%80%80\"",
        "a=%\"%c0%80\"",
        "a=%\"%e0%80%80\"",
        "a=%\"%4",
        "a=(",
        "a=(1",
        "a=(1,2)",
        "a=(1(2))",
        "a=(\"x\"\"y\")",
        "9a=1",
        "A=1",
        "a=1, B=2",
        "a=1,\tb=2 c",
        "a= 1",
        "a =1",
        "a;=1",
        "a; b= 1",
        "a=1e5",
        "a=--",
        "a=\"x\" y",
        "a=(1 2))",
        "\"a\"=1",
        "-a=1",
        "\ta=1",
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct seen seen = {{0}, 0};
        if (sf_dictionary_each(slice_of_string(rows[i]), visit, &seen))
            fail_msg("accepted: %s as %s", rows[i], seen.text);
    }
}

static void test_9651_lists_are_read(void **state)
{
    static const struct {
        const char *text, *seen;
    } rows[] = {
        {"", ""},
        {"\"a\"", "=string:a "},
        {"  \"a\" ,\t\"b, c\"  ", "=string:a =string:b, c "},
        {"\"a\";x;y=\"z\", b;q=1", "=string:a =token:b "},
        {"\"\", \"\"", "=string: =string: "},
        {"1, 1.5, :YQ==:, ?0, @7, %\"a\"", "=int:1 =decimal =bytes =bool:0 =date:7 =display "},
        {"(\"a\" b;c);d, ()", "=list =list "},
    };
    static const char *const broken[] = {
        "\"a",    "\"a\",",   ",\"a\"",   "\"a\",,\"b\"", "\"a\" \"b\"",
        "\"a\"b", "a=1",      "\"\x80\"", "(\"a\"",       "((a))",
        "\"a\";", "\"a\" ;b", "=",        "'a'",          "\"a\\b\"",
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct seen seen = {{0}, 0};
        if (!sf_list_each(slice_of_string(rows[i].text), visit, &seen))
            fail_msg("rejected: %s", rows[i].text);
        assert_string_equal(seen.text, rows[i].seen);
    }
    for (size_t i = 0; i < ROWS(broken); i++) {
        struct seen seen = {{0}, 0};
        if (sf_list_each(slice_of_string(broken[i]), visit, &seen))
            fail_msg("accepted: %s as %s", broken[i], seen.text);
    }
}

static void test_9651_a_string_without_its_escapes(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena);
    assert_true(slice_is(sf_string_value(SLICE("plain"), &arena), "plain"));
    assert_true(slice_is(sf_string_value(SLICE_NONE, &arena), ""));
    assert_true(slice_is(sf_string_value(SLICE("a\\\"b\\\\"), &arena), "a\"b\\"));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_10_dictionaries_are_read),
        cmocka_unit_test(test_10_any_error_is_found),
        cmocka_unit_test(test_9651_lists_are_read),
        cmocka_unit_test(test_9651_a_string_without_its_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
