/* edge/proc/worker_args.c: what is written is what is read. */
#include "edge/proc/worker_args.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static int count_of(char **argv)
{
    int count = 0;
    while (argv[count])
        count++;
    return count;
}

static void assert_same(slice a, slice b)
{
    assert_true(slice_equal(a, b));
}

static void assert_round_trip(const struct worker_args *args)
{
    struct arena arena;
    struct worker_args again;
    arena_init(&arena);
    char **argv = worker_args_format(args, "varve", &arena);
    assert_string_equal(argv[0], "varve");
    assert_string_equal(argv[1], "worker");
    assert_true(worker_args_parse(count_of(argv) - 1, argv + 1, &again));
    assert_same(again.options.path, args->options.path);
    assert_same(again.options.origin_url, args->options.origin_url);
    assert_same(again.options.listen, args->options.listen);
    assert_same(again.options.shell, args->options.shell);
    assert_same(again.options.store_path, args->options.store_path);
    assert_same(again.fixed, args->fixed);
    assert_int_equal(again.shared, args->shared);
    assert_int_equal(again.ready, args->ready);
    assert_int_equal(again.ask, args->ask);
    assert_int_equal(again.admin, args->admin);
    assert_int_equal(again.lock, args->lock);
    assert_int_equal(again.place, args->place);
    assert_true(again.store_bytes == args->store_bytes);
    assert_int_equal(again.listeners.count, args->listeners.count);
    for (size_t i = 0; i < again.listeners.count; i++) {
        assert_int_equal(again.listeners.at[i].fd, args->listeners.at[i].fd);
        assert_string_equal(again.listeners.at[i].address, args->listeners.at[i].address);
    }
    arena_fini(&arena);
}

static void test_the_least_comes_back(void **context)
{
    (void)context;
    assert_round_trip(&(struct worker_args){
        .shared = 3, .ready = 4, .ask = 5, .admin = -1, .lock = -1, .fixed = SLICE("\n\n")});
}

static void test_the_most_comes_back(void **context)
{
    (void)context;
    struct worker_args args = {.options = {.path = SLICE("--odd name.yaml"),
                                           .origin_url = SLICE("http://[::1]:3000/?a=b"),
                                           .listen = SLICE("-"),
                                           .shell = SLICE("a b"),
                                           .store_path = SLICE("/s")},
                               .shared = 3,
                               .ready = 2147483647,
                               .ask = 5,
                               .admin = 0,
                               .lock = 9,
                               .place = 1,
                               .fixed = SLICE("/s\nvarve\nunix:/x"),
                               .store_bytes = UINT64_MAX};
    for (size_t i = 0; i < LISTEN_MAX; i++) {
        args.listeners.at[i].fd = (int)i;
        snprintf(args.listeners.at[i].address, sizeof(args.listeners.at[i].address),
                 "unix:/a=b/%zu", i);
    }
    args.listeners.count = LISTEN_MAX;
    assert_round_trip(&args);
}

static void test_anything_else_is_refused(void **context)
{
    (void)context;
    static char *const WORDS[][8] = {
        {"worker", NULL},
        {"worker", "--shared", "3", "--ready", "4", NULL},
        {"worker", "--shared", "3", "--ready", "4", "--ask", "-5", NULL},
        {"worker", "--shared", "3", "--ready", "4x", "--ask", "5", NULL},
        {"worker", "--shared", "99999999999", "--ready", "4", "--ask", NULL},
    };
    struct worker_args args;
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        char *argv[8];
        memcpy(argv, WORDS[i], sizeof(argv));
        assert_false(worker_args_parse(count_of(argv), argv, &args));
    }
    char *extra[] = {"worker", "--shared", "3", "--ready", "4", "--ask", "5", "word", NULL};
    assert_false(worker_args_parse(8, extra, &args));
    char *listener[] = {"worker", "--shared", "3",    "--ready", "4",
                        "--ask",  "5",        "--on", ":8080",   NULL};
    assert_false(worker_args_parse(9, listener, &args));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_comes_back),
        cmocka_unit_test(test_the_most_comes_back),
        cmocka_unit_test(test_anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
