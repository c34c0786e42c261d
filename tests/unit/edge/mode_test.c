/* edge/proc/mode.c, and what a mode means for a request (edge/request/mode_meaning.c). */
#include "edge/proc/mode.h"

#include "edge/request/mode_meaning.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static void test_it_begins_as_auto_and_tells_what_was_before(void **state)
{
    struct mode_word mode;
    (void)state;
    mode_init(&mode, at(1000));
    assert_int_equal(mode_now(&mode), MODE_AUTO);
    assert_int_equal(mode_since(&mode).ms, 1000);
    assert_int_equal(mode_set(&mode, MODE_SHELL, at(2000)), MODE_AUTO);
    assert_int_equal(mode_now(&mode), MODE_SHELL);
    assert_int_equal(mode_since(&mode).ms, 2000);
    assert_int_equal(mode_set(&mode, MODE_SHELL, at(3000)), MODE_SHELL);
    assert_int_equal(mode_since(&mode).ms, 2000); /* it is no change */
    assert_int_equal(mode_set(&mode, MODE_SSR, at(4000)), MODE_SHELL);
    assert_int_equal(mode_now(&mode), MODE_SSR);
}

static void test_a_machine_may_run_for_a_hundred_years(void **state)
{
    struct mode_word mode;
    const int64_t century = 100ll * 365 * 86400 * 1000;
    (void)state;
    mode_init(&mode, at(century));
    assert_int_equal(mode_set(&mode, MODE_SHELL, at(century + 1)), MODE_AUTO);
    assert_int_equal(mode_since(&mode).ms, century + 1);
    assert_int_equal(mode_now(&mode), MODE_SHELL);
}

static void test_names(void **state)
{
    static const char *const none[] = {"", "Auto", "auto ", "she", "shells", "ssr\n"};
    enum mode mode = MODE_COUNT;
    (void)state;
    for (enum mode i = MODE_AUTO; i < MODE_COUNT; i++) {
        assert_true(mode_of_name(mode_name(i), &mode));
        assert_int_equal(mode, i);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(mode_of_name(slice_of_string(none[i]), &mode));
    assert_false(mode_of_name(slice_of("shell\0", 6), &mode));
}

/* --- requests --- */

struct asked {
    struct route route;
    struct origin_config origin;
    struct class_config class_config;
    struct decision decision;
};

static void ask(struct asked *asked)
{
    *asked = (struct asked){.origin = {.slots = 1}, .class_config = {.renders = true}};
    asked->decision = (struct decision){.route = &asked->route,
                                        .origin = &asked->origin,
                                        .class_config = &asked->class_config,
                                        .is_navigation = true,
                                        .may_give_shell = true};
}

static void test_8_2_shell_is_ordered_for_navigations_to_renderers_alone(void **state)
{
    struct asked a;
    (void)state;
    ask(&a);
    assert_true(mode_orders_fallback(MODE_SHELL, &a.decision));
    assert_false(mode_orders_fallback(MODE_AUTO, &a.decision));
    assert_false(mode_orders_fallback(MODE_SSR, &a.decision));
    a.decision.may_give_shell = false; /* it may have stale */
    assert_true(mode_orders_fallback(MODE_SHELL, &a.decision));
    ask(&a), a.decision.is_navigation = false;
    assert_false(mode_orders_fallback(MODE_SHELL, &a.decision));
    ask(&a), a.class_config.never_shell = true;
    assert_false(mode_orders_fallback(MODE_SHELL, &a.decision));
    ask(&a), a.class_config.renders = false; /* stored or 503, as ever */
    assert_false(mode_orders_fallback(MODE_SHELL, &a.decision));
    ask(&a), a.origin.slots = 0;
    assert_false(mode_orders_fallback(MODE_SHELL, &a.decision));
    ask(&a), a.route.is_asset = true;
    assert_false(mode_orders_fallback(MODE_SHELL, &a.decision));
}

static void test_7_4_refreshes_stop_for_everybody_in_shell_alone(void **state)
{
    struct asked a;
    (void)state;
    ask(&a), a.class_config.never_shell = true;
    assert_true(mode_stops_refreshes(MODE_SHELL, &a.decision));
    assert_false(mode_stops_refreshes(MODE_AUTO, &a.decision));
    assert_false(mode_stops_refreshes(MODE_SSR, &a.decision));
    a.origin.slots = 0;
    assert_false(mode_stops_refreshes(MODE_SHELL, &a.decision));
}

static void test_8_2_the_shell_is_no_fallback_in_ssr(void **state)
{
    struct asked a;
    (void)state;
    ask(&a);
    assert_true(mode_allows_shell(MODE_AUTO, &a.decision));
    assert_true(mode_allows_shell(MODE_SHELL, &a.decision));
    assert_false(mode_allows_shell(MODE_SSR, &a.decision));
    a.decision.may_give_shell = false;
    assert_false(mode_allows_shell(MODE_SHELL, &a.decision));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_begins_as_auto_and_tells_what_was_before),
        cmocka_unit_test(test_a_machine_may_run_for_a_hundred_years),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_8_2_shell_is_ordered_for_navigations_to_renderers_alone),
        cmocka_unit_test(test_7_4_refreshes_stop_for_everybody_in_shell_alone),
        cmocka_unit_test(test_8_2_the_shell_is_no_fallback_in_ssr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
