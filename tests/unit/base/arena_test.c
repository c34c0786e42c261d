/* The arena: memory is zeroed, aligned, of its own, and ends together. Leaks are the sanitizer's.
 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>

static void test_memory_is_zeroed_aligned_and_never_shared(void **unused)
{
    (void)unused;
    struct arena arena;
    unsigned char *pieces[200];
    arena_init(&arena);
    for (size_t i = 0; i < 200; i++) {
        size_t bytes = i * 37 % 5000;
        pieces[i] = arena_alloc(&arena, bytes + 1);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k <= bytes; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i, bytes + 1);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k <= i * 37 % 5000; k++)
            assert_int_equal(pieces[i][k], (unsigned char)i);
    assert_true(arena.used_bytes >= 200);
    arena_fini(&arena);
    assert_int_equal(arena.used_bytes, 0);
    arena_fini(&arena); /* harmless */
}

static void test_copies_are_followed_by_a_nul_byte(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena);
    char source[] = "aB\0C";
    slice copy = arena_copy(&arena, slice_of(source, 4));
    slice lower = arena_copy_lower(&arena, slice_of(source, 4));
    source[0] = 'x';
    assert_true(slice_equal(copy, slice_of("aB\0C", 4)));
    assert_true(slice_equal(lower, slice_of("ab\0c", 4)));
    assert_int_equal(copy.ptr[4], 0);
    assert_int_equal(lower.ptr[4], 0);
    assert_non_null(arena_copy(&arena, SLICE_NONE).ptr);
    arena_fini(&arena);
}

static void test_printf_and_concat_are_whole_whatever_their_length(void **unused)
{
    (void)unused;
    struct arena arena;
    arena_init(&arena);
    slice text = arena_printf(&arena, "%s=%d %06000d", "x", 5, 7);
    assert_int_equal(text.len, 6004);
    assert_memory_equal(text.ptr, "x=5 000", 7);
    assert_int_equal(text.ptr[6003], '7');
    slice parts[] = {SLICE("a"), SLICE_NONE, SLICE("bc")};
    assert_true(slice_equal(arena_concat(&arena, parts, 3), SLICE("abc")));
    assert_int_equal(arena_concat(&arena, NULL, 0).len, 0);
    arena_fini(&arena);
}

static void test_mem_alloc_gives_zeroed_memory_also_for_nothing(void **unused)
{
    (void)unused;
    char *memory = mem_alloc(0);
    assert_non_null(memory);
    memory = mem_grow(memory, 10);
    memset(memory, 1, 10);
    memory = mem_grow(memory, 0);
    assert_non_null(memory);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zeroed_aligned_and_never_shared),
        cmocka_unit_test(test_copies_are_followed_by_a_nul_byte),
        cmocka_unit_test(test_printf_and_concat_are_whole_whatever_their_length),
        cmocka_unit_test(test_mem_alloc_gives_zeroed_memory_also_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
