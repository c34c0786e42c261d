/* The cache as the steps of a request use it: RAM, store and Vary records together. */
#include "tests/unit/cache/store_help.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/wait.h>

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
    remove_tree(path);
}

/* --- RAM only --- */

static void test_without_a_store_every_answer_is_definite(void **state)
{
    (void)state;
    struct cache *cache = open_cache("", 0, 4 << 20);
    struct key url_key = url_key_of(1);
    struct vary_record *record;
    assert_int_equal(cache_find_vary(cache, &url_key, &record), FOUND_YES);
    assert_false(record->is_known);
    vary_record_unref(&record);
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 1000};
    assert_int_equal(store_recipe(cache, &r), STORED);
    expect_object(cache, &r);
    assert_null(fetch_object(cache, 1, 1));
    struct question q = {.read = {.kind = READ_VARY, .key = url_key}};
    question_ask(cache, &q); /* answers at once */
    assert_true(q.read.vary->is_known);
    vary_record_unref(&q.read.vary);
    assert_int_equal(cache_stats(cache).store_state, STORE_OFF);
    for (unsigned url = 2; url < 2000; url++) { /* three times what fits */
        struct recipe more = {.url = url, .version = url, .body_bytes = 8000};
        assert_int_equal(store_recipe(cache, &more), STORED);
    }
    assert_true(cache_stats(cache).evictions_ram > 0);
    assert_true(cache_stats(cache).ram_bytes <= 4 << 20);
    assert_true(cache_close(cache));
}

static struct object *look_at(struct cache *cache, const struct recipe *r, slice key_text)
{
    struct key key = variant_key_of(r->url, r->variant);
    return cache_look(cache, &key, key_text);
}

static void expect_look(struct cache *cache, const struct recipe *r)
{
    char text[64];
    struct object *object = look_at(cache, r, key_text_of(r->url, r->variant, text));
    assert_non_null(object);
    assert_int_equal(object_version(object), r->version);
    assert_int_equal(atomic_load(&object->hits), 0);
    object_unref(&object);
    assert_null(look_at(cache, r, SLICE("another text")));
}

static void test_a_look_counts_no_hit_and_brings_nothing_into_ram(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 1000}, other = {.url = 2};
    char text[64];
    struct cache *cache = open_cache("", 0, 4 << 20);
    assert_int_equal(store_recipe(cache, &r), STORED);
    expect_look(cache, &r);
    expect_look(cache, &r);
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    assert_int_equal(store_recipe(cache, &r), STORED);
    expect_look(cache, &r);
    assert_null(look_at(cache, &other, key_text_of(other.url, 0, text)));
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    expect_look(cache, &r);
    expect_look(cache, &r);
    assert_int_equal(cache_stats(cache).ram_objects, 0);
    expect_object(cache, &r);
    assert_int_equal(cache_stats(cache).ram_objects, 1);
    struct key key = variant_key_of(r.url, r.variant);
    cache_remove(cache, &key); /* soon from the disk, and at once for people */
    assert_null(look_at(cache, &r, key_text_of(r.url, 0, text)));
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_an_object_too_large_is_not_stored(void **state)
{
    (void)state;
    struct cache *cache = open_cache("", 0, 4 << 20);
    struct recipe large = {.url = 1, .body_bytes = 2 << 20};
    assert_int_equal(store_recipe(cache, &large), STORED_NOT_TOO_LARGE);
    assert_null(fetch_object(cache, 1, 0));
    assert_true(cache_close(cache));
}

/* --- RAM and store --- */

static void test_an_object_larger_than_ram_is_read_from_the_store_each_time(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 64 << 20, 4 << 20);
    struct recipe large = {.url = 1, .version = 1, .body_bytes = 3 << 20};
    assert_int_equal(store_recipe(cache, &large), STORED);
    cache_flush(cache);
    expect_object(cache, &large);
    expect_object(cache, &large);
    assert_int_equal(cache_stats(cache).ram_objects, 0);
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_8_churn_through_the_cache_never_fails(void **state)
{
    (void)state;
    enum { ROUNDS = 6000 };
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = (i * 7919) % 40000};
        assert_int_equal(store_recipe(cache, &r), STORED);
        if (i % 40 == 0) /* the machine may be slower than we are */
            cache_flush(cache);
        struct object *object = fetch_object(cache, i - i % 300, 0);
        object_unref(&object);
    }
    cache_flush(cache);
    struct cache_stats stats = cache_stats(cache);
    assert_int_equal(stats.dropped, 0);
    assert_int_equal(stats.damaged, 0);
    assert_int_equal(stats.store_state, STORE_OK);
    assert_true(stats.evictions_store > ROUNDS / 3);
    assert_true(stats.store_bytes < (uint64_t)(32 << 20) / 100 * 90);
    for (unsigned i = ROUNDS - 300; i < ROUNDS; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = (i * 7919) % 40000};
        expect_object(cache, &r);
    }
    assert_true(cache_close(cache));
    remove_tree(path);
}

