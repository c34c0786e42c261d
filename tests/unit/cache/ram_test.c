/* The RAM tier, against a model and under threads: what stays, what gives way, what never comes
 * back. */
#include "tests/unit/cache/store_help.h"

#include "cache/ram.h"

enum { URLS = 200 };

static struct object *make(unsigned url, unsigned version, size_t bytes)
{
    const struct recipe r = {.url = url, .version = version, .body_bytes = bytes};
    return object_make(&r);
}

static void put(struct ram *ram, unsigned url, unsigned version, size_t bytes)
{
    struct object *object = make(url, version, bytes);
    ram_put(ram, object);
    object_unref(&object);
}

static struct object *find(struct ram *ram, unsigned url)
{
    char text[64];
    slice key_text = key_text_of(url, 0, text);
    struct key key = key_of(key_text);
    return ram_find(ram, &key, key_text);
}

static bool holds(struct ram *ram, unsigned url)
{
    struct object *object = find(ram, url);
    bool does = object != NULL;
    object_unref(&object);
    return does;
}

/* Against a model that never evicts: what is found is what was put last; what was removed is not
 * found; with room for all, all is found. */
static void random_operations(size_t max_bytes, bool has_room)
{
    unsigned model[URLS] = {0}, version = 0; /* 0: not there */
    struct ram *ram = ram_new(max_bytes);
    for (int i = 0; i < 40000; i++) {
        unsigned url = (unsigned)random_below(URLS);
        struct key key = variant_key_of(url, 0);
        uint64_t what = random_below(10);
        if (what < 3) {
            model[url] = ++version;
            put(ram, url, version, random_below(4000));
        } else if (what == 3) {
            bool was = ram_remove(ram, &key);
            assert_true(model[url] || !was);
            model[url] = 0;
        } else if (what == 4) {
            struct object *old = ram_peek(ram, &key), *new = make(url, version + 1, 10);
            if (old && ram_swap(ram, old, new))
                model[url] = ++version;
            assert_false(ram_swap(ram, old, new)); /* `old` lies there no more, if it ever did */
            object_unref(&old);
            object_unref(&new);
        } else {
            struct object *object = find(ram, url);
            if (object)
                assert_int_equal(object_version(object), model[url]);
            else
                assert_true(!has_room || model[url] == 0);
            object_unref(&object);
        }
        ram_shrink(ram);
        assert_true(ram_stats(ram).bytes <= max_bytes);
    }
    if (!has_room)
        assert_true(ram_stats(ram).evictions > 0);
    size_t count = 0;
    for (unsigned url = 0; url < URLS; url++)
        count += holds(ram, url);
    assert_int_equal(count, ram_stats(ram).objects);
    ram_free(ram);
}

static void test_random_operations_agree_with_a_model(void **state)
{
    (void)state;
    random_operations(64 << 20, true);
    random_operations(100000, false);
    random_operations(3000, false);
}

static void test_the_text_of_the_key_is_compared(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    put(ram, 1, 1, 10);
    struct key key = variant_key_of(1, 0);
    assert_null(ram_find(ram, &key, SLICE("another text with the same hash")));
    assert_true(holds(ram, 1));
    ram_free(ram);
}

static void test_pages_that_are_asked_for_survive_a_crawler(void **state)
{
    (void)state;
    enum { HOT = 100, COLD = 20000 };
    struct ram *ram = ram_new(2 << 20); /* some 500 objects */
    unsigned misses = 0;
    for (unsigned i = 0; i < COLD; i++) {
        if (!holds(ram, i % HOT)) {
            misses++;
            put(ram, i % HOT, 1, 3000);
        }
        put(ram, HOT + i, 1, 3000);
        ram_shrink(ram);
    }
    assert_true(misses < COLD / 100); /* a plain FIFO misses a fifth of them */
    ram_free(ram);
}

static void test_an_object_that_is_in_use_outlives_its_eviction(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    put(ram, 1, 1, 5000);
    struct object *object = find(ram, 1);
    ram_limit(ram, 0);
    assert_false(holds(ram, 1));
    const struct recipe r = {.url = 1, .version = 1, .body_bytes = 5000};
    assert_true(body_is_of(object->bodies[CODING_IDENTITY], &r));
    object_unref(&object);
    assert_int_equal(ram_stats(ram).bytes, 0);
    ram_free(ram);
}

static void test_a_slow_read_does_not_bring_back_what_was_replaced(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct key key = variant_key_of(1, 0);
    struct object *old = make(1, 1, 10);
    uint64_t before = ram_changes(ram, &key);
    put(ram, 1, 2, 10);
    ram_remove(ram, &key);
    assert_false(ram_learn(ram, old, before));
    assert_false(holds(ram, 1));
    assert_true(ram_learn(ram, old, ram_changes(ram, &key)));
    assert_true(ram_was_hit(ram, &key)); /* it was read because it was asked for */
    put(ram, 1, 3, 10);
    assert_false(ram_learn(ram, old, ram_changes(ram, &key))); /* the key is taken */
    object_unref(&old);
    ram_free(ram);
}

static void test_6_3_the_oldest_stamp_counts_the_last_check(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    assert_true(ram_oldest_stamp(ram) == UINT64_MAX);
    for (unsigned i = 0; i < 50; i++) {
        const struct recipe r = {.url = i, .stamp = 100 + i};
        struct object *object = object_make(&r);
        if (i == 0)
            atomic_store(&object->checked_stamp, 500);
        ram_put(ram, object);
        object_unref(&object);
    }
    assert_int_equal(ram_oldest_stamp(ram), 101);
    ram_free(ram);
}

/* --- threads --- */

static void *hammer(void *arg)
{
    struct ram *ram = arg;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1;
        unsigned url = (unsigned)(seed >> 33) % 50;
        struct key key = variant_key_of(url, 0);
        if (seed >> 60 == 0) {
            put(ram, url, i, 500);
            ram_shrink(ram);
        } else if (seed >> 60 == 1) {
            ram_remove(ram, &key);
        } else {
            struct object *object = find(ram, url);
            if (object)
                MUST(key_equal(&object->key, &key) && object->bodies[0]->len == 500);
            object_unref(&object);
        }
    }
    return NULL;
}

static void test_threads_find_whole_objects_while_others_replace_them(void **state)
{
    (void)state;
    struct ram *ram = ram_new(20000);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, ram), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ram_shrink(ram);
    assert_true(ram_stats(ram).bytes <= 20000);
    ram_free(ram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_agree_with_a_model),
        cmocka_unit_test(test_the_text_of_the_key_is_compared),
        cmocka_unit_test(test_pages_that_are_asked_for_survive_a_crawler),
        cmocka_unit_test(test_an_object_that_is_in_use_outlives_its_eviction),
        cmocka_unit_test(test_a_slow_read_does_not_bring_back_what_was_replaced),
        cmocka_unit_test(test_6_3_the_oldest_stamp_counts_the_last_check),
        cmocka_unit_test(test_threads_find_whole_objects_while_others_replace_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
