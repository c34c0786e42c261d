/* policy/key_text.c: the length-prefixed list (semantics 1.1). */
#include "policy/key_text.h"

#include "tests/unit/policy/request_support.h"

static void test_1_1_items_come_back_as_they_went_in(void **state)
{
    struct arena arena;
    unsigned seed = 3;
    (void)state;
    arena_init(&arena);
    for (int round = 0; round < 300; round++) {
        struct text key = {.arena = &arena};
        slice items[12];
        enum key_tag tags[12];
        size_t count = (size_t)rand_r(&seed) % 12;
        for (size_t i = 0; i < count; i++) {
            size_t len = (size_t)rand_r(&seed) % (i == 3 ? 3000 : 12);
            char *bytes = arena_alloc(&arena, len + 1);
            for (size_t n = 0; n < len; n++)
                bytes[n] = "a:1s\0v"[rand_r(&seed) % 6];
            items[i] = slice_of(bytes, len);
            tags[i] = "shpqmkcbfva"[rand_r(&seed) % 11];
            key_text_add(&key, tags[i], items[i]);
        }
        slice rest = slice_of(key.bytes, key.len), bytes;
        enum key_tag tag;
        for (size_t i = 0; i < count; i++) {
            assert_true(key_text_next(&rest, &tag, &bytes));
            assert_true(tag == tags[i] && slice_equal(bytes, items[i]));
        }
        assert_int_equal(rest.len, 0);
        assert_false(key_text_next(&rest, &tag, &bytes));
    }
    arena_fini(&arena);
}

static void test_damaged_texts_end_the_list(void **state)
{
    static const char *const bad[] = {
        "",       "s",    "s:",   ":",     "s1",
        "s1:",    "s2:a", "sx:a", "s-1:a", "s99999999999999999999999:a",
        "5:hello"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        slice rest = slice_of_string(bad[i]), bytes;
        enum key_tag tag;
        if (key_text_next(&rest, &tag, &bytes))
            fail_msg("%s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_1_items_come_back_as_they_went_in),
        cmocka_unit_test(test_damaged_texts_end_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