/* Hits that only memory sees count each time the store comes by. */
static void test_8_a_page_in_ram_is_reinserted_at_each_rotation(void **state)
{
    (void)state;
    enum { ROTATION = 700 }; /* some 600 fit */
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 16 << 20, 8 << 20);
    struct recipe hot = {.url = 0, .version = 7, .body_bytes = 20000};
    char text[64];
    slice key_text = key_text_of(0, 0, text);
    struct key key = key_of(key_text);
    unsigned url = 1;
    assert_int_equal(store_recipe(cache, &hot), STORED);
    for (unsigned rotation = 0; rotation < 2; rotation++) {
        for (unsigned i = 0; i < ROTATION; i++, url++) {
            struct recipe r = {.url = url, .version = url, .body_bytes = 20000};
            struct object *object = NULL;
            assert_int_equal(store_recipe(cache, &r), STORED);
            assert_int_equal(cache_find_object(cache, &key, key_text, &object), FOUND_YES);
            object_unref(&object);
            if (i % 50 == 0) /* the mailbox holds some 100 */
                cache_flush(cache);
        }
    }
    cache_flush(cache);
    assert_true(cache_stats(cache).evictions_store > 700);
    assert_true(cache_close(cache));
    cache = open_cache(path, 16 << 20, 8 << 20);
    expect_object(cache, &hot);
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_a_removed_object_does_not_come_back(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    for (unsigned i = 0; i < 200; i++) {
        struct recipe r = {.url = 1, .version = i, .body_bytes = 1000};
        struct key key = variant_key_of(1, 0);
        assert_int_equal(store_recipe(cache, &r), STORED);
        if (i % 2)
            cache_flush(cache);
        cache_remove(cache, &key);
        assert_null(fetch_object(cache, 1, 0)); /* written or not */
    }
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_2_5_growing_and_resetting_reach_memory_and_disk(void **state)
{
    (void)state;
    const char *path = temp_directory();
    const struct field_names a = names_of("a", NULL);
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    struct key url_key = url_key_of(1);
    struct vary_record *record;
    struct recipe plain = {.url = 1, .version = 1, .body_bytes = 100};
    struct recipe under_a = {.url = 1, .variant = 1, .version = 2, .body_bytes = 100, .names = &a};
    assert_int_equal(store_recipe(cache, &plain), STORED);
    cache_flush(cache);
    assert_int_equal(store_recipe(cache, &under_a), STORED);
    assert_null(fetch_object(cache, 1, 0)); /* at once, though the disk still has it */
    /* an answer that was under way when the union grew */
    struct object *late = object_make(&plain);
    assert_int_equal(cache_store(cache, late), STORED_NOT_OUTGROWN);
    object_unref(&late);
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    assert_null(fetch_object(cache, 1, 0));
    expect_object(cache, &under_a);
    record = fetch_vary(cache, 1);
    assert_true(field_names_equal(&record->names, &a));
    vary_record_unref(&record);
    cache_reset_vary(cache, &url_key);
    record = fetch_vary(cache, 1);
    assert_false(record->is_known);
    vary_record_unref(&record);
    assert_null(fetch_object(cache, 1, 1));
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    record = fetch_vary(cache, 1);
    assert_false(record->is_known);
    vary_record_unref(&record);
    assert_null(fetch_object(cache, 1, 1));
    assert_int_equal(cache_stats(cache).store_objects, 0);
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_2_5_variants_that_were_asked_for_keep_their_place(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    for (unsigned i = 0; i < 8; i++) {
        struct recipe r = {.url = 1, .variant = i, .version = i, .body_bytes = 100};
        assert_int_equal(store_recipe(cache, &r), STORED);
        if (i != 3)
            expect_object(cache, &r);
    }
    struct recipe ninth = {.url = 1, .variant = 8, .version = 8, .body_bytes = 100};
    assert_int_equal(store_recipe(cache, &ninth), STORED); /* in the place of number 3 */
    expect_object(cache, &ninth);
    struct recipe tenth = {.url = 1, .variant = 9, .version = 9, .body_bytes = 100};
    assert_int_equal(store_recipe(cache, &tenth), STORED_NOT_CAPPED);
    assert_int_equal(cache_stats(cache).variants_capped, 1);
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    for (unsigned i = 0; i < 10; i++) {
        struct object *object = fetch_object(cache, 1, i);
        assert_int_equal(object != NULL, i != 3 && i != 9);
        object_unref(&object);
    }
    assert_true(cache_close(cache));
    remove_tree(path);
}

/* While this is set, a read transaction cannot be renewed. */
static atomic_int renewal_error;
static int (*renew)(void *txn);

int mdb_txn_renew(void *txn)
{
    int error = atomic_load(&renewal_error);
    return error ? error : renew(txn);
}

static void test_2_5_a_union_that_cannot_be_read_is_unknown_and_not_empty(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    const struct field_names a = names_of("a", NULL);
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 100, .names = &a};
    assert_int_equal(store_recipe(cache, &r), STORED);
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    struct question q = {.read = {.kind = READ_VARY, .key = url_key_of(1)}};
    atomic_store(&renewal_error, ENOMEM);
    question_ask(cache, &q);
    atomic_store(&renewal_error, 0);
    assert_true(q.read.is_unreadable);
    vary_record_unref(&q.read.vary);
    q = (struct question){.read = {.kind = READ_VARY, .key = url_key_of(1)}};
    question_ask(cache, &q); /* nothing was remembered */
    assert_false(q.read.is_unreadable);
    assert_true(field_names_equal(&q.read.vary->names, &a));
    vary_record_unref(&q.read.vary);
    expect_object(cache, &r);
    assert_true(cache_close(cache));
    remove_tree(path);
}

/* --- updates --- */

static struct object *with_body(const struct object *object, enum coding coding, char fill)
{
    struct blob *body = blob_new(100);
    memset(body->bytes, fill, body->len);
    return object_with_coding(object, coding, body);
}

/* As an answer that is not stored does. */
static void remove_older(struct cache *cache, const struct recipe *answer)
{
    struct object *object = object_make(answer);
    cache_remove_older(cache, &object->key, object);
    object_unref(&object);
}

/* A render that was slow ends behind a faster one that was begun later. */
static void test_3_3_what_the_origin_was_asked_for_later_stays(void **state)
{
    const struct recipe page = {
        .url = 1, .version = 2, .body_bytes = 5000, .stamp = 20, .mono_ms = 9000, .took_ms = 1000};
    struct recipe before_purge = page, slower = page, earlier = page, later = page, again = page;
    (void)state;
    before_purge.version = 1;
    before_purge.stamp = 10;
    before_purge.mono_ms = 10000;
    slower.version = 1; /* it was asked for first, and answered last */
    slower.mono_ms = 10000;
    slower.took_ms = 2001;
    earlier.version = 1;
    earlier.mono_ms = 8999;
    again.version = 3;
    later.version = 4;
    later.stamp = 21;
    later.mono_ms = 1;
    const struct recipe *refused[] = {&before_purge, &slower, &earlier};
    for (int has_store = 0; has_store < 2; has_store++) {
        const char *path = has_store ? temp_directory() : "";
        struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
        assert_int_equal(store_recipe(cache, &page), STORED);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
            assert_int_equal(store_recipe(cache, refused[i]), STORED_NOT_NEWEST);
            remove_older(cache, refused[i]);
            expect_object(cache, &page);
        }
        assert_int_equal(store_recipe(cache, &again), STORED);
        assert_int_equal(store_recipe(cache, &later), STORED);
        expect_object(cache, &later);
        remove_older(cache, &later);
        assert_null(fetch_object(cache, 1, 0));
        assert_true(cache_close(cache));
        if (has_store)
            remove_tree(path);
    }
}

