/* The hash map by key against a naive model. */
#include "cache/key_map.h"

#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ITEMS = 3000, OPERATIONS = 200000 };

struct item {
    struct key_node node;
    bool is_in;
};

static struct key key_of_number(unsigned number)
{
    return key_of(slice_of((const char *)&number, sizeof(number)));
}

static void test_random_operations_agree_with_a_table_of_flags(void **state)
{
    (void)state;
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct key_map map;
    unsigned seed = 7, in = 0;
    key_map_init(&map);
    for (int i = 0; i < OPERATIONS; i++) {
        unsigned number = (unsigned)rand_r(&seed) % ITEMS;
        struct item *item = &items[number];
        struct key key = key_of_number(number);
        struct key_node *found = key_map_find(&map, &key);
        assert_ptr_equal(found, item->is_in ? &item->node : NULL);
        if (item->is_in)
            key_map_remove(&map, &item->node);
        else
            key_map_add(&map, &item->node, &key);
        item->is_in = !item->is_in;
        in += item->is_in ? 1u : -1u;
        assert_int_equal(map.count, in);
    }
    for (unsigned i = 0; i < ITEMS; i++)
        if (items[i].is_in)
            key_map_remove(&map, &items[i].node);
    key_map_fini(&map);
    free(items);
}

static void test_keys_that_share_a_bucket_are_told_apart(void **state)
{
    (void)state;
    struct key a = {{0}}, b = {{0}};
    struct item first = {0}, second = {0};
    struct key_map map;
    b.bytes[15] = 1; /* the bucket is chosen by bytes 4 to 7 */
    key_map_init(&map);
    key_map_add(&map, &first.node, &a);
    assert_null(key_map_find(&map, &b));
    key_map_add(&map, &second.node, &b);
    assert_ptr_equal(key_map_find(&map, &a), &first.node);
    assert_ptr_equal(key_map_find(&map, &b), &second.node);
    key_map_remove(&map, &first.node);
    assert_ptr_equal(key_map_find(&map, &b), &second.node);
    key_map_remove(&map, &second.node);
    key_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_agree_with_a_table_of_flags),
        cmocka_unit_test(test_keys_that_share_a_bucket_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
