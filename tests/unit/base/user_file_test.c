/* Files that the user's policy names: which will do, and the token that one may hold. */
#include "base/user_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[40], path[64];
    char bytes[USER_TOKEN_MAX];
    slice token;
    const char *cause;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/varve-user-file-XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/token", f->directory);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static void write_file(const struct fixture *f, const char *bytes, size_t length)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static bool reads(struct fixture *f)
{
    return user_file_read_token(slice_of_string(f->path), f->bytes, &f->token, &f->cause);
}

static void check_refused(struct fixture *f, const char *words, int code)
{
    assert_false(reads(f));
    assert_int_equal(errno, code);
    assert_non_null(strstr(f->cause, words));
}

static void test_10_2_a_secret_that_others_may_read_or_change_is_refused(void **state)
{
    static const mode_t unsafe[] = {0644, 0604, 0602, 0601, 0660, 0666, 0777},
                        safe[] = {0600, 0400, 0640, 0440, 0700};
    struct fixture *f = *state;
    write_file(f, "secret", 6);
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++) {
        assert_int_equal(chmod(f->path, unsafe[i]), 0);
        check_refused(f, "chmod 600", 0);
    }
    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
        assert_int_equal(chmod(f->path, safe[i]), 0);
        assert_true(reads(f));
        assert_true(slice_equal(f->token, SLICE("secret")));
    }
}

static void test_10_2_a_token_is_one_line_whatever_is_around_it(void **state)
{
    static const struct {
        const char *text, *token, *problem;
    } rows[] = {
        {"t", "t", NULL},
        {" \t a b\r\n\n", "a b", NULL},
        {"\xc3\xa9\n", "\xc3\xa9", NULL},
        {" \n", NULL, "no token"},
        {"a\nb\n", NULL, "one line"},
        {"a\r\nX-Other: b", NULL, "one line"},
        {"a\tb", NULL, "control"},
        {"a\x7f", NULL, "control"},
        {"\x1b[0m", NULL, "control"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file(f, rows[i].text, strlen(rows[i].text));
        if (rows[i].problem) {
            check_refused(f, rows[i].problem, 0);
            continue;
        }
        assert_true(reads(f));
        assert_true(slice_equal(f->token, slice_of_string(rows[i].token)));
    }
    write_file(f, "a\0b", 3);
    check_refused(f, "control", 0);
}

static void test_a_token_beyond_the_limit_is_refused_not_cut(void **state)
{
    static char text[USER_TOKEN_MAX + 1];
    struct fixture *f = *state;
    memset(text, 'a', sizeof(text));
    write_file(f, text, USER_TOKEN_MAX);
    assert_true(reads(f));
    assert_int_equal(f->token.len, USER_TOKEN_MAX);
    write_file(f, text, USER_TOKEN_MAX + 1);
    check_refused(f, "the token is too long", 0);
}

static void test_what_is_no_file_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    check_refused(f, "No such file", ENOENT);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    check_refused(f, "1 byte to 4 MiB", 0);
    unlink(f->path);
    assert_int_equal(mkdir(f->path, 0700), 0);
    check_refused(f, "1 byte to 4 MiB", 0);
    rmdir(f->path);
    write_file(f, "", 0);
    check_refused(f, "1 byte to 4 MiB", 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_10_2_a_secret_that_others_may_read_or_change_is_refused),
        TEST(test_10_2_a_token_is_one_line_whatever_is_around_it),
        TEST(test_a_token_beyond_the_limit_is_refused_not_cut),
        TEST(test_what_is_no_file_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
