/*
 * Codings made behind a hit (semantics 4.7): which objects, that the cache gets them, that an
 * object which has been replaced meanwhile is left alone, and that nothing is coded for nothing.
 * And plain bodies of what came coded, for those who wait for them; and chores.
 */
#include "edge/request/compress.h"

#include "edge/request/codec.h"
#include "policy/load.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { MAX_BYTES = 16 << 20 };

static struct arena arena;
static struct cache *cache;
static struct compressor *compressor;

static int setup(void **context)
{
    (void)context;
    char error[256];
    const struct cache_config config = {
        .memory_bytes = 64 << 20, .max_object_bytes = MAX_BYTES, .max_variants = 8};
    arena_init(&arena);
    cache = cache_open(&config, error);
    if (!cache)
        return -1;
    compressor = compressor_new(cache, MAX_BYTES);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    compressor_free(compressor);
    bool is_clean = cache_close(cache);
    arena_fini(&arena);
    return is_clean ? 0 : -1;
}

static struct blob *body_of(const char *unit, size_t length)
{
    struct blob *body = blob_new(length);
    for (size_t i = 0; i < length; i++)
        body->bytes[i] = unit ? unit[i % strlen(unit)] : (char)random();
    return body;
}

/* A reference for the caller; the cache has another. */
static struct object *store(const char *type, struct blob *body, enum coding coding)
{
    struct fields fields;
    struct field_names none = {0};
    struct vary_record *record;
    const slice url = SLICE("http shop.example /a");
    struct key url_key = key_of(url);
    fields_init(&fields, &arena);
    fields_add_id(&fields, FIELD_CONTENT_TYPE, slice_of_string(type));
    assert_true(cache_grow_vary(cache, &url_key, &none, &record));
    struct object_parts parts = {.key_text = url,
                                 .url_text = url,
                                 .scheme = SLICE("http"),
                                 .host = SLICE("shop.example"),
                                 .path = SLICE("/a"),
                                 .facts = {.status = 200},
                                 .fields = &fields,
                                 .coding = coding,
                                 .body = body ? blob_ref(body) : NULL};
    struct object *object = object_new(&parts);
    assert_int_equal(cache_store(cache, object), STORED);
    vary_record_unref(&record);
    return object;
}

static struct object *present(const struct object *like)
{
    struct object *object = NULL;
    assert_int_equal(cache_find_object(cache, &like->key, like->key_text, &object), FOUND_YES);
    return object;
}

/* Until the coding is there; the helper thread has nothing that could be waited for. */
static struct object *until_coded(const struct object *like, enum coding coding)
{
    for (;;) {
        struct object *object = present(like);
        if (object->bodies[coding])
            return object;
        object_unref(&object);
        sched_yield();
    }
}

static void check_coding(enum coding coding)
{
    struct blob *body = body_of("<li>varve</li>\n", 20000);
    struct object *object = store("text/html", body, CODING_IDENTITY);
    for (int i = 0; i < 100; i++) /* as hits do: once is enough */
        compressor_ask(compressor, object, coding);
    struct object *coded = until_coded(object, coding);
    assert_ptr_equal(coded->bodies[CODING_IDENTITY], body);
    struct blob *back = body_decode(coding, coded->bodies[coding], body->len);
    assert_non_null(back);
    assert_memory_equal(back->bytes, body->bytes, body->len);
    blob_unref(&back);
    object_unref(&coded);
    object_unref(&object);
    blob_unref(&body);
}

static void test_4_7_a_coding_that_was_asked_for_comes_into_the_cache(void **context)
{
    (void)context;
    check_coding(CODING_BR);
    check_coding(CODING_GZIP);
}

static void test_4_7_both_codings_stand_side_by_side(void **context)
{
    (void)context;
    struct blob *body = body_of("<li>varve</li>\n", 20000);
    struct object *object = store("text/html", body, CODING_IDENTITY);
    compressor_ask(compressor, object, CODING_BR);
    compressor_ask(compressor, object, CODING_GZIP);
    struct object *first = until_coded(object, CODING_BR), *both = until_coded(object, CODING_GZIP);
    assert_non_null(both->bodies[CODING_BR]);
    object_unref(&first);
    object_unref(&both);
    object_unref(&object);
    blob_unref(&body);
}

static void test_an_object_replaced_meanwhile_does_not_get_the_old_bytes(void **context)
{
    (void)context;
    struct blob *old_body = body_of("old ", 4000), *new_body = body_of("new ", 4000);
    struct object *old = store("text/html", old_body, CODING_IDENTITY),
                  *fresh = store("text/html", new_body, CODING_IDENTITY);
    compressor_ask(compressor, old, CODING_GZIP);
    compressor_ask(compressor, old, CODING_BR); /* queued behind; the first is done when… */
    compressor_free(compressor);
    compressor = compressor_new(cache, MAX_BYTES);
    compressor_ask(compressor, fresh, CODING_GZIP);
    struct object *coded = until_coded(fresh, CODING_GZIP);
    struct blob *back = body_decode(CODING_GZIP, coded->bodies[CODING_GZIP], 4000);
    assert_memory_equal(back->bytes, new_body->bytes, 4000);
    assert_null(coded->bodies[CODING_BR]);
    blob_unref(&back);
    object_unref(&coded);
    object_unref(&old);
    object_unref(&fresh);
    blob_unref(&old_body);
    blob_unref(&new_body);
}

