/* Small files of the user: the shell, read anew when it changes (semantics 8.2), and error pages.
 */
#include "edge/request/shell.h"

#include "edge/request/error_pages.h"
#include "edge/request/file_blob.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/varve-shell-XXXXXX", path[64], error[256];

static int setup(void **context)
{
    (void)context;
    memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/index.html", directory);
    error[0] = '\0';
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    unlink(path);
    return rmdir(directory);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_shell(struct shell *shell, const char *text)
{
    struct blob *body = shell_body(shell);
    assert_int_equal(body->len, strlen(text));
    assert_memory_equal(body->bytes, text, body->len);
    blob_unref(&body);
}

static void test_8_2_a_shell_that_cannot_be_read_is_named(void **context)
{
    (void)context;
    assert_null(shell_new(slice_of_string(path), error));
    assert_non_null(strstr(error, path));
    assert_non_null(strstr(error, "No such file"));
    write_file("");
    assert_null(shell_new(slice_of_string(path), error));
    assert_non_null(strstr(error, "1 byte to 4 MiB"));
    assert_null(shell_new(slice_of_string(directory), error));
    assert_non_null(strstr(error, "1 byte to 4 MiB"));
}

static void test_8_2_the_shell_is_read_anew_when_its_file_changes(void **context)
{
    (void)context;
    write_file("<p>one</p>");
    struct shell *shell = shell_new(slice_of_string(path), error);
    assert_non_null(shell);
    assert_shell(shell, "<p>one</p>");
    struct blob *in_use = shell_body(shell);
    shell_refresh(shell);
    assert_shell(shell, "<p>one</p>");
    write_file("<p>another</p>");
    shell_refresh(shell);
    assert_shell(shell, "<p>another</p>");
    assert_memory_equal(in_use->bytes, "<p>one</p>", in_use->len); /* who has it keeps it */
    blob_unref(&in_use);
    shell_free(shell);
}

static void test_8_2_a_shell_that_is_gone_or_empty_serves_on(void **context)
{
    (void)context;
    write_file("<p>one</p>");
    struct shell *shell = shell_new(slice_of_string(path), error);
    unlink(path);
    shell_refresh(shell);
    assert_shell(shell, "<p>one</p>");
    write_file("");
    shell_refresh(shell);
    assert_shell(shell, "<p>one</p>");
    write_file("<p>is back</p>");
    shell_refresh(shell);
    assert_shell(shell, "<p>is back</p>");
    shell_free(shell);
    shell_free(NULL);
}

static void test_a_pipe_in_the_place_of_a_file_does_not_stop_us(void **context)
{
    (void)context;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(file_blob(slice_of_string(path), error, sizeof(error)));
    assert_non_null(strstr(error, "1 byte to 4 MiB"));
}

static void test_files_over_the_limit_and_names_too_long_are_refused(void **context)
{
    (void)context;
    static char name[5000];
    memset(name, 'a', sizeof(name));
    assert_null(file_blob(slice_of(name, sizeof(name)), error, sizeof(error)));
    assert_non_null(strstr(error, "too long"));
    write_file("x");
    assert_int_equal(truncate(path, (4 << 20) + 1), 0);
    assert_null(file_blob(slice_of_string(path), error, sizeof(error)));
    assert_int_equal(truncate(path, 4 << 20), 0);
    struct blob *blob = file_blob(slice_of_string(path), error, sizeof(error));
    assert_non_null(blob);
    blob_unref(&blob);
}

static void test_10_1_error_pages_are_given_for_their_status_alone(void **context)
{
    (void)context;
    write_file("<p>busy</p>");
    struct error_page rows[] = {{.status = 503, .path = slice_of_string(path)}};
    struct policy policy = {.error_pages = rows, .error_page_count = 1};
    struct error_pages *pages = error_pages_new(&policy, error);
    assert_non_null(pages);
    struct blob *body = error_page(pages, 503);
    assert_memory_equal(body->bytes, "<p>busy</p>", body->len);
    assert_null(error_page(pages, 502));
    blob_unref(&body);
    error_pages_free(pages);
    unlink(path);
    assert_null(error_pages_new(&policy, error));
    assert_non_null(strstr(error, "error_page"));
    error_pages_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_8_2_a_shell_that_cannot_be_read_is_named),
        TEST(test_8_2_the_shell_is_read_anew_when_its_file_changes),
        TEST(test_8_2_a_shell_that_is_gone_or_empty_serves_on),
        TEST(test_a_pipe_in_the_place_of_a_file_does_not_stop_us),
        TEST(test_files_over_the_limit_and_names_too_long_are_refused),
        TEST(test_10_1_error_pages_are_given_for_their_status_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
