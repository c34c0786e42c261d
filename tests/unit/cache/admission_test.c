/* Who may fill the cache: semantics 1.5 and 1.6. */
#include "cache/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const int64_t minute = 60000;

static slice host_name(int host, char buffer[32])
{
    int length = snprintf(buffer, 32, "host-%d.example", host);
    return slice_of(buffer, (size_t)length);
}

static enum host_admission ask(struct admission *admission, int host, int64_t ms, char *gone)
{
    char name[32];
    return admission_host(admission, host_name(host, name), (mono_time){ms}, gone);
}

static bool has_place(struct admission *admission, int host, int64_t ms)
{
    char name[32];
    return admission_has_place(admission, host_name(host, name), (mono_time){ms});
}

static void test_1_5_sixteen_hosts_are_in_at_a_time(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    char gone[ADMITTED_HOST_BYTES];
    for (int i = 0; i < ADMITTED_HOSTS; i++)
        assert_int_equal(ask(admission, i, 1000 + i, gone), HOST_ADMITTED);
    assert_int_equal(ask(admission, 99, 2000, gone), HOST_REFUSED);
    for (int i = 0; i < ADMITTED_HOSTS; i++)
        assert_int_equal(ask(admission, i, 3000, gone), HOST_ADMITTED);
    admission_free(admission);
}

static void test_1_5_the_host_longest_without_a_request_gives_way(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    char gone[ADMITTED_HOST_BYTES] = "";
    for (int i = 0; i < ADMITTED_HOSTS; i++)
        ask(admission, i, 1000 + i, gone);
    ask(admission, 0, 2 * minute, gone); /* the eldest place, but not the longest silent */
    assert_int_equal(ask(admission, 99, 2 * minute, gone), HOST_REPLACES);
    assert_string_equal(gone, "host-1.example");
    assert_int_equal(ask(admission, 0, 2 * minute, gone), HOST_ADMITTED);
    assert_int_equal(ask(admission, 99, 2 * minute, gone), HOST_ADMITTED);
    admission_free(admission);
}

static void test_1_5_random_hosts_do_not_push_out_one_that_is_asked_for(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    char gone[ADMITTED_HOST_BYTES];
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(ask(admission, 7, i * 10, gone), HOST_ADMITTED);
        if (ask(admission, 100 + i, i * 10, gone) == HOST_REPLACES)
            assert_string_not_equal(gone, "host-7.example");
    }
    admission_free(admission);
}

static struct key key_of_number(int number)
{
    return key_of(slice_of((const char *)&number, sizeof(number)));
}

static void test_1_6_over_max_queries_a_query_is_let_in_at_its_second_request(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    struct key path = key_of_number(-1);
    for (int i = 0; i < 3; i++) {
        struct key url = key_of_number(i);
        assert_true(admission_query(admission, &path, &url, 3, (mono_time){1000}));
    }
    struct key fourth = key_of_number(3);
    assert_false(admission_query(admission, &path, &fourth, 3, (mono_time){2000}));
    assert_true(admission_query(admission, &path, &fourth, 3, (mono_time){3000}));
    struct key fifth = key_of_number(4);
    assert_false(admission_query(admission, &path, &fifth, 3, (mono_time){3000}));
    assert_true(admission_query(admission, &path, &fifth, 3,
                                (mono_time){3000 + 11 * minute})); /* a new window */
    admission_free(admission);
}

static void test_1_6_a_query_counts_once_however_often_it_is_asked_for(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    struct key path = key_of_number(-1), first = key_of_number(0);
    for (int i = 0; i < 3; i++)
        assert_true(admission_query(admission, &path, &first, 3, (mono_time){1000 + i}));
    for (int i = 1; i < 3; i++) {
        struct key url = key_of_number(i);
        assert_true(admission_query(admission, &path, &url, 3, (mono_time){2000}));
    }
    struct key fourth = key_of_number(3);
    assert_false(admission_query(admission, &path, &fourth, 3, (mono_time){3000}));
    assert_true(admission_query(admission, &path, &first, 3, (mono_time){4000}));
    admission_free(admission);
}

static void test_1_5_whether_a_host_has_a_place_is_told_without_giving_it_one(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    char gone[ADMITTED_HOST_BYTES];
    for (int i = 0; i < ADMITTED_HOSTS; i++) {
        assert_true(has_place(admission, i, 1000));
        ask(admission, i, 1000, gone);
    }
    assert_false(has_place(admission, 99, 1000));
    for (int i = 0; i < ADMITTED_HOSTS; i++) /* asking does not make it a host that is asked for */
        assert_true(has_place(admission, i, 2 * minute));
    assert_true(has_place(admission, 99, 2 * minute));
    assert_int_equal(ask(admission, 98, 2 * minute, gone), HOST_REPLACES);
    char *name = test_malloc(ADMITTED_HOST_BYTES);
    memset(name, 'a', ADMITTED_HOST_BYTES);
    assert_false(admission_has_place(admission, slice_of(name, ADMITTED_HOST_BYTES),
                                     (mono_time){2 * minute}));
    test_free(name);
    admission_free(admission);
}

static bool would(struct admission *admission, const struct key *path, int url, int64_t ms)
{
    struct key key = key_of_number(url);
    return admission_would_query(admission, path, &key, 3, (mono_time){ms});
}

static void test_1_6_whether_a_query_would_be_let_in_is_told_without_counting_it(void **state)
{
    (void)state;
    struct admission *admission = admission_new();
    struct key path = key_of_number(-1);
    for (int i = 0; i < 10; i++)
        assert_true(would(admission, &path, i, 1000));
    for (int i = 0; i < 3; i++) {
        struct key url = key_of_number(i);
        assert_true(admission_query(admission, &path, &url, 3, (mono_time){1000}));
    }
    for (int i = 0; i < 2; i++) /* asking is no first request */
        assert_false(would(admission, &path, 3, 2000));
    assert_true(would(admission, &path, 2, 2000));
    assert_true(would(admission, &path, 3, 1000 + 11 * minute));
    admission_free(admission);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_5_sixteen_hosts_are_in_at_a_time),
        cmocka_unit_test(test_1_5_the_host_longest_without_a_request_gives_way),
        cmocka_unit_test(test_1_5_random_hosts_do_not_push_out_one_that_is_asked_for),
        cmocka_unit_test(test_1_6_over_max_queries_a_query_is_let_in_at_its_second_request),
        cmocka_unit_test(test_1_6_a_query_counts_once_however_often_it_is_asked_for),
        cmocka_unit_test(test_1_5_whether_a_host_has_a_place_is_told_without_giving_it_one),
        cmocka_unit_test(test_1_6_whether_a_query_would_be_let_in_is_told_without_counting_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
