/* Stored objects: heads are read as they were written or refused, and changed objects share bodies.
 */
#include "tests/unit/cache/store_help.h"

/* An object that uses everything. */
static struct object *full_object(void)
{
    static const uint64_t tags[] = {1, 0, UINT64_MAX};
    struct arena arena;
    struct fields fields;
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("etag"), SLICE("\"1\""));
    fields_add(&fields, SLICE("content-type"), SLICE("text/html; charset=utf-8"));
    fields_add(&fields, SLICE("x-own"), SLICE(""));
    fields_add(&fields, SLICE("content-type"), SLICE("second"));
    struct field_names names = names_of("accept-language", "rsc");
    struct blob *body = blob_new(3);
    memcpy(body->bytes, "abc", 3);
    const struct object_parts parts = {
        .key_text = SLICE("s4:http h11:example.com p2:/a m1:G f15:accept-language v2:de"),
        .url_text = SLICE("s4:http h11:example.com p2:/a m1:G"),
        .scheme = SLICE("http"),
        .host = SLICE("example.com"),
        .path = SLICE("/a"),
        .query = SLICE(""),
        .has_query = true,
        .facts = {.status = 200, .flags = FACT_ETAG, .date = {1234567}, .jitter = 7},
        .stamp = 77,
        .policy_hash = 88,
        .tag_hashes = tags,
        .tag_count = 3,
        .build = SLICE("b1"),
        .reason_phrase = SLICE("OK"),
        .variant_text = SLICE("accept-language=de"),
        .names = &names,
        .fields = &fields,
        .coding = CODING_GZIP,
        .body = body,
    };
    struct object *object = object_new(&parts);
    arena_fini(&arena);
    return object;
}

static void expect_full(const struct object *o)
{
    const struct field_names names = names_of("rsc", "accept-language");
    struct key key = key_of(SLICE("s4:http h11:example.com p2:/a m1:G f15:accept-language v2:de"));
    struct key url_key = key_of(SLICE("s4:http h11:example.com p2:/a m1:G"));
    assert_true(key_equal(&o->key, &key) && key_equal(&o->url_key, &url_key));
    assert_true(slice_equal(o->scheme, SLICE("http")));
    assert_true(slice_equal(o->host, SLICE("example.com")));
    assert_true(slice_equal(o->path, SLICE("/a")));
    assert_true(o->has_query && o->query.len == 0);
    assert_int_equal(o->facts.status, 200);
    assert_int_equal(o->facts.date.ms, 1234567);
    assert_int_equal(o->facts.jitter, 7);
    assert_int_equal(o->stamp, 77);
    assert_int_equal(o->policy_hash, 88);
    assert_true(o->union_hash == union_hash_of(&names));
    assert_int_equal(o->tag_count, 3);
    assert_true(o->tag_hashes[0] == 1 && o->tag_hashes[1] == 0 && o->tag_hashes[2] == UINT64_MAX);
    assert_true(slice_equal(o->build, SLICE("b1")));
    assert_true(slice_equal(o->reason_phrase, SLICE("OK")));
    assert_true(slice_equal(o->variant_text, SLICE("accept-language=de")));
    assert_int_equal(o->field_count, 4);
    assert_int_equal(o->fields[0].id, FIELD_ETAG);
    assert_int_equal(o->fields[2].id, FIELD_OTHER);
    assert_true(slice_equal(o->fields[2].name, SLICE("x-own")) && o->fields[2].value.len == 0);
    assert_true(slice_equal(o->content_type, SLICE("text/html; charset=utf-8")));
    assert_int_equal(o->coding, CODING_GZIP);
}

static void test_an_object_outlives_what_it_was_made_from(void **state)
{
    (void)state;
    struct object *object = full_object();
    expect_full(object);
    assert_memory_equal(object->bodies[CODING_GZIP]->bytes, "abc", 3);
    assert_null(object->bodies[CODING_IDENTITY]);
    object_unref(&object);
    assert_null(object);
}

static void test_a_head_that_is_decoded_gives_the_same_object(void **state)
{
    (void)state;
    struct object *object = full_object();
    struct object *again = object_decode(slice_of(object->head->bytes, object->head->len));
    assert_non_null(again);
    expect_full(again);
    for (size_t i = 0; i < CODING_COUNT; i++)
        assert_null(again->bodies[i]);
    object_unref(&object);
    object_unref(&again);
}

static void test_texts_that_are_parts_of_the_key_are_stored_once(void **state)
{
    (void)state;
    struct object *object = full_object();
    slice head = slice_of(object->head->bytes, object->head->len);
    size_t first = slice_search(head, SLICE("example.com"));
    assert_true(first < head.len);
    assert_int_equal(slice_search(slice_from(head, first + 1), SLICE("example.com")),
                     head.len - first - 1);
    object_unref(&object);
}

