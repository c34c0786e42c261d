/* One Vary record: what it lists, and its row in the store. */
#include "tests/unit/cache/store_help.h"

static struct vary_record *sample(void)
{
    const struct field_names names = names_of("accept-language", "rsc");
    const struct key url_key = url_key_of(1);
    struct variant variants[3];
    for (unsigned i = 0; i < 3; i++)
        variants[i] = (struct variant){variant_key_of(1, i), {1000 + i}};
    return vary_record_new(&url_key, &names, true, variants, 3);
}

static char *encode(const struct vary_record *record, size_t *len)
{
    *len = vary_row_bytes(record);
    char *row = mem_alloc(*len);
    vary_row_encode(record, (wall_time){77}, row);
    return row;
}

static void test_2_5_a_record_keeps_its_names_and_variants_in_the_store(void **state)
{
    (void)state;
    size_t len;
    wall_time touched;
    struct vary_record *record = sample();
    char *row = encode(record, &len);
    struct vary_record *again = vary_row_decode(&record->url_key, slice_of(row, len), &touched);
    assert_non_null(again);
    assert_int_equal(touched.ms, 77);
    assert_true(again->is_known);
    assert_true(field_names_equal(&again->names, &record->names));
    assert_int_equal(again->variant_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(key_equal(&again->variants[i].key, &record->variants[i].key));
        assert_int_equal(again->variants[i].stored.ms, 1000 + i);
    }
    free(row);
    vary_record_unref(&record);
    vary_record_unref(&again);
}

static void test_a_row_cut_or_damaged_anywhere_is_refused(void **state)
{
    (void)state;
    size_t len;
    wall_time touched;
    struct vary_record *record = sample();
    char *row = encode(record, &len);
    for (size_t i = 0; i < len; i++) {
        char *part = mem_alloc(i);
        memcpy(part, row, i);
        assert_null(vary_row_decode(&record->url_key, slice_of(part, i), &touched));
        free(part);
    }
    for (size_t i = 0; i < len * 8; i++) {
        row[i / 8] = (char)(row[i / 8] ^ (1 << i % 8));
        assert_null(vary_row_decode(&record->url_key, slice_of(row, len), &touched));
        row[i / 8] = (char)(row[i / 8] ^ (1 << i % 8));
    }
    free(row);
    vary_record_unref(&record);
}

/* With a right checksum: as a mistake of ours would leave it. */
static void test_2_5_a_row_whose_names_are_no_sorted_set_is_refused(void **state)
{
    (void)state;
    static const struct field_names sets[] = {
        {.at = {{"rsc", 3}, {"accept", 6}}, .count = 2},
        {.at = {{"rsc", 3}, {"rsc", 3}}, .count = 2},
        {.at = {{"", 0}}, .count = 1},
    };
    const struct key url_key = url_key_of(1);
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        size_t len;
        wall_time touched;
        struct vary_record *record = vary_record_new(&url_key, &sets[i], true, NULL, 0);
        char *row = encode(record, &len);
        assert_null(vary_row_decode(&url_key, slice_of(row, len), &touched));
        free(row);
        vary_record_unref(&record);
    }
}

static void test_2_5_a_union_holds_at_most_sixteen_names(void **state)
{
    (void)state;
    struct field_names a = {.count = 0}, merged;
    static char texts[UNION_MAX_NAMES][8];
    for (unsigned i = 0; i < UNION_MAX_NAMES; i++)
        assert_true(field_names_add(&a, format(texts[i], 8, "n%02u", i, 0)));
    const struct field_names same = names_of("n03", "n15"), more = names_of("n03", "zz");
    assert_true(vary_names_merge(&a, &same, &merged));
    assert_true(field_names_equal(&merged, &a));
    assert_false(vary_names_merge(&a, &more, &merged));
}

static void test_a_variant_that_is_stored_again_moves_to_the_end(void **state)
{
    (void)state;
    struct vary_record *record = sample();
    const struct variant again = {variant_key_of(1, 0), {5000}},
                         other = {variant_key_of(1, 9), {1}};
    struct vary_record *moved = vary_record_with(record, NULL, &again);
    assert_int_equal(moved->variant_count, 3);
    assert_int_equal(vary_record_find(moved, &again.key), 2);
    assert_int_equal(moved->variants[2].stored.ms, 5000);
    struct vary_record *replaced = vary_record_with(moved, &moved->variants[0].key, &other);
    assert_int_equal(replaced->variant_count, 3);
    assert_false(vary_record_lists(replaced, &moved->variants[0].key));
    assert_true(vary_record_lists(replaced, &other.key));
    assert_true(vary_record_lists(record, &record->variants[1].key)); /* unchanged */
    vary_record_unref(&record);
    vary_record_unref(&moved);
    vary_record_unref(&replaced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_5_a_record_keeps_its_names_and_variants_in_the_store),
        cmocka_unit_test(test_a_row_cut_or_damaged_anywhere_is_refused),
        cmocka_unit_test(test_2_5_a_row_whose_names_are_no_sorted_set_is_refused),
        cmocka_unit_test(test_2_5_a_union_holds_at_most_sixteen_names),
        cmocka_unit_test(test_a_variant_that_is_stored_again_moves_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
