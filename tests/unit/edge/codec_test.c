/* Codings: round trips, what is refused, limits to the byte, damage at every place. */
#include "edge/request/codec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>
#include <zlib.h>

static const enum coding codings[] = {CODING_GZIP, CODING_BR};

static struct blob *text_blob(size_t length)
{
    struct blob *blob = blob_new(length);
    for (size_t i = 0; i < length; i++)
        blob->bytes[i] = "<p class=\"item\">varve</p>\n"[(i + i / 700) % 26];
    return blob;
}

static struct blob *random_blob(size_t length)
{
    struct blob *blob = blob_new(length);
    srandom(3);
    for (size_t i = 0; i < length; i++)
        blob->bytes[i] = (char)random();
    return blob;
}

static void assert_same(const struct blob *a, const struct blob *b)
{
    assert_non_null(a);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
}

static void test_what_was_coded_comes_back(void **context)
{
    (void)context;
    static const size_t lengths[] = {60, 1000, 65536, 65537, 300000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (size_t c = 0; c < 2; c++) {
            struct blob *plain = text_blob(lengths[i]), *coded = body_encode(codings[c], plain);
            assert_non_null(coded);
            assert_true(coded->len < plain->len);
            struct blob *back = body_decode(codings[c], coded, 1 << 20);
            assert_same(back, plain);
            blob_unref(&plain);
            blob_unref(&coded);
            blob_unref(&back);
        }
}

static void test_4_7_a_coding_that_makes_nothing_smaller_is_not_made(void **context)
{
    (void)context;
    static const size_t lengths[] = {0, 1, 2, 20, 5000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (size_t c = 0; c < 2; c++) {
            struct blob *plain = random_blob(lengths[i]);
            assert_null(body_encode(codings[c], plain));
            blob_unref(&plain);
        }
}

static void test_a_body_of_exactly_the_limit_is_decoded_and_one_byte_more_is_not(void **context)
{
    (void)context;
    static const size_t lengths[] = {100, 65536, 131072, 131073};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (size_t c = 0; c < 2; c++) {
            struct blob *plain = text_blob(lengths[i]), *coded = body_encode(codings[c], plain);
            struct blob *back = body_decode(codings[c], coded, lengths[i]);
            assert_same(back, plain);
            assert_null(body_decode(codings[c], coded, lengths[i] - 1));
            assert_null(body_decode(codings[c], coded, 0));
            blob_unref(&plain);
            blob_unref(&coded);
            blob_unref(&back);
        }
}

/* A megabyte of zeros in a kilobyte: the limit holds whatever it would become. */
static void test_a_bomb_is_refused_at_the_limit(void **context)
{
    (void)context;
    struct blob *plain = blob_new(1 << 20);
    memset(plain->bytes, 0, plain->len);
    for (size_t c = 0; c < 2; c++) {
        struct blob *coded = body_encode(codings[c], plain);
        assert_true(coded->len < 2000);
        assert_null(body_decode(codings[c], coded, 70000));
        blob_unref(&coded);
    }
    blob_unref(&plain);
}

static void test_cut_off_or_with_bytes_behind_it_is_damaged(void **context)
{
    (void)context;
    struct blob *plain = text_blob(3000);
    for (size_t c = 0; c < 2; c++) {
        struct blob *coded = body_encode(codings[c], plain), *more = blob_new(coded->len + 1);
        for (size_t length = 0; length < coded->len; length++) {
            struct blob *cut = blob_new(length);
            memcpy(cut->bytes, coded->bytes, length);
            assert_null(body_decode(codings[c], cut, 1 << 20));
            blob_unref(&cut);
        }
        memcpy(more->bytes, coded->bytes, coded->len);
        more->bytes[coded->len] = 'x';
        assert_null(body_decode(codings[c], more, 1 << 20));
        blob_unref(&more);
        blob_unref(&coded);
    }
    blob_unref(&plain);
}

/* gzip has a checksum: no flipped bit gives another page. */
static void test_damaged_gzip_is_never_taken_for_the_page(void **context)
{
    (void)context;
    struct blob *plain = text_blob(3000), *coded = body_encode(CODING_GZIP, plain);
    size_t refused = 0;
    for (size_t i = 10; i < coded->len; i++) { /* behind the header, which has free fields */
        coded->bytes[i] ^= 0x10;
        struct blob *back = body_decode(CODING_GZIP, coded, 1 << 20);
        refused += back == NULL;
        if (back) /* another spelling of the same bytes */
            assert_same(back, plain);
        blob_unref(&back);
        coded->bytes[i] ^= 0x10;
    }
    assert_true(refused > (coded->len - 10) * 9 / 10);
    blob_unref(&plain);
    blob_unref(&coded);
}

static void test_gzip_of_several_members_is_one_body(void **context)
{
    (void)context;
    struct blob *half = text_blob(2000), *coded = body_encode(CODING_GZIP, half),
                *two = blob_new(2 * coded->len);
    memcpy(two->bytes, coded->bytes, coded->len);
    memcpy(two->bytes + coded->len, coded->bytes, coded->len);
    struct blob *back = body_decode(CODING_GZIP, two, 4000);
    assert_non_null(back);
    assert_int_equal(back->len, 4000);
    assert_memory_equal(back->bytes, half->bytes, 2000);
    assert_memory_equal(back->bytes + 2000, half->bytes, 2000);
    assert_null(body_decode(CODING_GZIP, two, 3999));
    blob_unref(&half);
    blob_unref(&coded);
    blob_unref(&two);
    blob_unref(&back);
}

static void test_an_empty_body_may_be_coded(void **context)
{
    (void)context;
    static const unsigned char gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3,
                                         3,    0,    0, 0, 0, 0, 0, 0, 0, 0};
    struct blob *coded = blob_new(sizeof(gzip));
    memcpy(coded->bytes, gzip, sizeof(gzip));
    struct blob *back = body_decode(CODING_GZIP, coded, 0);
    assert_non_null(back);
    assert_int_equal(back->len, 0);
    blob_unref(&coded);
    blob_unref(&back);
}

static void test_other_codings_are_not_decoded(void **context)
{
    (void)context;
    struct blob *plain = text_blob(100);
    assert_null(body_decode(CODING_IDENTITY, plain, 1000));
    assert_null(body_decode(CODING_UNKNOWN, plain, 1000));
    blob_unref(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_coded_comes_back),
        cmocka_unit_test(test_4_7_a_coding_that_makes_nothing_smaller_is_not_made),
        cmocka_unit_test(test_a_body_of_exactly_the_limit_is_decoded_and_one_byte_more_is_not),
        cmocka_unit_test(test_a_bomb_is_refused_at_the_limit),
        cmocka_unit_test(test_cut_off_or_with_bytes_behind_it_is_damaged),
        cmocka_unit_test(test_damaged_gzip_is_never_taken_for_the_page),
        cmocka_unit_test(test_gzip_of_several_members_is_one_body),
        cmocka_unit_test(test_an_empty_body_may_be_coded),
        cmocka_unit_test(test_other_codings_are_not_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
