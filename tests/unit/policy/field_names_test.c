/* policy/field_names.c: the union of a URL (semantics 2.5), against a naive set. */
#include "tests/unit/policy/request_support.h"

enum { NAMES = 24 };

static void check(const struct field_names *names, const bool *model, const slice *all)
{
    size_t count = 0;
    for (size_t i = 0; i < NAMES; i++) {
        assert_int_equal(field_names_contain(names, all[i]), model[i]);
        count += model[i];
    }
    assert_int_equal(names->count, count);
    for (size_t i = 1; i < names->count; i++)
        assert_true(slice_compare(names->at[i - 1], names->at[i]) < 0);
}

static void test_2_5_random_unions_agree_with_a_naive_set(void **state)
{
    unsigned seed = 42, refused = 0;
    slice all[NAMES];
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < NAMES; i++)
        all[i] = arena_printf(&arena, "%c-%zu", "xa"[i % 2], i * 7 % 13 * 100 + i);
    for (int round = 0; round < 2000; round++) {
        struct field_names names = {.count = 0}, copy;
        bool model[NAMES] = {false};
        size_t in_model = 0, steps = (size_t)rand_r(&seed) % 40;
        for (size_t step = 0; step < steps; step++) {
            size_t i = (size_t)rand_r(&seed) % NAMES;
            bool fits = model[i] || in_model < UNION_MAX_NAMES;
            copy = names;
            assert_int_equal(field_names_add(&names, all[i]), fits);
            assert_int_equal(field_names_equal(&names, &copy), model[i] || !fits);
            refused += !fits;
            in_model += fits && !model[i];
            model[i] |= fits;
            check(&names, model, all);
        }
    }
    assert_true(refused > 100);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_5_random_unions_agree_with_a_naive_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
