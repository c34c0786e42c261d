/* The list: order, removal anywhere, and random operations against an array. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
    int number;
    struct list node;
};

static void test_append_and_prepend_keep_order(void **unused)
{
    (void)unused;
    struct list head = LIST_INIT(head);
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    assert_true(list_is_empty(&head));
    list_append(&head, &items[1].node);
    list_append(&head, &items[2].node);
    list_prepend(&head, &items[0].node);
    int expected = 0;
    list_each(node, &head)
        assert_int_equal(container_of(node, struct item, node)->number, expected++);
    assert_int_equal(expected, 3);
    assert_ptr_equal(list_first_entry(&head, struct item, node), &items[0]);
}

static void test_removal_is_harmless_twice_and_for_nodes_of_no_list(void **unused)
{
    (void)unused;
    struct list head;
    struct item a = {.number = 1}, b = {.number = 2};
    list_init(&head);
    list_remove(&a.node);
    assert_false(list_is_linked(&a.node));
    list_append(&head, &a.node);
    list_append(&head, &b.node);
    assert_true(list_is_linked(&a.node));
    list_remove(&a.node);
    list_remove(&a.node);
    assert_false(list_is_linked(&a.node));
    assert_ptr_equal(list_first_entry(&head, struct item, node), &b);
    list_remove(&b.node);
    assert_true(list_is_empty(&head));
}

enum { ITEMS = 16 };

static size_t position(const int *model, size_t count, int number)
{
    size_t i = 0;
    while (i < count && model[i] != number)
        i++;
    return i;
}

static void model_insert(int *model, size_t *count, size_t at, int number)
{
    memmove(model + at + 1, model + at, (*count - at) * sizeof(*model));
    model[at] = number;
    ++*count;
}

static void model_remove(int *model, size_t *count, size_t at)
{
    memmove(model + at, model + at + 1, (*count - at - 1) * sizeof(*model));
    --*count;
}

static void test_random_operations_agree_with_an_array(void **unused)
{
    (void)unused;
    struct list head = LIST_INIT(head);
    struct item items[ITEMS] = {0};
    int model[ITEMS];
    size_t count = 0;
    uint32_t seed = 7;
    for (int step = 0; step < 5000; step++) {
        seed = seed * 1664525u + 1013904223u;
        int number = (int)(seed >> 10) % ITEMS;
        struct item *item = &items[number];
        item->number = number;
        size_t at = position(model, count, number);
        assert_int_equal(list_is_linked(&item->node), at < count);
        bool is_appended = seed >> 30 & 1;
        if (at < count) {
            list_remove(&item->node);
            model_remove(model, &count, at);
        } else {
            (is_appended ? list_append : list_prepend)(&head, &item->node);
            model_insert(model, &count, is_appended ? count : 0, number);
        }
        size_t seen = 0;
        list_each(node, &head)
        {
            assert_true(seen < count);
            assert_int_equal(container_of(node, struct item, node)->number, model[seen++]);
        }
        assert_int_equal(seen, count);
        assert_int_equal(list_is_empty(&head), count == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_prepend_keep_order),
        cmocka_unit_test(test_removal_is_harmless_twice_and_for_nodes_of_no_list),
        cmocka_unit_test(test_random_operations_agree_with_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