/* Memory may know nothing of it: it was too large for it, or is another process's. */
static void test_3_3_what_the_disk_knows_to_be_newer_stays_and_memory_gives_way(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    struct recipe page = {.url = 1, .version = 2, .body_bytes = 3000000, .stamp = 20};
    struct recipe old = {.url = 1, .version = 1, .body_bytes = 5000, .stamp = 10};
    assert_int_equal(store_recipe(cache, &page), STORED);
    cache_flush(cache);
    assert_int_equal(store_recipe(cache, &old), STORED);
    cache_flush(cache);
    expect_object(cache, &page);
    assert_int_equal(cache_stats(cache).dropped, 0);
    old.stamp = 30;
    assert_int_equal(store_recipe(cache, &old), STORED);
    cache_flush(cache);
    expect_object(cache, &old);
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_4_7_two_codings_made_at_once_are_both_kept(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 5000};
    assert_int_equal(store_recipe(cache, &r), STORED);
    struct object *object = fetch_object(cache, 1, 0);
    struct object *gzip = with_body(object, CODING_GZIP, 'g');
    struct object *brotli = with_body(object, CODING_BR, 'b');
    cache_update(cache, gzip);
    cache_update(cache, brotli);
    object_unref(&object);
    object_unref(&gzip);
    object_unref(&brotli);
    for (int i = 0; i < 2; i++) { /* now, and after a restart */
        object = fetch_object(cache, 1, 0);
        assert_non_null(object);
        assert_int_equal(object->bodies[CODING_GZIP]->bytes[99], 'g');
        assert_int_equal(object->bodies[CODING_BR]->bytes[99], 'b');
        assert_true(body_is_of(object->bodies[CODING_IDENTITY], &r));
        object_unref(&object);
        if (i == 0) {
            assert_true(cache_close(cache));
            cache = open_cache(path, 32 << 20, 8 << 20);
        }
    }
    assert_true(cache_close(cache));
    remove_tree(path);
}