static void test_what_does_not_get_smaller_stays_as_it_is(void **context)
{
    (void)context;
    struct blob *noise = body_of(NULL, 5000), *text = body_of("<p>", 5000);
    struct object *object = store("text/html", noise, CODING_IDENTITY);
    for (int i = 0; i < 1000; i++)
        compressor_ask(compressor, object, CODING_GZIP);
    struct object *other = store("text/html", text, CODING_IDENTITY);
    compressor_ask(compressor, other, CODING_BR); /* in order: this one comes behind the noise */
    struct object *coded = until_coded(other, CODING_BR);
    assert_null(coded->bodies[CODING_GZIP]);
    object_unref(&coded);
    object_unref(&object);
    object_unref(&other);
    blob_unref(&noise);
    blob_unref(&text);
}

/* --- decoding --- */

struct reader {
    struct decoding decoding;
    atomic_bool is_told;
};

static void be_told(struct decoding *decoding)
{
    atomic_store(&container_of(decoding, struct reader, decoding)->is_told, true);
}

static bool ask_for_plain(struct reader *reader, struct object *object)
{
    *reader = (struct reader){.decoding.done = be_told};
    return compressor_decode(compressor, object, &reader->decoding);
}

/* The object that came; the reader's reference. */
static struct object *until_told(struct reader *reader)
{
    while (!atomic_load(&reader->is_told))
        sched_yield();
    return reader->decoding.plain;
}

static struct object *store_coded(struct blob *plain)
{
    struct blob *coded = body_encode(CODING_GZIP, plain);
    struct object *object = store("text/html", coded, CODING_GZIP);
    blob_unref(&coded);
    return object;
}

static void test_4_7_all_who_wait_for_a_plain_body_get_it_and_the_cache_has_it(void **context)
{
    (void)context;
    enum { READERS = 10 };
    struct reader readers[READERS];
    struct blob *body = body_of("<li>varve</li>\n", 300000);
    struct object *object = store_coded(body);
    for (size_t i = 0; i < READERS; i++)
        assert_true(ask_for_plain(&readers[i], object));
    for (size_t i = 0; i < READERS; i++) {
        struct object *both = until_told(&readers[i]);
        assert_non_null(both);
        assert_int_equal(both->bodies[CODING_IDENTITY]->len, body->len);
        assert_memory_equal(both->bodies[CODING_IDENTITY]->bytes, body->bytes, body->len);
        assert_non_null(both->bodies[CODING_GZIP]);
        object_unref(&both);
    }
    struct object *now = present(object);
    assert_non_null(now->bodies[CODING_IDENTITY]);
    object_unref(&now);
    object_unref(&object);
    blob_unref(&body);
}

static void test_4_7_what_cannot_be_decoded_is_tried_once(void **context)
{
    (void)context;
    struct reader reader;
    struct blob *body = body_of("<li>varve</li>\n", MAX_BYTES + 1), *noise = body_of(NULL, 1000);
    struct object *large = store_coded(body);
    assert_true(ask_for_plain(&reader, large));
    assert_null(until_told(&reader));
    assert_false(ask_for_plain(&reader, large));
    struct object *broken = store("text/html", noise, CODING_BR);
    assert_true(ask_for_plain(&reader, broken));
    assert_null(until_told(&reader));
    for (int i = 0; i < 100; i++)
        assert_false(ask_for_plain(&reader, broken));
    object_unref(&large);
    object_unref(&broken);
    blob_unref(&body);
    blob_unref(&noise);
}

static void test_4_7_who_waits_is_given_the_body_of_its_own_object(void **context)
{
    (void)context;
    struct reader readers[2];
    struct blob *bodies[] = {body_of("old ", 200000), body_of("new ", 200000)};
    struct object *objects[] = {store_coded(bodies[0]), store_coded(bodies[1])};
    for (size_t i = 0; i < 2; i++)
        assert_true(ask_for_plain(&readers[i], objects[i]));
    for (size_t i = 0; i < 2; i++) {
        struct object *both = until_told(&readers[i]);
        assert_memory_equal(both->bodies[CODING_IDENTITY]->bytes, bodies[i]->bytes, 200000);
        object_unref(&both);
    }
    struct object *now = present(objects[0]);
    assert_memory_equal(now->bodies[CODING_IDENTITY]->bytes, bodies[1]->bytes, 200000);
    object_unref(&now);
    for (size_t i = 0; i < 2; i++) {
        object_unref(&objects[i]);
        blob_unref(&bodies[i]);
    }
}

