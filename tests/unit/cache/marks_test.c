/* Marks: set, seen until their time, replaced, removed, bounded; from several threads. */
#include "cache/marks.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

static struct key key_number(unsigned number)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "key %u", number);
    return key_of(slice_of(text, (size_t)length));
}

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static void test_3_1_a_mark_holds_until_its_time_and_says_why(void **context)
{
    (void)context;
    struct marks *marks = marks_new();
    struct key key = key_number(1), other = key_number(2);
    enum reason why = REASON_NONE;
    assert_false(marks_has(marks, &key, at(0)));
    marks_set(marks, &key, at(1000), REASON_SET_COOKIE);
    assert_true(marks_find(marks, &key, at(999), &why));
    assert_int_equal(why, REASON_SET_COOKIE);
    assert_int_equal(marks_end(marks, &key, at(999)).ms, 1000);
    assert_int_equal(marks_end(marks, &key, at(1000)).ms, 1000);
    assert_int_equal(marks_end(marks, &other, at(500)).ms, 500);
    assert_false(marks_has(marks, &key, at(1000)));
    assert_false(marks_has(marks, &other, at(500)));
    marks_free(marks);
}

static void test_a_later_mark_replaces_an_earlier_one(void **context)
{
    (void)context;
    struct marks *marks = marks_new();
    struct key key = key_number(1);
    enum reason why = REASON_NONE;
    marks_set(marks, &key, at(1000), REASON_PRIVATE);
    marks_set(marks, &key, at(500), REASON_NO_STORE); /* also by one that ends sooner */
    assert_true(marks_find(marks, &key, at(499), &why));
    assert_int_equal(why, REASON_NO_STORE);
    assert_false(marks_has(marks, &key, at(500)));
    marks_free(marks);
}

static void test_3_1_a_mark_is_removed_and_only_that_one(void **context)
{
    (void)context;
    struct marks *marks = marks_new();
    for (unsigned i = 0; i < 100; i++) {
        struct key key = key_number(i);
        marks_set(marks, &key, at(1000), REASON_NO_STORE);
    }
    for (unsigned i = 0; i < 200; i += 2) { /* from 100 on there is none */
        struct key key = key_number(i);
        marks_remove(marks, &key);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct key key = key_number(i);
        assert_int_equal(marks_has(marks, &key, at(10)), i % 2 == 1);
    }
    marks_free(marks);
}

/* A hundred times what the table holds: those that end last are there, in bounded memory. */
static void test_a_full_table_gives_up_the_marks_that_end_first(void **context)
{
    (void)context;
    enum { LASTING = 2000, MANY = 200000 };
    struct marks *marks = marks_new();
    for (unsigned i = 0; i < LASTING; i++) {
        struct key key = key_number(i);
        marks_set(marks, &key, at(1000000), REASON_NO_STORE);
    }
    for (unsigned i = LASTING; i < MANY; i++) {
        struct key key = key_number(i);
        marks_set(marks, &key, at(1000 + i), REASON_NO_STORE);
    }
    unsigned kept = 0, of_the_others = 0;
    for (unsigned i = 0; i < MANY; i++) {
        struct key key = key_number(i);
        unsigned *count = i < LASTING ? &kept : &of_the_others;
        *count += marks_has(marks, &key, at(1));
    }
    assert_true(kept >= LASTING - 5); /* but where more than a set's ways of them met */
    assert_true(of_the_others > 0 && of_the_others <= 8192 * 4);
    marks_free(marks);
}

static struct marks *shared_marks;

/* Each thread's own keys are right whatever the others do beside them in the same sets. */
static void *use_marks(void *arg)
{
    unsigned first = *(unsigned *)arg;
    for (unsigned round = 0; round < 50; round++)
        for (unsigned i = 0; i < 40; i++) {
            struct key key = key_number(first + i);
            marks_set(shared_marks, &key, at(1000), REASON_CORS);
            enum reason why = REASON_NONE;
            MUST(marks_find(shared_marks, &key, at(1), &why) && why == REASON_CORS);
            marks_remove(shared_marks, &key);
            MUST(!marks_has(shared_marks, &key, at(1)));
        }
    return NULL;
}

static void test_threads_do_not_disturb_each_other(void **context)
{
    (void)context;
    pthread_t threads[3];
    unsigned first[3] = {0, 1000, 2000};
    shared_marks = marks_new();
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, use_marks, &first[i]);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    marks_free(shared_marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_3_1_a_mark_holds_until_its_time_and_says_why),
        cmocka_unit_test(test_a_later_mark_replaces_an_earlier_one),
        cmocka_unit_test(test_3_1_a_mark_is_removed_and_only_that_one),
        cmocka_unit_test(test_a_full_table_gives_up_the_marks_that_end_first),
        cmocka_unit_test(test_threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