static void test_4_7_a_coding_of_a_replaced_page_is_thrown_away(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    struct recipe old = {.url = 1, .version = 1, .body_bytes = 5000}, new = old;
    new.version = 2;
    assert_int_equal(store_recipe(cache, &old), STORED);
    struct object *object = fetch_object(cache, 1, 0);
    struct object *gzip = with_body(object, CODING_GZIP, 'g');
    assert_int_equal(store_recipe(cache, &new), STORED);
    cache_update(cache, gzip);
    object_unref(&object);
    object_unref(&gzip);
    assert_true(cache_close(cache));
    cache = open_cache(path, 32 << 20, 8 << 20);
    expect_object(cache, &new);
    object = fetch_object(cache, 1, 0);
    assert_null(object->bodies[CODING_GZIP]);
    object_unref(&object);
    assert_true(cache_close(cache));
    remove_tree(path);
}

/* --- damage --- */

/* Turns a bit of each place in the data file that holds the body's middle. */
static void damage(const char *path, const struct recipe *r)
{
    char name[128], window[64];
    struct blob *body = body_make(r);
    snprintf(name, sizeof(name), "%s/f1/data.mdb", path);
    FILE *file = fopen(name, "r+");
    assert_non_null(file);
    unsigned found = 0;
    for (long page = 0; fseek(file, page * 4096 + 16, SEEK_SET) == 0; page++) {
        if (fread(window, 1, sizeof(window), file) != sizeof(window))
            break;
        if (memcmp(window, body->bytes, sizeof(window)) != 0)
            continue;
        fseek(file, page * 4096 + 16, SEEK_SET);
        fputc(window[0] ^ 1, file);
        found++;
    }
    fclose(file);
    blob_unref(&body);
    assert_int_not_equal(found, 0);
}

static void test_a_damaged_object_is_dropped_and_counted_never_served(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    struct recipe bad = {.url = 1, .version = 1, .body_bytes = 7000};
    struct recipe good = {.url = 2, .version = 2, .body_bytes = 7000};
    assert_int_equal(store_recipe(cache, &bad), STORED);
    assert_int_equal(store_recipe(cache, &good), STORED);
    assert_true(cache_close(cache));
    damage(path, &bad);
    cache = open_cache(path, 32 << 20, 8 << 20);
    assert_null(fetch_object(cache, 1, 0));
    assert_int_equal(cache_stats(cache).damaged, 1);
    expect_object(cache, &good);
    cache_flush(cache);
    assert_int_equal(cache_stats(cache).store_objects, 1);
    assert_null(fetch_object(cache, 1, 0));
    assert_int_equal(cache_stats(cache).damaged, 1);
    assert_true(cache_close(cache));
    remove_tree(path);
}