/* --- chores --- */

struct errand {
    struct chore chore;
    struct object *object;
    pthread_t by;
    bool saw_coded; /* the object, when it ran */
    atomic_bool has_begun, may_end, is_done;
};

static void run_errand(struct chore *chore)
{
    struct errand *errand = container_of(chore, struct errand, chore);
    struct object *now = present(errand->object);
    errand->by = pthread_self();
    errand->saw_coded = now->bodies[CODING_GZIP] != NULL;
    object_unref(&now);
    atomic_store(&errand->has_begun, true);
    while (!atomic_load(&errand->may_end))
        sched_yield();
    atomic_store(&errand->is_done, true);
}

static void until(atomic_bool *flag)
{
    while (!atomic_load(flag))
        sched_yield();
}

static void test_a_chore_is_run_by_the_helper_ahead_of_what_is_to_be_compressed(void **context)
{
    (void)context;
    struct blob *body = body_of("<li>varve</li>\n", 20000);
    struct object *object = store("text/html", body, CODING_IDENTITY);
    struct errand first = {.chore.run = run_errand, .object = object}, second = first;
    compressor_run(compressor, &first.chore);
    until(&first.has_begun);
    compressor_ask(compressor, object, CODING_GZIP);
    compressor_run(compressor, &second.chore);
    atomic_store(&first.may_end, true);
    until(&second.has_begun);
    assert_true(atomic_load(&first.is_done));
    atomic_store(&second.may_end, true);
    until(&second.is_done);
    assert_false(pthread_equal(first.by, pthread_self()));
    assert_true(pthread_equal(first.by, second.by));
    assert_false(second.saw_coded);
    struct object *coded = until_coded(object, CODING_GZIP);
    object_unref(&coded);
    object_unref(&object);
    blob_unref(&body);
}

static void test_ending_with_a_full_queue_drops_it(void **context)
{
    (void)context;
    struct blob *body = body_of("<li>varve</li>\n", 300000);
    struct object *object = store("text/html", body, CODING_IDENTITY);
    compressor_ask(compressor, object, CODING_GZIP);
    compressor_ask(compressor, object, CODING_BR);
    struct errand errand = {.chore.run = run_errand, .object = object, .may_end = true};
    compressor_run(compressor, &errand.chore);
    compressor_free(compressor);
    compressor = NULL;
    object_unref(&object);
    blob_unref(&body);
}

static bool wants(const char *yaml, const char *type, size_t length, enum coding coding)
{
    struct diag diag;
    diag_init(&diag, &arena);
    struct policy *policy = policy_load_text(
        arena_printf(&arena, "renderer: http://127.0.0.1:1\n%s", yaml), SLICE("t"), &diag);
    if (!policy)
        fail_msg("%.*s", SLICE_ARG(diag_text(&diag)));
    struct blob *body = length ? body_of("text", length) : NULL;
    struct object *object = store(type, body, coding);
    bool is_wanted = compressor_wants(policy, object);
    object_unref(&object);
    blob_unref(&body);
    policy_free(policy);
    return is_wanted;
}

static void test_4_7_only_texts_from_min_on_are_compressed(void **context)
{
    (void)context;
    assert_true(wants("", "text/html", 1024, CODING_IDENTITY));
    assert_true(wants("", "text/html; charset=utf-8", 5000, CODING_IDENTITY));
    assert_true(wants("", "application/json", 5000, CODING_IDENTITY));
    assert_false(wants("", "text/html", 1023, CODING_IDENTITY));
    assert_false(wants("", "text/html", 0, CODING_IDENTITY));
    assert_false(wants("", "image/png", 5000, CODING_IDENTITY));
    assert_false(wants("", "text/html", 5000, CODING_GZIP)); /* came coded: stays the only one */
    assert_true(wants("compress: {min: 2B}\n", "text/html", 2, CODING_IDENTITY));
    assert_false(wants("compress: {types: [image/png]}\n", "text/html", 5000, CODING_IDENTITY));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_4_7_a_coding_that_was_asked_for_comes_into_the_cache),
        TEST(test_4_7_both_codings_stand_side_by_side),
        TEST(test_an_object_replaced_meanwhile_does_not_get_the_old_bytes),
        TEST(test_what_does_not_get_smaller_stays_as_it_is),
        TEST(test_4_7_all_who_wait_for_a_plain_body_get_it_and_the_cache_has_it),
        TEST(test_4_7_what_cannot_be_decoded_is_tried_once),
        TEST(test_4_7_who_waits_is_given_the_body_of_its_own_object),
        TEST(test_a_chore_is_run_by_the_helper_ahead_of_what_is_to_be_compressed),
        TEST(test_ending_with_a_full_queue_drops_it),
        TEST(test_4_7_only_texts_from_min_on_are_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
