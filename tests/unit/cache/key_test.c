/* Keys: equal for equal texts, the same on every machine. */
#include "tests/unit/cache/store_help.h"

static void test_1_1_a_key_is_xxh3_128_in_canonical_order(void **state)
{
    (void)state;
    /* published digest of the empty input */
    const uint8_t empty[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                               0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    struct key key = key_of(SLICE_NONE);
    assert_memory_equal(key.bytes, empty, sizeof(empty));
    assert_true(hash_of(SLICE("")) == 0x2d06800538d394c2u);
}

static void test_1_1_keys_of_equal_texts_are_equal_and_of_others_are_not(void **state)
{
    (void)state;
    char text[] = "s4:http h1:a p1:/", copy[sizeof(text)];
    memcpy(copy, text, sizeof(text));
    struct key a = key_of(slice_of_string(text)), b = key_of(slice_of_string(copy));
    assert_true(key_equal(&a, &b));
    for (size_t i = 0; i + 1 < sizeof(copy); i++) {
        copy[i] ^= 1;
        b = key_of(slice_of_string(copy));
        assert_false(key_equal(&a, &b));
        assert_true(hash_of(slice_of_string(copy)) != hash_of(slice_of_string(text)));
        copy[i] ^= 1;
    }
}

static void test_a_seed_changes_the_hash(void **state)
{
    (void)state;
    assert_true(hash_more(1, SLICE("a")) != hash_more(2, SLICE("a")));
    assert_true(hash_more(0, SLICE("a")) == hash_of(SLICE("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_1_a_key_is_xxh3_128_in_canonical_order),
        cmocka_unit_test(test_1_1_keys_of_equal_texts_are_equal_and_of_others_are_not),
        cmocka_unit_test(test_a_seed_changes_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