/* --- admin --- */

static void count_variant(void *arg, const struct cache_variant *variant)
{
    size_t *in_ram = arg;
    assert_int_equal(variant->body_bytes[CODING_IDENTITY], 1000);
    *in_ram += variant->is_in_ram;
}

static void test_10_variants_are_listed_from_memory_and_disk(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    struct key url_key = url_key_of(1), cold = url_key_of(2);
    for (unsigned i = 0; i < 5; i++) {
        struct recipe r = {.url = 1, .variant = i, .version = i, .body_bytes = 1000};
        assert_int_equal(store_recipe(cache, &r), STORED);
    }
    cache_flush(cache);
    cache_drop_memory(cache);
    struct object *object = fetch_object(cache, 1, 2);
    object_unref(&object);
    size_t in_ram = 0;
    assert_int_equal(cache_variants(cache, &url_key, count_variant, &in_ram), 5);
    assert_int_equal(in_ram, 1);
    assert_int_equal(cache_variants(cache, &cold, count_variant, &in_ram), 0);
    assert_true(cache_close(cache));
    remove_tree(path);
}

/* --- threads: what a site does --- */

enum { PEOPLE = 4, PAGES = 60, WAYS = 3, VISITS = 3000 };

struct site {
    struct cache *cache;
    atomic_uint versions;
};

static void visit(struct site *site, uint64_t seed)
{
    unsigned url = (unsigned)(seed >> 33) % PAGES, variant = (unsigned)(seed >> 50) % WAYS;
    struct object *object = fetch_object(site->cache, url, variant);
    if (object) {
        unsigned version = object_version(object);
        struct recipe r = {
            .url = url, .variant = variant, .version = version, .body_bytes = 500 + url * 300};
        struct key key = variant_key_of(url, variant);
        MUST(key_equal(&object->key, &key));
        MUST(body_is_of(object->bodies[CODING_IDENTITY], &r));
        if (seed % 16 == 0 && !object->bodies[CODING_GZIP]) {
            struct object *gzip = with_body(object, CODING_GZIP, 'g');
            cache_update(site->cache, gzip);
            object_unref(&gzip);
        }
        object_unref(&object);
    }
    struct key key = variant_key_of(url, variant), url_key = url_key_of(url);
    if (!object || seed % 8 == 0) {
        struct recipe r = {.url = url,
                           .variant = variant,
                           .version = atomic_fetch_add(&site->versions, 1),
                           .body_bytes = 500 + url * 300};
        store_recipe(site->cache, &r);
    } else if (seed % 61 == 0) {
        cache_remove(site->cache, &key);
    } else if (seed % 67 == 0) {
        cache_reset_vary(site->cache, &url_key);
    } else if (seed % 509 == 0) {
        cache_drop_memory(site->cache);
    }
}

static void *person(void *arg)
{
    struct site *site = arg;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    for (int i = 0; i < VISITS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        visit(site, seed >> 3);
    }
    return NULL;
}

static void test_threads_see_whole_pages_of_the_right_variant(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct site site = {.cache = open_cache(path, 16 << 20, 1 << 20)};
    pthread_t threads[PEOPLE];
    for (int i = 0; i < PEOPLE; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, person, &site), 0);
    for (int i = 0; i < 20; i++)
        (void)cache_oldest_stamp(site.cache);
    for (int i = 0; i < PEOPLE; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(cache_stats(site.cache).damaged, 0);
    assert_int_equal(cache_stats(site.cache).store_state, STORE_OK);
    assert_true(cache_close(site.cache));
    remove_tree(path);
}

/* --- two worker processes, as during a reload --- */

enum { SHARED_URLS = 40, SHARED_ROUNDS = 1500 };

