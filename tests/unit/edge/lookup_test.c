/* edge/request/lookup.c: an answer of the disk that comes when memory already knows more. */
#include "edge/request/steps.h"

#include "tests/unit/cache/store_help.h"

static struct cache *memory_only(void)
{
    char error[256] = "";
    const struct cache_config config = {
        .memory_bytes = 4 << 20, .max_object_bytes = 1 << 20, .max_variants = 8};
    struct cache *cache = cache_open(&config, error);
    assert_non_null(cache);
    return cache;
}

static const struct recipe page = {.url = 1, .version = 1, .body_bytes = 1000};

static void
test_3_1_a_url_that_became_known_while_the_disk_was_asked_is_no_longer_cold(void **state)
{
    (void)state;
    struct server server = {.cache = memory_only()};
    struct exchange ex = {.server = &server, .is_reading = true};
    struct key url_key = url_key_of(1), key = variant_key_of(1, 0);
    ex.read =
        (struct cache_read){.kind = READ_VARY, .key = url_key, .vary = vary_record_cold(&url_key)};
    assert_int_equal(store_recipe(server.cache, &page), STORED); /* by somebody else's flight */
    lookup_read_delivered(&ex);
    assert_false(ex.is_reading);
    assert_true(ex.record->is_known);
    assert_true(vary_record_lists(ex.record, &key));
    vary_record_unref(&ex.record);
    assert_true(cache_close(server.cache));
}

static void test_3_1_a_page_that_was_stored_while_the_disk_was_asked_is_found(void **state)
{
    (void)state;
    char key_text[64];
    struct server server = {.cache = memory_only()};
    struct exchange ex = {.server = &server, .is_reading = true};
    ex.read = (struct cache_read){
        .kind = READ_OBJECT, .key = variant_key_of(1, 0), .key_text = key_text_of(1, 0, key_text)};
    assert_int_equal(store_recipe(server.cache, &page), STORED);
    lookup_read_delivered(&ex);
    assert_true(ex.was_read);
    assert_non_null(ex.found.object);
    assert_int_equal(object_version(ex.found.object), 1);
    object_unref(&ex.found.object);
    assert_true(cache_close(server.cache));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_3_1_a_url_that_became_known_while_the_disk_was_asked_is_no_longer_cold),
        cmocka_unit_test(test_3_1_a_page_that_was_stored_while_the_disk_was_asked_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
