/* Header fields: ids, order, joining, members. */
#include "base/fields.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>

struct fixture {
    struct arena arena;
    struct fields fields;
};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    arena_init(&f->arena);
    fields_init(&f->fields, &f->arena);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_fini(&f->arena);
    free(f);
    return 0;
}

static void assert_slice(slice s, const char *expected)
{
    assert_true(slice_equal(s, slice_of_string(expected)));
}

static void test_every_known_name_has_its_id_and_unknown_ones_none(void **state)
{
    (void)state;
    for (unsigned id = 1; id < FIELD_ID_COUNT; id++) {
        slice name = field_name_of((enum field_id)id);
        assert_true(name.len > 0);
        assert_int_equal(field_id_of(name), id);
        for (size_t i = 0; i < name.len; i++) /* the table must be lower case */
            assert_int_equal(ascii_lower(name.ptr[i]), name.ptr[i]);
    }
    assert_int_equal(field_id_of(SLICE("x-unknown")), FIELD_OTHER);
    assert_int_equal(field_id_of(SLICE_NONE), FIELD_OTHER);
    assert_int_equal(field_id_of(SLICE("Vary")), FIELD_OTHER);
    assert_int_equal(field_name_of(FIELD_OTHER).len, 0);
}

static void test_lines_keep_their_order_however_many(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        fields_add(&f->fields, arena_printf(&f->arena, "x-%d", i % 10),
                   arena_printf(&f->arena, "%d", i));
    assert_int_equal(f->fields.count, 100);
    for (int i = 0; i < 100; i++)
        assert_slice(f->fields.at[i].value, arena_printf(&f->arena, "%d", i).ptr);
    assert_slice(fields_find(&f->fields, SLICE("x-3"))->value, "3");
    assert_null(fields_find(&f->fields, SLICE("x-10")));
}

static void test_set_replaces_all_lines_and_remove_takes_all(void **state)
{
    struct fixture *f = *state;
    fields_add(&f->fields, SLICE("vary"), SLICE("a"));
    fields_add(&f->fields, SLICE("x-a"), SLICE("1"));
    fields_add_id(&f->fields, FIELD_VARY, SLICE("b"));
    assert_int_equal(fields_count_id(&f->fields, FIELD_VARY), 2);
    fields_set(&f->fields, SLICE("vary"), SLICE("c"));
    assert_int_equal(fields_count_id(&f->fields, FIELD_VARY), 1);
    assert_slice(fields_value(&f->fields, FIELD_VARY), "c");
    fields_remove_id(&f->fields, FIELD_VARY);
    assert_int_equal(fields_value(&f->fields, FIELD_VARY).len, 0);
    assert_null(fields_find_id(&f->fields, FIELD_VARY));
    fields_add(&f->fields, SLICE("x-b"), SLICE("2"));
    fields_add(&f->fields, SLICE("x-a"), SLICE("3"));
    fields_remove(&f->fields, SLICE("x-a"));
    assert_int_equal(f->fields.count, 1);
    assert_slice(f->fields.at[0].name, "x-b");
}

static void test_rfc9110_5_3_lines_of_a_name_are_joined_in_order(void **state)
{
    struct fixture *f = *state;
    slice value = SLICE("untouched");
    assert_false(fields_join(&f->fields, SLICE("x-a"), &f->arena, &value));
    assert_slice(value, "untouched");
    fields_add(&f->fields, SLICE("x-a"), SLICE("  1\t"));
    assert_true(fields_join(&f->fields, SLICE("x-a"), &f->arena, &value));
    assert_slice(value, "1");
    fields_add(&f->fields, SLICE("x-b"), SLICE("no"));
    fields_add(&f->fields, SLICE("x-a"), SLICE(""));
    fields_add(&f->fields, SLICE("x-a"), SLICE(" 2 "));
    assert_true(fields_join(&f->fields, SLICE("x-a"), &f->arena, &value));
    assert_slice(value, "1, , 2");
}

static void test_joining_costs_no_more_than_a_few_times_what_is_joined(void **state)
{
    enum { LINES = 100, BYTES = 300 };
    struct fixture *f = *state;
    char bytes[BYTES];
    slice value;
    memset(bytes, 'a', sizeof(bytes));
    for (int i = 0; i < LINES; i++)
        fields_add(&f->fields, SLICE("x-a"), slice_of(bytes, sizeof(bytes)));
    size_t before = f->arena.used_bytes;
    assert_true(fields_join(&f->fields, SLICE("x-a"), &f->arena, &value));
    assert_int_equal(value.len, LINES * BYTES + (LINES - 1) * 2);
    assert_true(f->arena.used_bytes - before < 100 * 1024);
}

static void test_the_first_line_of_a_name_is_told_from_further_ones(void **state)
{
    struct fixture *f = *state;
    fields_add(&f->fields, SLICE("x-a"), SLICE("1"));
    fields_add_id(&f->fields, FIELD_VARY, SLICE("1"));
    fields_add(&f->fields, SLICE("x-a"), SLICE("1"));
    fields_add_id(&f->fields, FIELD_VARY, SLICE("1"));
    assert_true(fields_is_first(&f->fields, &f->fields.at[0]));
    assert_true(fields_is_first(&f->fields, &f->fields.at[1]));
    assert_false(fields_is_first(&f->fields, &f->fields.at[2]));
    assert_false(fields_is_first(&f->fields, &f->fields.at[3]));
}

static void test_members_are_found_in_any_line_and_case_but_only_whole(void **state)
{
    struct fixture *f = *state;
    fields_add_id(&f->fields, FIELD_CONNECTION, SLICE("keep-alive, x-a"));
    fields_add_id(&f->fields, FIELD_VARY, SLICE("upgrade"));
    fields_add_id(&f->fields, FIELD_CONNECTION, SLICE(" Close "));
    assert_true(fields_has_member(&f->fields, FIELD_CONNECTION, SLICE("close")));
    assert_true(fields_has_member(&f->fields, FIELD_CONNECTION, SLICE("X-A")));
    assert_false(fields_has_member(&f->fields, FIELD_CONNECTION, SLICE("keep")));
    assert_false(fields_has_member(&f->fields, FIELD_CONNECTION, SLICE("upgrade")));
}

static void test_a_copy_lives_without_its_source(void **state)
{
    struct fixture *f = *state;
    struct arena other;
    struct fields source;
    char name[] = "x-a", value[] = "one";
    arena_init(&other);
    fields_init(&source, &other);
    fields_add(&source, slice_of(name, 3), slice_of(value, 3));
    fields_add_id(&source, FIELD_VARY, slice_of(value, 3));
    fields_copy(&f->fields, &source);
    name[0] = value[0] = '!';
    arena_fini(&other);
    assert_int_equal(f->fields.count, 2);
    assert_slice(fields_find(&f->fields, SLICE("x-a"))->value, "one");
    assert_slice(fields_value(&f->fields, FIELD_VARY), "one");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_known_name_has_its_id_and_unknown_ones_none),
        TEST(test_lines_keep_their_order_however_many),
        TEST(test_set_replaces_all_lines_and_remove_takes_all),
        TEST(test_rfc9110_5_3_lines_of_a_name_are_joined_in_order),
        TEST(test_joining_costs_no_more_than_a_few_times_what_is_joined),
        TEST(test_the_first_line_of_a_name_is_told_from_further_ones),
        TEST(test_members_are_found_in_any_line_and_case_but_only_whole),
        TEST(test_a_copy_lives_without_its_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
