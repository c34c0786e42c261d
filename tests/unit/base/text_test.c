/* base/text.c: texts that grow in an arena. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_pieces_stand_in_their_order_whatever_their_length(void **state)
{
    struct arena arena;
    char long_piece[1000];
    (void)state;
    arena_init(&arena);
    struct text text = {.arena = &arena};
    memset(long_piece, 'l', sizeof(long_piece));
    assert_true(slice_equal(text_view(&text), SLICE("")));
    text_add(&text, SLICE_NONE);
    text_add(&text, SLICE("a"));
    text_add(&text, slice_of(long_piece, sizeof(long_piece)));
    text_add(&text, SLICE(""));
    text_add(&text, SLICE("z"));
    slice whole = text_view(&text);
    assert_int_equal(whole.len, sizeof(long_piece) + 2);
    assert_int_equal(whole.ptr[0], 'a');
    assert_memory_equal(whole.ptr + 1, long_piece, sizeof(long_piece));
    assert_int_equal(whole.ptr[whole.len - 1], 'z');
    arena_fini(&arena);
}

static void test_many_small_pieces_cost_a_few_times_their_sum(void **state)
{
    enum { PIECES = 20000 };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct text text = {.arena = &arena};
    for (int i = 0; i < PIECES; i++)
        text_add(&text, SLICE("ab"));
    assert_int_equal(text_view(&text).len, 2 * PIECES);
    assert_true(arena.used_bytes < (size_t)8 * PIECES);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_stand_in_their_order_whatever_their_length),
        cmocka_unit_test(test_many_small_pieces_cost_a_few_times_their_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
