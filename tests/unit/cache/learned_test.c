/* What routes learn from Vary (semantics 2.3). */
#include "cache/learned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct field_names names_of(const char *a, const char *b)
{
    struct field_names names = {.count = 0};
    if (a)
        assert_true(field_names_add(&names, slice_of_string(a)));
    if (b)
        assert_true(field_names_add(&names, slice_of_string(b)));
    return names;
}

static size_t known(struct learned *learned, size_t route, const char *name)
{
    struct field_names names;
    learned_names(learned, route, &names);
    if (name)
        return field_names_contain(&names, slice_of_string(name));
    return names.count;
}

static void test_2_3_a_field_is_sent_from_the_start_after_8_of_16_cold_urls(void **state)
{
    (void)state;
    struct learned *learned = learned_new(2);
    struct field_names language = names_of("accept-language", NULL), none = names_of(NULL, NULL);
    for (int i = 0; i < 7; i++)
        learned_note(learned, 0, &language);
    assert_int_equal(known(learned, 0, NULL), 0);
    learned_note(learned, 0, &none);
    learned_note(learned, 0, &language);
    assert_int_equal(known(learned, 0, "accept-language"), 1);
    assert_int_equal(known(learned, 1, NULL), 0); /* another route has learned nothing */
    learned_free(learned);
}

static void test_2_3_what_no_longer_comes_is_forgotten_after_16_cold_urls(void **state)
{
    (void)state;
    struct learned *learned = learned_new(1);
    struct field_names both = names_of("accept-language", "x-region"),
                       one = names_of("x-region", NULL);
    for (int i = 0; i < 16; i++)
        learned_note(learned, 0, &both);
    assert_int_equal(known(learned, 0, NULL), 2);
    for (int i = 0; i < 8; i++)
        learned_note(learned, 0, &one);
    assert_int_equal(known(learned, 0, NULL), 2); /* 8 of the last 16 still */
    learned_note(learned, 0, &one);
    assert_int_equal(known(learned, 0, "accept-language"), 0);
    assert_int_equal(known(learned, 0, "x-region"), 1);
    learned_free(learned);
}

static void test_a_route_remembers_no_more_names_than_a_union_holds(void **state)
{
    (void)state;
    struct learned *learned = learned_new(1);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "x-%d", i);
        struct field_names names = names_of(name, NULL);
        for (int k = 0; k < 16; k++)
            learned_note(learned, 0, &names);
        assert_true(known(learned, 0, NULL) <= UNION_MAX_NAMES);
    }
    learned_free(learned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_3_a_field_is_sent_from_the_start_after_8_of_16_cold_urls),
        cmocka_unit_test(test_2_3_what_no_longer_comes_is_forgotten_after_16_cold_urls),
        cmocka_unit_test(test_a_route_remembers_no_more_names_than_a_union_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