static void test_a_head_cut_anywhere_or_with_a_tail_is_refused(void **state)
{
    (void)state;
    struct object *object = full_object(), *cut;
    size_t len = object->head->len;
    char *longer = mem_alloc(len + 1);
    memcpy(longer, object->head->bytes, len);
    for (size_t i = 0; i < len; i++) {
        char *exact = mem_alloc(i); /* so that the sanitizer sees a read behind it */
        memcpy(exact, longer, i);
        cut = object_decode(slice_of(exact, i));
        assert_null(cut);
        free(exact);
    }
    assert_null(object_decode(slice_of(longer, len + 1)));
    free(longer);
    object_unref(&object);
}

static void test_a_damaged_head_is_refused_or_decoded_within_its_bounds(void **state)
{
    (void)state;
    struct object *object = full_object();
    size_t len = object->head->len, refused = 0;
    for (size_t i = 0; i < len * 8; i++) {
        char *damaged = mem_alloc(len);
        memcpy(damaged, object->head->bytes, len);
        damaged[i / 8] = (char)(damaged[i / 8] ^ (1 << i % 8));
        struct object *decoded = object_decode(slice_of(damaged, len));
        refused += !decoded;
        for (size_t f = 0; decoded && f < decoded->field_count; f++)
            (void)hash_of(decoded->fields[f].value);
        object_unref(&decoded);
        free(damaged);
    }
    assert_true(refused > 64);
    object_unref(&object);
}

static void test_4_7_a_coding_more_shares_the_other_bodies(void **state)
{
    (void)state;
    struct object *object = full_object();
    atomic_store(&object->hits, 5);
    struct blob *brotli = blob_new(2);
    struct object *with = object_with_coding(object, CODING_BR, brotli);
    expect_full(with);
    assert_ptr_equal(with->bodies[CODING_GZIP], object->bodies[CODING_GZIP]);
    assert_ptr_equal(with->bodies[CODING_BR], brotli);
    assert_null(object->bodies[CODING_BR]);
    assert_int_equal(atomic_load(&with->hits), 5);
    assert_int_equal(object_bytes(with), object_bytes(object) + 2);
    object_unref(&object); /* the first one goes, the shared body stays */
    assert_memory_equal(with->bodies[CODING_GZIP]->bytes, "abc", 3);
    object_unref(&with);
}

static void test_4_6_a_refreshed_object_has_new_facts_and_the_old_body(void **state)
{
    (void)state;
    struct object *object = full_object();
    struct arena arena;
    struct fields fields;
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("etag"), SLICE("\"2\""));
    struct facts facts = object->facts;
    facts.date.ms = 42;
    const uint64_t tag = 5;
    struct object_parts news = {.fields = &fields,
                                .facts = facts,
                                .stamp = 78,
                                .policy_hash = 89,
                                .tag_hashes = &tag,
                                .tag_count = 1};
    struct object *fresh = object_refreshed(object, &news);
    assert_true(slice_equal(fresh->build, object->build)); /* nobody said another one */
    object_unref(&fresh);
    news.build = SLICE("b2");
    fresh = object_refreshed(object, &news);
    assert_true(slice_equal(fresh->build, SLICE("b2")));
    arena_fini(&arena);
    assert_int_equal(fresh->facts.date.ms, 42);
    assert_int_equal(fresh->stamp, 78);
    assert_int_equal(fresh->policy_hash, 89);
    assert_int_equal(fresh->tag_count, 1);
    assert_int_equal(fresh->field_count, 1);
    assert_true(slice_equal(fresh->fields[0].value, SLICE("\"2\"")));
    assert_true(key_equal(&fresh->key, &object->key));
    assert_true(fresh->union_hash == object->union_hash);
    assert_ptr_equal(fresh->bodies[CODING_GZIP], object->bodies[CODING_GZIP]);
    object_unref(&object);
    object_unref(&fresh);
}

static void test_2_5_the_empty_union_is_a_known_one(void **state)
{
    (void)state;
    const struct field_names none = {.count = 0}, one = names_of("a", NULL),
                             two = names_of("a", "b"), joined = names_of("ab", NULL);
    assert_true(union_hash_of(&none) != 0);
    assert_true(union_hash_of(&none) != union_hash_of(&one));
    assert_true(union_hash_of(&one) != union_hash_of(&two));
    assert_true(union_hash_of(&two) != union_hash_of(&joined));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_object_outlives_what_it_was_made_from),
        cmocka_unit_test(test_a_head_that_is_decoded_gives_the_same_object),
        cmocka_unit_test(test_texts_that_are_parts_of_the_key_are_stored_once),
        cmocka_unit_test(test_a_head_cut_anywhere_or_with_a_tail_is_refused),
        cmocka_unit_test(test_a_damaged_head_is_refused_or_decoded_within_its_bounds),
        cmocka_unit_test(test_4_7_a_coding_more_shares_the_other_bodies),
        cmocka_unit_test(test_4_6_a_refreshed_object_has_new_facts_and_the_old_body),
        cmocka_unit_test(test_2_5_the_empty_union_is_a_known_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