/* Stores random variants of random URLs; now and then an answer names one more field. */
static void work_on_shared_store(struct cache *cache, uint64_t seed, unsigned first_version)
{
    static const char *const fields[] = {"a", "b", "c"};
    for (unsigned i = 0; i < SHARED_ROUNDS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned url = (unsigned)(seed >> 33) % SHARED_URLS;
        struct key url_key = url_key_of(url);
        struct vary_record *before = fetch_vary(cache, url), *record;
        const struct field_names more =
            names_of((seed >> 20) % 200 == 0 ? fields[(seed >> 40) % 3] : NULL, NULL);
        if (cache_grow_vary(cache, &url_key, &more, &record)) {
            struct recipe r = {.url = url,
                               .variant =
                                   (unsigned)(seed >> 45) % 4 + 10 * (unsigned)record->names.count,
                               .version = first_version + i,
                               .body_bytes = (size_t)(seed >> 50) % 9000,
                               .names = &record->names};
            struct object *object = object_make(&r);
            (void)cache_store(cache, object);
            object_unref(&object);
            vary_record_unref(&record);
        }
        vary_record_unref(&before);
    }
}

/* Each object is listed by its URL's record, and was made under that record's union. */
static void expect_consistent(struct cache *cache)
{
    size_t listed = 0;
    for (unsigned url = 0; url < SHARED_URLS; url++) {
        struct vary_record *record = fetch_vary(cache, url);
        listed += record->variant_count;
        for (unsigned way = 0; way < 4; way++) {
            unsigned variant = way + 10 * (unsigned)record->names.count;
            struct key key = variant_key_of(url, variant);
            struct object *object = fetch_object(cache, url, variant);
            assert_int_equal(object != NULL, vary_record_lists(record, &key));
            if (object)
                assert_true(object->union_hash == union_hash_of(&record->names));
            object_unref(&object);
        }
        vary_record_unref(&record);
    }
    assert_int_equal(cache_stats(cache).store_objects, listed);
}

static void test_9_two_processes_write_one_store(void **state)
{
    (void)state;
    const char *path = temp_directory();
    int go[2], status;
    char byte = 0;
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        MUST(read(go[0], &byte, 1) == 1);
        struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
        work_on_shared_store(cache, 1, 1000000);
        bool all = cache_close(cache);
        _exit(all ? 0 : 1);
    }
    struct cache *cache = open_cache(path, 32 << 20, 8 << 20);
    assert_int_equal(write(go[1], &byte, 1), 1);
    work_on_shared_store(cache, 2, 2000000);
    assert_true(cache_close(cache));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(go[0]);
    close(go[1]);
    cache = open_cache(path, 32 << 20, 8 << 20);
    expect_consistent(cache);
    assert_true(cache_close(cache));
    remove_tree(path);
}

int main(void)
{
    *(void **)&renew = dlsym(RTLD_NEXT, "mdb_txn_renew");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_8_a_restart_brings_back_every_object),
        cmocka_unit_test(test_without_a_store_every_answer_is_definite),
        cmocka_unit_test(test_a_look_counts_no_hit_and_brings_nothing_into_ram),
        cmocka_unit_test(test_an_object_too_large_is_not_stored),
        cmocka_unit_test(test_an_object_larger_than_ram_is_read_from_the_store_each_time),
        cmocka_unit_test(test_8_churn_through_the_cache_never_fails),
        cmocka_unit_test(test_8_a_page_in_ram_is_reinserted_at_each_rotation),
        cmocka_unit_test(test_a_removed_object_does_not_come_back),
        cmocka_unit_test(test_2_5_growing_and_resetting_reach_memory_and_disk),
        cmocka_unit_test(test_2_5_a_union_that_cannot_be_read_is_unknown_and_not_empty),
        cmocka_unit_test(test_2_5_variants_that_were_asked_for_keep_their_place),
        cmocka_unit_test(test_3_3_what_the_origin_was_asked_for_later_stays),
        cmocka_unit_test(test_3_3_what_the_disk_knows_to_be_newer_stays_and_memory_gives_way),
        cmocka_unit_test(test_4_7_two_codings_made_at_once_are_both_kept),
        cmocka_unit_test(test_4_7_a_coding_of_a_replaced_page_is_thrown_away),
        cmocka_unit_test(test_a_damaged_object_is_dropped_and_counted_never_served),
        cmocka_unit_test(test_10_variants_are_listed_from_memory_and_disk),
        cmocka_unit_test(test_threads_see_whole_pages_of_the_right_variant),
        cmocka_unit_test(test_9_two_processes_write_one_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
