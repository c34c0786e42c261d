/* The cache as the steps of a request use it: RAM, store and Vary records together. */
#include "tests/unit/cache/store_help.h"

#include <stdatomic.h>

static struct cache *open_cache(const char *path, uint64_t store_bytes, uint64_t memory_bytes)
{
    char error[256] = "";
    const struct cache_config config = {
        .path = slice_of_string(path),
        .store_bytes = store_bytes,
        .memory_bytes = memory_bytes,
        .max_object_bytes = 64 << 20,
        .max_variants = 8,
    };
    struct cache *cache = cache_open(&config, error);
    if (!cache)
        fail_msg("%s", error);
    return cache;
}

static void expect_object(struct cache *cache, const struct recipe *r)
{
    struct object *object = fetch_object(cache, r->url, r->variant);
    assert_non_null(object);
    assert_int_equal(object_version(object), r->version);
    assert_true(body_is_of(object->bodies[CODING_IDENTITY], r));
    object_unref(&object);
}

/* Two variants per URL, bodies of all kinds of sizes: none, within a chunk, at its edge, in parts.
 */
static struct recipe recipe_of(unsigned i)
{
    const size_t sizes[] = {0, 1, 1000, 8176, 8177, 20000, 100000, 3000000};
    size_t bytes = sizes[i % 8] / (i % 8 == 7 ? 1 + i / 8 : 1);
    return (struct recipe){.url = i / 2, .variant = i % 2, .version = i, .body_bytes = bytes};
}

static void test_8_a_restart_brings_back_every_object(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 64 << 20, 64 << 20);
    for (unsigned i = 0; i < 200; i++) {
        struct recipe r = recipe_of(i);
        assert_int_equal(store_recipe(cache, &r), STORED);
        expect_object(cache, &r);
    }
    assert_true(cache_close(cache));
    cache = open_cache(path, 64 << 20, 64 << 20);
    assert_int_equal(cache_stats(cache).store_objects, 200);
    for (unsigned i = 0; i < 200; i++) {
        struct recipe r = recipe_of(i);
        expect_object(cache, &r);
        struct vary_record *record = fetch_vary(cache, i / 2);
        struct key key = variant_key_of(i / 2, i % 2);
        assert_true(record->is_known);
        assert_true(vary_record_lists(record, &key));
        vary_record_unref(&record);
    }
    assert_true(cache_close(cache));
    remove_directory(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_8_a_restart_brings_back_every_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
