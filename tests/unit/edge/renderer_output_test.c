/* What a renderer says: lines, their limits, and the last words of one that died. */
#include "edge/proc/renderer_output.h"

#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct renderer_output output;
    int out, err; /* write ends */
    int log, saved_log;
    char path[32];
};

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static int make(void **state)
{
    static struct fixture f;
    int outs[2], errs[2];
    if (pipe2(outs, O_NONBLOCK) != 0 || pipe2(errs, O_NONBLOCK) != 0)
        return -1;
    f.out = outs[1];
    f.err = errs[1];
    fcntl(f.out, F_SETPIPE_SZ, 1 << 20);
    output_open(&f.output, SLICE("renderer/0"), outs[0], errs[0], at(1000));
    snprintf(f.path, sizeof(f.path), "/tmp/varve-output-XXXXXX");
    f.log = mkstemp(f.path);
    f.saved_log = dup(STDERR_FILENO);
    dup2(f.log, STDERR_FILENO);
    *state = &f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    dup2(f->saved_log, STDERR_FILENO);
    close(f->saved_log);
    close(f->log);
    close(f->out);
    close(f->err);
    unlink(f->path);
    return 0;
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* The log so far; NUL at its end. */
static const char *log_text(const struct fixture *f)
{
    static char text[1 << 18];
    ssize_t count = pread(f->log, text, sizeof(text) - 1, 0);
    assert_true(count >= 0);
    text[count] = '\0';
    return text;
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)); text++)
        count++;
    return count;
}

static void test_lines_come_whole_and_named_however_they_are_cut(void **state)
{
    struct fixture *f = *state;
    say(f->out, "one\r\n\ntw");
    output_read(&f->output, at(1000));
    assert_null(strstr(log_text(f), "tw"));
    say(f->out, "o\n\033[31mthree");
    say(f->err, "oh\n");
    output_read(&f->output, at(1001));
    output_close(&f->output, at(1002));
    const char *log = log_text(f);
    assert_int_equal(count_of(log, "renderer says worker=renderer/0"), 4);
    assert_non_null(strstr(log, "info renderer says worker=renderer/0 stream=stdout line=one\n"));
    assert_non_null(strstr(log, "stream=stdout line=two\n"));
    assert_non_null(strstr(log, "warn renderer says worker=renderer/0 stream=stderr line=oh\n"));
    assert_non_null(strstr(log, "[31mthree"));
    assert_null(strchr(log, '\033'));
    assert_int_equal(f->output.out.fd, -1);
}

static void test_a_line_without_end_is_cut(void **state)
{
    struct fixture *f = *state;
    char part[4096];
    memset(part, 'a', sizeof(part));
    for (int i = 0; i < 8; i++)
        assert_int_equal(write(f->out, part, sizeof(part)), (ssize_t)sizeof(part));
    say(f->out, "b\nnext\n");
    output_read(&f->output, at(1000));
    const char *log = log_text(f);
    const char *start = strstr(log, "line=a");
    assert_non_null(start);
    assert_int_equal(strspn(start + strlen("line="), "a"), OUTPUT_LINE_BYTES);
    assert_null(strstr(log, "ab"));
    assert_non_null(strstr(log, "line=next\n"));
}

static void test_more_lines_than_the_log_takes_are_counted(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        say(f->out, "flood\n");
    output_read(&f->output, at(1000));
    assert_int_equal(count_of(log_text(f), "flood"), OUTPUT_BURST);
    output_tell_dropped(&f->output, at(1500));
    assert_null(strstr(log_text(f), "more than"));
    output_tell_dropped(&f->output, at(2000));
    assert_non_null(strstr(log_text(f), "lines_dropped=700"));
    say(f->out, "again\nagain\n");
    output_read(&f->output, at(2000)); /* a second later: credit for a hundred */
    assert_int_equal(count_of(log_text(f), "again"), 2);
    assert_int_equal(f->output.dropped, 0);
}

static void test_v3_the_last_lines_of_stderr_are_kept_and_bounded(void **state)
{
    struct fixture *f = *state;
    char line[64];
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof(line), "line %d of a stack\n", i);
        say(f->err, line);
        output_read(&f->output, at(1000));
    }
    say(f->out, "not this\n");
    output_close(&f->output, at(1001));
    slice recent = output_recent(&f->output);
    assert_in_range(recent.len, OUTPUT_RECENT_BYTES / 2, OUTPUT_RECENT_BYTES);
    assert_true(slice_ends_with(recent, SLICE(" | line 499 of a stack")));
    assert_true(slice_starts_with(recent, SLICE("line ")));
    assert_int_equal(slice_search(recent, SLICE("not this")), recent.len);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_come_whole_and_named_however_they_are_cut),
        TEST(test_a_line_without_end_is_cut),
        TEST(test_more_lines_than_the_log_takes_are_counted),
        TEST(test_v3_the_last_lines_of_stderr_are_kept_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
